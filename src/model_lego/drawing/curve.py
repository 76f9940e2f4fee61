"""The picture of a curve: accuracy against size."""

from pathlib import Path
from typing import Any

from model_lego.budgets.budget import COUNTED, WORDS
from model_lego.budgets.size import share
from model_lego.disassembly.size_curve import Curve
from model_lego.drawing.canvas import check_picture, figure_class, write


def draw_curve(curve: Curve, file: str | Path) -> None:
    """Draw accuracy against size into a .png or .svg file; raises BadConfig."""
    check_picture(file)
    figure = figure_class()(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    counted = COUNTED[curve.limit]
    axes.plot(
        [100 * share(counted, point.cost, curve.source) for point in curve.points],
        [point.accuracy for point in curve.points],
        marker="o",
        label="component",
    )
    axes.axhline(curve.restricted, color="gray", linestyle="--", label="source, restricted to the classes")
    axes.set_xscale("log")
    _percents(axes.xaxis)
    axes.set_xlabel(f"{WORDS[counted]}, of the source")
    axes.set_ylabel("accuracy, %")
    axes.set_title(", ".join(curve.classes))
    axes.legend()
    write(figure, file)


def _percents(axis: Any) -> None:
    """Ticks of a logarithmic axis as percents: 1 %, 10 %, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    axis.set_minor_formatter(NullFormatter())
