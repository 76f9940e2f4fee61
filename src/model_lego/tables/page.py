"""The page of results, written from the result files."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from model_lego.tables.ledger import Ledger
from model_lego.tables.recipe import SCALES, Column, Materials, Row, SourceRecipe
from model_lego.tables.recipes import KINDS, Recipes, Table
from model_lego.tables.sweeps import pictures

WIDTH = 120
TITLES = {"cpu": "at CPU scale", "paper": "at the paper's scale"}
HEAD = """# Results

Written by `model-lego bench tables` (`make tables`) from the files in `docs/results/`; the recipes are in
`src/model_lego/tables/recipes/`. Everything is measured on test images, of which none was used for training,
statistics, repair, calibration, or for choosing anything; accuracies are in %. Where a row was measured with several
seeds it shows the mean and the standard deviation. "Published" figures are those of the paper (full networks, trained
200 epochs on all images), "reproduced" those of an independent reproduction, three seeds; neither was measured here.

From a fresh clone, `make tables ARGS="--table …"` is `model-lego bench tables --table …`. Times are those of a machine
with two cores that had other things to do, too.
"""


def page(results: Path, recipes: Recipes, *, folder: Path) -> str:
    """The whole page, from the result files of a folder; `folder` is where the page is to lie."""
    shown = {file.name: os.path.relpath(file, folder) for file in pictures(results, recipes)}
    parts = [HEAD, *(_table(table, results, recipes, shown) for table in recipes.tables), _networks(recipes)]
    return "\n".join(parts)


def _table(table: Table, results: Path, recipes: Recipes, shown: Mapping[str, str]) -> str:
    lines = [f"## {table.title}", "", *_folded(f"{table.paper}. {table.about.strip()}"), ""]
    for scale in SCALES:
        if rows := table.rows.get(scale):
            lines += _scale(Ledger(table, scale, results, recipes.materials[scale]), rows)
            for name, link in shown.items():
                if name.startswith(f"{table.name}-{scale}-"):
                    title = Path(name).stem.removeprefix(f"{table.name}-{scale}-")
                    lines += [f"![{table.title}: {title}]({Path(link).as_posix()})", ""]
    return "\n".join(lines)


def _scale(ledger: Ledger, rows: Sequence[Row]) -> list[str]:
    table, scale = ledger.table, ledger.scale
    seeds = {row.id: ledger.seeds(row) for row in rows}
    measured = [row for row in rows if any("figures" in entry for entry in seeds[row.id].values())]
    lines = [f"### {table.title}: {TITLES[scale]}", ""]
    if measured:
        lines += [*_cells(table, measured, seeds), ""]
        lines += [_command(ledger, measured, seeds), ""]
    failed = {row.id: _words(seeds[row.id]) for row in rows if row not in measured and seeds[row.id]}
    lines += [f"`{name}` failed: {words}" for name, words in failed.items()] + [""] * bool(failed)
    absent = [row.id for row in rows if not seeds[row.id]]
    if absent:
        names = ", ".join(f"`{name}`" for name in absent)
        words = "No row has been measured yet." if len(absent) == len(rows) else f"Not measured yet: {names}."
        lines += [*_folded(words), ""]
    return lines


def _cells(table: Table, rows: Sequence[Row], seeds: Mapping[str, Mapping[int, Any]]) -> list[str]:
    assert table.kind is not None
    columns = KINDS[table.kind].columns
    beside = list(dict.fromkeys(title for row in rows for title in row.published))
    titles = ["row", *(column.title for column in columns), *beside]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for row in rows:
        given = [entry["figures"] for _, entry in sorted(seeds[row.id].items()) if "figures" in entry]
        cells = [_cell(column, given) for column in columns]
        others = [str(row.published.get(title, "")) for title in beside]
        lines.append("| " + " | ".join([row.id, *cells, *others]) + " |")
    return lines


def _cell(column: Column, given: Sequence[Any]) -> str:
    """Mean and spread over the seeds; words as they are."""
    values = [column.cell(figures) for figures in given]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if not numbers:
        return next((str(value) for value in values if value is not None), "")
    mean = f"{fmean(numbers):.{column.digits}f}"
    return mean if len(numbers) < 2 or not column.digits else f"{mean} ± {stdev(numbers):.{column.digits}f}"


def _command(ledger: Ledger, rows: Sequence[Row], seeds: Mapping[str, Mapping[int, Any]]) -> str:
    """How to measure one row again: one that needs nothing but the package, where there is one."""
    sources = ledger.materials.sources
    row = min(rows, key=lambda row: any(not sources[name].seeded for name in row.needs))
    seconds = fmean(entry["seconds"] for entry in seeds[row.id].values() if "figures" in entry)
    words = f"--scale {ledger.scale} --table {ledger.table.name} --row {row.id} --again"
    return f"One row again ({_time(seconds)} a seed): `model-lego bench tables {words}`"


def _networks(recipes: Recipes) -> str:
    """The trained networks that the rows need, and how each is made."""
    lines = [
        "## The trained networks",
        "",
        "Some lie in `docs/results/sources`, in half precision. `model-lego bench tables` trains those that are not",
        "there and not in its folder of sources (unless `--no-train` is given). By hand:",
        "",
    ]
    for scale in SCALES:
        for name, source in recipes.materials[scale].sources.items():
            took = "" if source.minutes is None else f" ({_time(60 * source.minutes)} on two cores)"
            how = (
                "weights that come from elsewhere"
                if source.given
                else f"`{command(name, source, recipes.materials[scale])}`"
            )
            lines.append(f"- {name}, {scale}{took}: {how}")
    return "\n".join([*lines, ""])


def command(name: str, source: SourceRecipe, materials: Materials, *, folder: str = "build/sources") -> str:
    """The command that trains a network of a recipe."""
    data = materials.data[source.data]
    words = ["model-lego train", source.network, *(f"-a {key}={value}" for key, value in source.arguments.items())]
    words += [f"--data {data.where}"] + [f"--per-class {data.per_class}"] * (data.per_class is not None)
    words += [f"--classes {source.classes}"] * (source.classes is not None)
    words += [f"--size {data.size}"] * (data.size is not None)
    if source.mean:
        words += [f"--mean {','.join(map(str, source.mean))}", f"--std {','.join(map(str, source.std))}"]
    for key, value in source.training.items():
        option = {"crop": "random-crop"}.get(key, key.replace("_", "-"))
        words.append(f"--{option}" if value is True else f"--no-{option}" if value is False else f"--{option} {value}")
    return " ".join([*words, f"--out {folder}/{name}{'-0' if source.seeded else ''}"])


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _words(entries: Mapping[int, Any]) -> str:
    return next(str(entry["failed"]) for entry in entries.values() if "failed" in entry)


def _time(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} minutes"
        if seconds < 7200
        else (f"{seconds / 3600:.0f} hours")
    )
