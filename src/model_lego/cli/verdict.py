"""What the command line says of a result beside what it was made of, and what to try where that is doubtful."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from model_lego.cli.render import say, show
from model_lego.evaluation.results import Report
from model_lego.parts.component import Component
from model_lego.parts.verdict import Verdict


def on_test_images(component: Component, report: Report) -> Verdict | None:
    """The verdict of a component by its test images, where they are measured beside the restricted source.

    Of a single class accuracies say nothing, and its verdict stays the one by held-out training images.
    """
    beside = next((row for row in report.rows if row.name == "restricted"), None)
    if component.verdict is None or beside is None or len(component.classes) == 1:
        return component.verdict
    untuned = next((row.accuracy for row in report.rows if row.name == "training-free"), None)
    return replace(
        component.verdict,
        untuned=untuned,
        own=report.accuracy,
        theirs=beside.accuracy,
        interval=beside.difference,
        images=beside.samples,
        held_out=True,
        chosen=False,
    )


def show_size(settings: Mapping[str, Any], verdict: Verdict | None) -> None:
    """Print how the size of a component came about, where no budget said it: by trials, or by thresholds."""
    if verdict is not None and verdict.search is not None:
        low, high = verdict.interval
        show(f"size: {verdict.search}; {verdict.lost:.1f} points lost there (95 %: {low:.1f} to {high:.1f})")
    elif "budget" not in settings:
        show("size: what the thresholds leave; by default it is the smallest tried that loses at most one point")


def show_verdict(verdict: Verdict | None) -> None:
    """Print a verdict, and what is doubtful as warnings."""
    if verdict is not None:
        show(f"verdict: {verdict}")
        show_concerns(verdict)


def show_concerns(verdict: Verdict | None) -> None:
    """Print what is doubtful, with the options to try."""
    for concern in verdict.concerns if verdict is not None else ():
        say(f"warning: {concern.what}; try {concern.command}")


def as_json(verdict: Verdict | None) -> dict[str, Any] | None:
    """A verdict as JSON values."""
    return None if verdict is None else verdict.to_dict()
