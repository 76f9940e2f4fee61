"""The picture of docs/compression.md: accuracy against multiply-adds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compression.page import COMPRESS, NAMES, WIDTHS, average, everyone
from benchmarks.compression.rivals import OURS

COLOURS = {
    "reconstruction": "#d62728",
    "fpgm": "#1f77b4",
    "hrank": "#2ca02c",
    "magnitude": "#9467bd",
    "taylor": "#ff7f0e",
    "random": "#7f7f7f",
}
STYLES = {"ours": "-", "equal": "--", "global": ":"}


def draw(result: Mapping[str, Any], file: Path) -> None:
    """Two panels, as cut and repaired; the same picture gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "compression", "font.size": 9}):
        figure = Figure(figsize=(9.5, 4.2), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, measure, title in zip(
            panels, ("cut", "repaired"), ("as cut", "repaired in closed form"), strict=True
        ):
            _panel(axes, result, measure)
            axes.set_title(title)
        panels[0].set_ylabel("accuracy on test images, %")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=130)


def _panel(axes: Any, result: Mapping[str, Any], measure: str) -> None:
    axes.axhline(result["source"], color="black", linewidth=0.8, label="source")
    rows = [row for row in result["rows"] if row["seed"] == 0]
    for who, mine in everyone(rows).items():
        ours = who == COMPRESS
        faint = who[1] == OURS and not ours
        points = _points(mine, measure)
        axes.plot(
            [size for size, _ in points],
            [value for _, value in points],
            marker="o",
            markersize=5 if ours else 3,
            color=COLOURS[who[0]],
            linestyle=STYLES[who[1]],
            linewidth=2.2 if ours else 1,
            alpha=0.35 if faint else 1,
            zorder=3 if ours else 2,
            label=_label(who) if not faint else None,
        )
    axes.set_xlabel("multiply-adds, % of the source")
    axes.grid(visible=True, alpha=0.25)


def _label(who: tuple[str, str]) -> str:
    return "compress" if who == COMPRESS else f"{NAMES[who[0]]}, {WIDTHS[who[1]]}"


def _points(rows: Sequence[Mapping[str, Any]], measure: str) -> list[tuple[float, float]]:
    """Share of the multiply-adds in % and accuracy, the smallest first."""
    sizes = sorted({row["size"] for row in rows})
    return [(100 * size, average([row for row in rows if row["size"] == size], measure) or 0) for size in sizes]
