"""docs/rivals.md, written from the recorded result."""

from collections.abc import Iterable, Mapping
from typing import Any

HEAD = """# Rivals

Other ways to make a trained network smaller without training, written from their papers
(`benchmarks/rivals/methods.py`), beside ours at equal multiply-adds (within 3 %, from below). Everybody
chooses and mends by the same training images with one seed; accuracy in % on test images that serve nothing
else, among the classes of the network that are here. *Its own widths*: the same share of each layer goes; *our
widths*: as many channels of each layer stay as in ours, chosen by the rival's scores.

- **GRAIL** rebuilds removed channels from kept ones by ridge on the Gram matrix of the uncut network, one map for all
  taps, no intercept; published with 128 images.
- **Folding** merges similar filters (Ward's linkage) and estimates BatchNorm again.
- **ThiNet** removes channels whose parts in sampled outputs of the next layer cancel, and scales the others by least
  squares.
- **DepGraph** is the norm of all coupled weights (Torch-Pruning's group norm).
- **Our repair** behind their channels shows what of it is the choice, and what the repair.

Written by `python -m benchmarks.rivals` from what it records in `benchmarks/results/rivals.json`. Quoted, not
measured here: at 73 % of the multiply-adds of a CIFAR ResNet-20, NVIDIA ModelOpt's FastNAS has 60.4 % before its 120
epochs of training and 90.3 % after it (its own notebook; source 91.0 %).
"""
CALLED = {"magnitude": "L1 magnitude"}
WIDTHS = {"its own": "its own widths", "ours": "our widths"}
WINNERS = """
Who wins, and why. As published, folding is above ours on the VGG at 75 %, by a tenth of a point; with our widths by
0.3 to 0.5. What it gains there is BatchNorm estimated again: the uncut VGG has 88.54 % with that alone, 0.4 above
itself (ResNet-20 loses 2.9 by it, MobileNetV2 4.5: it is no default). With our widths and our repair other choices
of channels come within noise of ours (5,000 images: 0.9 points), but for ResNet-20 at half, where DepGraph's norms
are 1.2 points better. On held-out training images of that network they are not, and on EfficientNet-Lite0 they lose
fourteen points ([narrow networks](narrow.md)): they are not taken up.
"""


def page(result: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    found = result["networks"]
    parts = [HEAD, _summary(found)]
    parts += [_network(name, measured) for name, measured in found.items()]
    if result["superclasses"]:
        parts.append(_superclasses(result["superclasses"]))
    return "\n".join(parts)


def _summary(found: Mapping[str, Any]) -> str:
    """What each network has at each size: ours, and the best of the others by how much of ours they take."""
    lines = [
        "## What comes out",
        "",
        "| network | multiply-adds | source | ours | best of the others, as published | their mending, our widths | "
        "our repair, their widths | our repair, our widths |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, measured in found.items():
        rows = measured["rows"]
        for size in sorted({row["size"] for row in rows}, reverse=True):
            here = [row for row in rows if row["size"] == size]
            ours = next(row["accuracy"] for row in here if row["method"] == "ours")
            cells = [
                _best(row for row in here if (row["mended"] == "our repair", row["widths"]) == kind)
                for kind in ((False, "its own"), (False, "ours"), (True, "its own"), (True, "ours"))
            ]
            lines.append(
                f"| {name} | {100 * size:g} % | {measured['restricted']:.2f} | {ours:.2f} | {' | '.join(cells)} |"
            )
    return "\n".join([*lines, WINNERS])


def _best(rows: Iterable[Mapping[str, Any]]) -> str:
    """The best of some rows but ours, with its name."""
    best = max((row for row in rows if row["method"] != "ours"), key=lambda row: row["accuracy"])
    return f"{best['accuracy']:.2f}, {CALLED.get(best['method'], best['method'])}"


def _network(name: str, measured: Mapping[str, Any]) -> str:
    rows = measured["rows"]
    sizes = sorted({row["size"] for row in rows}, reverse=True)
    kinds = [(size, widths) for size in sizes for widths in ("its own", "ours")]
    head = ["method", "mended by", *(f"{100 * size:g} %, {WIDTHS[widths]}" for size, widths in kinds)]
    lines = [
        f"## {name}",
        "",
        f"Source among these classes: {measured['restricted']:.2f} % of {measured['test_images']:,} test images, "
        f"{measured['estimated_again']:.2f} % with its BatchNorm estimated again. "
        f"{rows[0]['images']:,} training images to choose and mend by.",
        "",
        f"| {' | '.join(head)} |",
        f"| {' | '.join('---' for _ in head)} |",
    ]
    best = {kind: max(row["accuracy"] for row in rows if row["size"] == kind[0]) for kind in kinds}
    for method, mended in dict.fromkeys((row["method"], row["mended"]) for row in rows):
        mine = {
            (row["size"], row["widths"]): row["accuracy"]
            for row in rows
            if (row["method"], row["mended"]) == (method, mended)
        }
        cells = [_cell(mine.get(kind), best[kind]) for kind in kinds]
        lines.append(f"| {CALLED.get(method, method)} | {mended} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Bold: the best at this size, whoever's widths.", ""])


def _cell(accuracy: float | None, best: float) -> str:
    if accuracy is None:
        return ""
    return f"**{accuracy:.2f}**" if accuracy == best else f"{accuracy:.2f}"


def _superclasses(result: Mapping[str, Any]) -> str:
    lines = [
        "## Superclasses of CIFAR-100",
        "",
        "Twenty components of five classes each from one half-width VGG-16 of 100 classes, mean over the twenty. SeaM",
        "(ICSE 2023) shows the source's arg-max over all 100 classes; what a component has to be compared with is the",
        "source restricted to its five. SeaM has, of a ResNet-20 with masks trained for up to 300 epochs, 82.76 %",
        "at 14 % of the weights.",
        "",
        "| cut by | parameters | multiply-adds | component | source, restricted | source, among all 100 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for way, means in sorted(result["means"].items()):
        lines.append(
            f"| {way} | {means['parameters_percent']:.1f} % | {means['macs_percent']:.1f} % | "
            f"{means['component']:.2f} | {means['restricted']:.2f} | {means['among_all']:.2f} |"
        )
    return "\n".join([*lines, ""])
