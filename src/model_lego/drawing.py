"""Pictures, with matplotlib (the extra "draw")."""

from pathlib import Path
from typing import Any

from model_lego.attribution.budgets import COUNTED
from model_lego.curves import Curve
from model_lego.errors import BadConfig

#: Endings of the files that can be drawn.
FORMATS = (".png", ".svg")


def check_picture(file: str | Path) -> None:
    """Refuse a picture that cannot be drawn before any work is done; raises BadConfig."""
    if Path(file).suffix.lower() not in FORMATS:
        raise BadConfig(f"'{file}' is no picture that can be drawn; end it in {' or '.join(FORMATS)}")
    if not Path(file).resolve().parent.is_dir():
        raise BadConfig(f"the folder of '{file}' does not exist; make it first")
    _figure()


def draw_curve(curve: Curve, file: str | Path) -> None:
    """Draw accuracy against size into a .png or .svg file; raises BadConfig."""
    check_picture(file)
    figure = _figure()(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    counted = COUNTED[curve.limit]
    whole = max(1, getattr(curve.source, counted))
    axes.plot(
        [100 * getattr(point.cost, counted) / whole for point in curve.points],
        [point.accuracy for point in curve.points],
        marker="o",
        label="component",
    )
    axes.axhline(curve.restricted, color="gray", linestyle="--", label="source, restricted to the classes")
    axes.set_xscale("log")
    axes.set_xlabel(f"{counted.replace('macs', 'multiply-adds')}, % of the source")
    axes.set_ylabel("accuracy, %")
    axes.set_title(", ".join(curve.classes))
    axes.legend()
    figure.savefig(file)


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BadConfig("pictures need matplotlib: pip install model-lego[draw]") from error
    return Figure
