"""Budgets as they are written on the command line, and curves of accuracy against size."""

from collections.abc import Sequence
from typing import Any

from model_lego.budgets.budget import Budget
from model_lego.cli.render import Bar, say, show
from model_lego.cli.sources import Source
from model_lego.cli.team import speaks
from model_lego.disassembly.size_curve import Curve, curve
from model_lego.drawing import check_picture, draw_curve
from model_lego.errors import BadConfig
from model_lego.processes import Group

#: What a limit is called on the command line, and in Budget.
LIMITS = {"params": "params", "macs": "macs", "bytes": "bytes", "latency": "latency", "drop": "accuracy_drop"}


def parse_budget(given: Sequence[str] | None, *, paper: bool = False) -> Budget | None:
    """Limits name=number, separated by commas or given several times; raises BadConfig, also beside --paper."""
    if given and paper:
        raise BadConfig("--paper takes what the paper's thresholds leave, whatever its size; leave it or --budget out")
    limits: dict[str, Any] = {}
    for item in ",".join(given or ()).split(","):
        if not item.strip():
            continue
        name, _, number = (word.strip() for word in item.partition("="))
        if name not in LIMITS:
            raise BadConfig(
                f"--budget '{item}' names no limit; give NUMBER for one of {', '.join(f'{limit}=' for limit in LIMITS)}"
            )
        if LIMITS[name] in limits:
            raise BadConfig(f"--budget gives {name} twice")
        limits[LIMITS[name]] = _limit(name, number, item)
    if given and not limits:
        raise BadConfig(f"--budget is empty; use {', '.join(f'{limit}=NUMBER' for limit in LIMITS)}")
    return Budget(**limits) if limits else None


def _limit(name: str, number: str, item: str) -> float | str:
    """A number, or a time such as 3ms."""
    try:
        return float(number)
    except ValueError as error:
        if name == "latency" and number:
            return number
        raise BadConfig(f"--budget '{item}' has no number behind {name}=") from error


def check_curve(curve_out: str | None) -> None:
    """Refuse a picture that cannot be drawn before any work is done."""
    if curve_out is not None:
        check_picture(curve_out)


def curve_of(source: Source, file: str | None, *, group: Group, **settings: Any) -> Curve:
    """The curve of a source, drawn where a file is named."""
    measured_curve = curve(
        source.model,
        source.train,
        class_names=source.class_names,
        preprocessing=source.preprocessing,
        graph=source.graph,
        progress=Bar(),
        group=group,
        **settings,
    )
    if file is not None and speaks():
        draw_curve(measured_curve, file)
        say(f"drawn to {file}")
    return measured_curve


def show_curve(measured_curve: Curve | None) -> None:
    """Print a curve, if there is one."""
    if measured_curve is not None:
        show(str(measured_curve))
