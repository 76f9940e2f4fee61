"""The figures of `benchmarks.run repair` as a part of the page."""

# ruff: noqa: E501  # the lines are those of the page

from collections.abc import Callable
from typing import Any

HEAD = """## Repair

Written by `python -m benchmarks.run repair --sources FOLDER` from `benchmarks/results/repair.json`; networks that are only in
that folder (what `model-lego train` wrote) are skipped where it is not given. Each network was trained on five classes of
CIFAR-10 and is cut for three of them at the default thresholds; accuracy in % over the three classes on training images
that were held out from statistics and repair. Of fewer than 100 images the mean of three samples is given, in brackets
the least.

"""
POOLS = ("of its classes", "of any class of the source")


def text(found: dict[str, Any]) -> str:
    """Tables with a column for each network."""
    measured = {name: each for name, each in found.items() if "skipped" not in each}
    skipped = [f"{name} ({each['skipped']})" for name, each in found.items() if "skipped" in each]
    lines = _line(["", *measured]) + _line(["---"] * (len(measured) + 1))
    lines += _row("parameters, % of the source", measured, lambda each: f"{each['parameters_percent']:.1f}")
    lines += _row("source, restricted", measured, lambda each: f"{each['restricted']:.1f}")
    lines += _rows("methods", measured)
    parts = [HEAD + lines]
    for key, title in (
        ("strength", "Strength of the ridge (lambda in parts of the mean diagonal of X'X)"),
        ("rows", "Rows of the fit for each feature"),
        *((pool, f"Images {pool}, ridge") for pool in POOLS),
    ):
        head = _line([title, *measured]) + _line(["---"] * (len(measured) + 1))
        parts.append(head + _rows(key, measured))
    if skipped:
        parts.append(f"Skipped: {', '.join(skipped)}.\n")
    images = {each["images"] for each in measured.values()}
    if images:
        parts.insert(1, f"With {max(images)} images, as are the next two tables.\n")
    return "\n".join(parts)


def _rows(key: str, measured: dict[str, Any]) -> str:
    found = dict.fromkeys(name for each in measured.values() for name in each.get(key, ()))
    names = list(found) if key == "methods" else sorted(found, key=float)
    return "".join(
        _row(name, measured, lambda each, name=name: _cell(each.get(key, {}).get(name)))  # type: ignore[misc]
        for name in names
    )


def _cell(values: list[float] | None) -> str:
    if not values:
        return ""
    least = f" ({min(values):.1f})" if len(values) > 1 else ""
    return f"{sum(values) / len(values):.1f}{least}"


def _row(name: str, measured: dict[str, Any], cell: Callable[[dict[str, Any]], str]) -> str:
    return _line([name, *(cell(each) for each in measured.values())])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
