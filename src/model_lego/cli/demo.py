"""model-lego demo: train two small classifiers on real digits, take them apart, build a new one, report."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json, show_table
from model_lego.cli.verdict import show_size
from model_lego.data import DataSplit, batches, open_data
from model_lego.data.sets import Batched, subset
from model_lego.evaluation.results import Row
from model_lego.models import build_from
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.store.replacing import check_out

#: Digits that each classifier knows, and those that are taken out of it.
KNOWN = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
TAKEN = ((1, 3), (7, 8, 9))
TRAINING: dict[str, Any] = {"epochs": 8, "batch_size": 64, "learning_rate": 0.05, "crop": 0, "flip": False}
PER_CLASS = 50
#: The accuracy with its 95 % interval; "agrees": with the uncut network, in %; ECE in points.
COLUMNS = ("", "accuracy %", "agrees", "ECE", "parameters", "multiply-adds")


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    source: nn.Module
    component: Component
    unrepaired: Component
    report: Any


def demo_command(
    out: o.Out = "demo-out", seed: o.Seed = 0, overwrite: o.Overwrite = False, json: o.Json = False
) -> None:
    """Train two classifiers on real digits (0-4, 5-9); take {1, 3} and {7, 8, 9} out; join them."""
    from model_lego import assemble, ensemble, evaluate, load, save

    for name in ("digits-1-3", "digits-7-8-9", "assembly"):
        check_out(f"{out}/{name}", overwrite=overwrite)
    digits = open_data("digits")
    pieces = [_piece(digits, known, taken, seed) for known, taken in zip(KNOWN, TAKEN, strict=True)]
    folders = [Path(out) / name for name in ("digits-1-3", "digits-7-8-9")]
    for piece, folder in zip(pieces, folders, strict=True):
        save(piece.component, folder, overwrite=overwrite)
    parts = [load(folder) for folder in folders]
    names = [name for part in parts for name in part.classes]
    calibration = _of(digits, "train", [int(name) for name in names], per_class=PER_CLASS, seed=seed)
    say("joining the components …")
    assembly = assemble(parts, calibration=calibration, seed=seed)
    plain = assemble(parts)
    folder = save(assembly, Path(out) / "assembly", overwrite=overwrite)
    test = _of(digits, "test", [int(name) for name in names])
    uncut = ensemble([(piece.source, piece.component) for piece in pieces])
    joint = evaluate(load(folder), test, baselines=(uncut,))
    side = evaluate(plain, test)
    if json:
        show_json(
            {
                "folder": out,
                "components": [piece.report.to_dict() for piece in pieces],
                "assembly": joint.to_dict(),
                "assembly_without_calibration": side.to_dict(),
            }
        )
        return
    for piece in pieces:
        _show_component(piece)
    row, ensemble_row = joint.rows[0], joint.rows[1]
    show_table(
        f"One classifier for {', '.join(names)}, built from the two components without training",
        COLUMNS,
        [
            (name, *_figures(measured))
            for name, measured in (
                ("both uncut sources side by side", ensemble_row),
                ("components, logits side by side", side.rows[0]),
                (f"components, calibrated on {PER_CLASS} images a class", row),
            )
        ],
    )
    show("In brackets: 95 % interval. Agrees: with the uncut network, in %. ECE: calibration error, in points.")
    show(f"{sum(joint.counts)} test images, none of them seen in training or calibration. Everything lies in {out}/")


def _piece(digits: DataSplit, known: tuple[int, ...], taken: tuple[int, ...], seed: int) -> _Piece:
    """Train one classifier, take a component out and measure it."""
    from model_lego import (
        Preprocessing,
        RepairSettings,
        TrainingSettings,
        baselines,
        cut,
        evaluate,
        plan,
        repair,
        train,
    )

    builder = Builder("zoo:lenet5", {"num_classes": len(known), "width": 2.0})
    training = _of(digits, "train", known)
    say(f"training a classifier of the digits {', '.join(map(str, known))} …")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        source = train(build_from(builder), training.images, TrainingSettings(seed=seed, **TRAINING), progress=Bar())
    say(f"taking {', '.join(map(str, taken))} out of it …")
    names = [str(digit) for digit in known]
    common: dict[str, Any] = {"preprocessing": Preprocessing()}
    classes = [str(digit) for digit in taken]
    planned = plan(source, training, classes=classes, class_names=names, seed=seed, progress=Bar(), **common)
    unrepaired = cut(source, planned, builder=builder, **common)
    how = RepairSettings(seed=seed)
    component = repair(unrepaired, source, training, method=how, progress=Bar()).with_verdict(planned.verdict)
    against = baselines(component, source, calibration=training)
    report = evaluate(component, _of(digits, "test", known), class_names=names, baselines=against)
    plain = evaluate(unrepaired, _of(digits, "test", known), class_names=names)
    return _Piece(source, component, unrepaired, _with_row(report, plain))


def _with_row(report: Any, plain: Any) -> Any:
    """The report with the un-repaired component behind the repaired one."""
    from dataclasses import replace

    row = replace(plain.rows[0], name="component without repair")
    return replace(report, rows=(report.rows[0], row, *report.rows[1:]))


def _show_component(piece: _Piece) -> None:
    labels = {
        "source": "the whole network, all its digits",
        "restricted": "the whole network, asked for these only",
        "random": "random cut of the same size",
        "random + repair": "random cut, repaired",
        "magnitude": "largest weights, same size",
        "magnitude + repair": "largest weights, repaired",
        "head": "only the last layer cut",
    }
    rows = piece.report.rows
    show_table(
        f"Component for {', '.join(piece.component.classes)}",
        COLUMNS,
        [
            (labels.get(row.name, row.name if number else "component"), *_figures(row))
            for number, row in enumerate(rows)
        ],
    )
    show_size(piece.component.origin.settings, piece.component.verdict)


def _figures(row: Row) -> tuple[str, ...]:
    low, high = row.interval
    agrees = "-" if math.isnan(row.agreement) else f"{row.agreement:.1f}"
    accuracy, error = f"{row.accuracy:.1f} ({low:.1f}-{high:.1f})", f"{row.calibration_error:.1f}"
    return accuracy, agrees, error, f"{row.parameters:,}", f"{row.macs:,}"


def _of(digits: DataSplit, part: str, labels: Any, *, per_class: int | None = None, seed: int = 0) -> Batched:
    images = digits.train if part == "train" else digits.test
    return batches(subset(images, labels, per_class=per_class, seed=seed), batch_size=64)
