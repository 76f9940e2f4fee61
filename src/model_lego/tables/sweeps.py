"""The figures of alpha and beta: rows that differ in one threshold alone, as curves over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from model_lego.drawing.canvas import COLOURS, figure_class, write
from model_lego.tables.cutting import Cutting
from model_lego.tables.ledger import Ledger
from model_lego.tables.recipe import SCALES
from model_lego.tables.recipes import Recipes

#: What a threshold is where the other one is varied (as published, of convolutions).
USUAL = {"alpha": 0.3, "beta": 0.2}
#: Points that make a curve.
LEAST = 3
#: Title, network and figure of each line; sizes are dashed.
LINES = (
    ("source, restricted", "restricted", "accuracy", "-"),
    ("published cut", "component", "accuracy", "-"),
    ("the same, repaired", "repaired", "accuracy", "-"),
    ("parameters", "component", "parameters", "--"),
    ("multiply-adds", "component", "macs", ":"),
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Means over the seeds at each value of a threshold: of each line of `LINES`, in %."""

    threshold: str
    values: tuple[float, ...]
    lines: tuple[tuple[float, ...], ...]


def pictures(results: Path, recipes: Recipes) -> dict[Path, tuple[Sweep, ...]]:
    """The pictures that the result files give, by the file that each belongs into: one a network and task."""
    pictures: dict[Path, tuple[Sweep, ...]] = {}
    for table in recipes.tables:
        for scale in SCALES:
            rows = [row for row in table.rows.get(scale, ()) if isinstance(row, Cutting) and _plain(row)]
            ledger = Ledger(table, scale, results, recipes.materials[scale])
            for part in dict.fromkeys((row.source, row.classes) for row in rows):
                mine = [row for row in rows if (row.source, row.classes) == part]
                if drawn := tuple(sweep for name in USUAL if (sweep := _sweep(mine, ledger, name)) is not None):
                    pictures[results / f"{table.name}-{scale}-{'-'.join(part)}.svg"] = drawn
    return pictures


def draw(sweeps: Sequence[Sweep], file: Path) -> None:
    """Draw accuracy and size over each threshold, side by side; raises BadConfig without matplotlib."""
    figure = figure_class()(figsize=(4.5 * len(sweeps), 3.6), layout="constrained")
    for place, sweep in enumerate(sweeps, 1):
        axes = figure.add_subplot(1, len(sweeps), place)
        for colour, (title, _, _, dash), heights in zip(COLOURS, LINES, sweep.lines, strict=False):
            axes.plot(sweep.values, heights, dash, color=colour, marker=".", label=title)
        axes.set_xlabel(
            f"{sweep.threshold} ({', '.join(f'{k} {v}' for k, v in USUAL.items() if k != sweep.threshold)})"
        )
        axes.set_ylim(0, 102)
    figure.axes[0].set_ylabel("%")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(LINES), fontsize="small"
    )
    write(figure, file)


def _plain(row: Cutting) -> bool:
    """Whether nothing but the thresholds is other than as published."""
    return row.sampling == "confident" and not row.images


def _sweep(rows: Sequence[Cutting], ledger: Ledger, threshold: str) -> Sweep | None:
    points: dict[float, Sequence[Mapping[str, Any]]] = {}
    for row in rows:
        others = all(getattr(row, name) == usual for name, usual in USUAL.items() if name != threshold)
        given = [entry["figures"] for entry in ledger.seeds(row).values() if "figures" in entry]
        if others and given:
            points[getattr(row, threshold)] = given
    if len(points) < LEAST:
        return None
    values = tuple(sorted(points))
    return Sweep(
        threshold,
        values,
        tuple(
            tuple(fmean(figures[network][what] for figures in points[value]) for value in values)
            for _, network, what, _ in LINES
        ),
    )
