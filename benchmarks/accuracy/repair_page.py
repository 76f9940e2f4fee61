"""The figures of `benchmarks.run repair` as a part of the page."""

# ruff: noqa: E501  # the lines are those of the page

from collections.abc import Callable
from statistics import mean, stdev
from typing import Any

from benchmarks.accuracy.figures import cell

HEAD = """## Repair

Written by `python -m benchmarks.run repair` from `benchmarks/results/repair.json`. The networks are of the zoo or kept in
`docs/results/sources`. One of five classes of CIFAR-10, or of all ten (the ResNet-20), is cut for the third to the fifth
of them at the default thresholds. Accuracy in % over the three classes is measured on training images that were held out
from statistics and repair: the mean over three samples of calibration images ± half its 95 % Wilson interval over the
held-out images, in brackets the least and the largest of the samples.

"""
FITTED = """Other ways to fit, on the same samples of images of the classes: ten of 10 images, five of 30, three of 300; ± is the standard
error over them. By default a layer is fitted from the component's own, already repaired inputs to the source's outputs,
with lambda 0.01. *From the source's inputs*: at the kept channels, each layer by itself. *To the source's sum*: a layer that
feeds an addition is fitted to the source's sum less what the component's other branch gives (empty where nothing is added).
*Lambda by cross-validation*: a lambda for each layer, over four parts of the images.
Measured at commit 871a808, whose benchmark had these ways; nothing was kept of them.

"""
ERROR = """How far the component's logits are from the source's, the mean over the classes taken off both: the mean square of the
difference, in % of the mean square of the source's.

"""
#: The way to fit that the others are held against.
DEFAULT = "as by default"
POOLS = ("of its classes", "of any class of the source")


def text(measured: dict[str, Any]) -> str:
    """Tables with a column for each network."""
    lines = _line(["", *measured]) + _line(["---"] * (len(measured) + 1))
    lines += _row("parameters, % of the source", measured, lambda each: f"{each['parameters_percent']:.1f}")
    lines += _row("source, restricted", measured, lambda each: cell([each["restricted"]], each["held_out_images"]))
    lines += _row("held-out images", measured, lambda each: f"{each['held_out_images']:,}")
    lines += _rows("methods", measured)
    parts = [HEAD + lines]
    for key, title in (
        ("strength", "Strength of the ridge (lambda in parts of the mean diagonal of X'X)"),
        ("rows", "Rows of the fit for each feature"),
        *((pool, f"Images {pool}, ridge") for pool in POOLS),
    ):
        head = _line([title, *measured]) + _line(["---"] * (len(measured) + 1))
        parts.append(head + _rows(key, measured))
    if any("fitted" in each for each in measured.values()):
        parts.append(_fitted(measured))
    images = {each["images"] for each in measured.values()}
    if images:
        parts.insert(1, f"With {max(images)} images, as are the next two tables.\n")
    return "\n".join(parts)


def _fitted(measured: dict[str, Any]) -> str:
    """Two tables of the ways to fit: accuracy, and how far the logits are off."""
    of = {name: each.get("fitted", {}) for name, each in measured.items()}
    counts = sorted({count for each in of.values() for count in each}, key=float)
    ways = list(dict.fromkeys([DEFAULT, *(way for each in of.values() for some in each.values() for way in some)]))
    tables = []
    for title, told in (
        ("Accuracy; of the other ways, what it changes by", _changed),
        ("Squared error; of the other ways, in parts of that", _off),
    ):
        lines = _line([title, *measured]) + _line(["---"] * (len(measured) + 1))
        for count in counts:
            for way in ways:
                found = [(each.get("fitted", {}).get(count, {}), each["held_out_images"]) for each in measured.values()]
                cells = (told(each, way, images) if way in each else "" for each, images in found)
                lines += _line([f"{count} images: {way}", *cells])
        tables.append(lines)
    return FITTED + tables[0] + "\n" + ERROR + tables[1]


def _changed(found: dict[str, Any], way: str, images: int) -> str:
    """Accuracy of the default, or what another way gives more than it on the same samples."""
    mine, default = (found[each]["right"] for each in (way, DEFAULT))
    if way == DEFAULT:
        return cell(mine, images)
    return _spread([a - b for a, b in zip(mine, default, strict=True)], "+", 1)


def _off(found: dict[str, Any], way: str, _: int) -> str:
    """Error of the default's logits, or another way's in parts of it."""
    mine, default = (found[each]["off"] for each in (way, DEFAULT))
    if way == DEFAULT:
        return f"{mean(mine):.2f} %"
    return _spread([a / b for a, b in zip(mine, default, strict=True)], "", 2)


def _spread(values: list[float], sign: str, digits: int) -> str:
    """A mean with its standard error."""
    error = f" ± {stdev(values) / len(values) ** 0.5:.{digits}f}" if len(values) > 1 else ""
    return f"{round(mean(values), digits) + 0.0:{sign}.{digits}f}{error}"  # + 0.0: no "-0.0"


def _rows(key: str, measured: dict[str, Any]) -> str:
    found = dict.fromkeys(name for each in measured.values() for name in each.get(key, ()))
    names = list(found) if key == "methods" else sorted(found, key=float)
    return "".join(
        _row(name, measured, lambda each, name=name: _of(each, key, name))  # type: ignore[misc]
        for name in names
    )


def _of(each: dict[str, Any], key: str, name: str) -> str:
    return cell(each.get(key, {}).get(name, ()), each["held_out_images"])


def _row(name: str, measured: dict[str, Any], cell: Callable[[dict[str, Any]], str]) -> str:
    return _line([name, *(cell(each) for each in measured.values())])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
