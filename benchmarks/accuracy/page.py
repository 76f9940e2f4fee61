"""The figures as a page of the documentation."""

# ruff: noqa: E501  # the lines are those of the page

import json
from statistics import mean
from typing import Any

from benchmarks.accuracy import criteria_page, heads_page, repair_page
from benchmarks.accuracy.figures import cell
from benchmarks.common import RESULTS, ROOT

PAGE = ROOT / "docs" / "accuracy.md"
NONE = "No figures are recorded yet.\n"
#: The recorded results that it shows.
FILES = ("accuracy", "repair", "heads", "criteria")
#: Tables, as they follow each other.
ORDER = ("all classes", "vehicles", "animals", "budget", "bricks", "bricks varied")
HEAD = """# Accuracy

Written by `make accuracy` from `benchmarks/results/accuracy.json`; it takes 25 minutes on two cores
beside other work. Sources: the two half-width VGG-16 of the zoo (CIFAR-10 classes 0-4 and 5-9).
Accuracy in % on the CIFAR-10 test images of the classes: the mean over the seeds of the calibration
samples, the least and the largest of the seeds, and the 95 % bootstrap interval over the test images. Calibration
images are training images: 1,000 for the repair of each component, 50 of each class for the head. Whatever was chosen by
measuring was measured on training images. The heads and the rule of `auto` were chosen again, on training images, after
test figures of earlier ones had been seen. In the first three tables `auto` reached 77.5, 87.7 and 74.3 when it took the
most accurate kind, and 78.0, 87.7 and 74.3 when it took the simplest within a standard error (before there was `blend`).

"""


def last(name: str) -> dict[str, Any]:
    """The tables that were recorded last."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text())["tables"] if path.exists() else {}
    return found


def write() -> None:
    """Write the page from what was recorded."""
    PAGE.write_text(text(*(last(name) for name in FILES)), encoding="utf-8")


def text(found: dict[str, Any], repairs: dict[str, Any], heads: dict[str, Any], criteria: dict[str, Any]) -> str:
    """The page of these tables."""
    tables = [_table(found[name]) for name in ORDER if name in found]
    if heads:
        tables.append(heads_page.text(heads))
    if repairs:
        tables.append(repair_page.text(repairs))
    if criteria:
        tables.append(criteria_page.text(criteria))
    return HEAD + ("\n".join(tables) or NONE)


def _table(table: dict[str, Any]) -> str:
    lines = [f"## {table['title'][0].upper()}{table['title'][1:]}", ""]
    lines += [table["note"], ""] if "note" in table else []
    for block in table["blocks"]:
        lines += [f"{block['name'].capitalize()}: {_size(block, table.get('size_bar', {}))}.", ""]
        lines += [*_rows(block["rows"]), ""]
        if "auroc" in block:
            lines += [*_areas(block["auroc"]), ""]
    if "curves" in table:
        lines += [*_curve(table["curves"]), ""]
    return "\n".join(lines)


def _areas(areas: dict[str, list[float]]) -> list[str]:
    overall = [mean(each) for each in zip(*areas.values(), strict=True)]
    return [
        f"Area under the ROC curve of each class's logit, its class against the nine others (mean {mean(overall):.3f}, "
        f"of the seeds {min(overall):.3f} to {max(overall):.3f}; aim 0.93):",
        "",
        _line(list(areas)),
        _line(["---"] * len(areas)),
        _line([f"{mean(each):.3f}" for each in areas.values()]),
    ]


def _curve(curves: list[dict[str, Any]]) -> list[str]:
    images, first = curves[0]["images"], curves[0]
    restricted = cell([each["restricted"] for each in curves], images)
    lines = [
        f"Accuracy against size, on {images} held-out training images a seed (source, restricted: {restricted}): the mean over the",
        "seeds, half its 95 % Wilson interval over as many images, the least and the largest; sizes are means.",
        "",
        _line(["limit of the parameters", "parameters", "multiply-adds", "accuracy"]),
        _line(["---"] * 4),
    ]
    for points in zip(*(each["points"] for each in curves), strict=True):
        shares = [
            mean(100 * point["cost"][name] / first["source"][name] for point in points)
            for name in ("parameters", "macs")
        ]
        reached = cell([point["accuracy"] for point in points], images)
        lines.append(_line([f"{100 * points[0]['size']:g} %", *(f"{share:.1f} %" for share in shares), reached]))
    return lines


def _size(block: dict[str, Any], bar: dict[str, float]) -> str:
    limits = [f"{limit / 1e6:.2f} M" if name == "parameters" else f"{limit:.1f} %" for name, limit in bar.items()]
    bars = f" (bar: {limits[0]})" if limits and block["parameters_percent"] < 100 else ""
    return (
        f"{block['parameters'] / 1e6:.2f} M parameters, {block['parameters_percent']:.1f} %{bars}, "
        f"{block['macs_percent']:.1f} % of the multiply-adds"
    )


def _rows(rows: list[dict[str, Any]]) -> list[str]:
    """A table of accuracies."""
    barred = any(row.get("bar") is not None for row in rows)
    head = ["", "accuracy", "seeds", "95 %", *(["bar"] if barred else [])]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        name = row["name"]
        if name == "auto":
            name += f" ({', '.join(row['head'])})"
        bar = "" if row.get("bar") is None else f">= {row['bar']:.1f}"
        lines.append(_line([name, f"{row['mean']:.2f}", seeds(row), interval(row), *([bar] if barred else [])]))
    return lines


def seeds(row: dict[str, Any]) -> str:
    """Spread over the seeds."""
    return "one" if len(row["seeds"]) == 1 else f"{min(row['seeds']):.2f} to {max(row['seeds']):.2f}"


def interval(row: dict[str, Any]) -> str:
    """Interval over the test images."""
    return f"{row['interval'][0]:.1f} to {row['interval'][1]:.1f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
