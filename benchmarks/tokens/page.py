"""docs/tokens.md, written from the recorded result."""

from collections.abc import Mapping
from typing import Any

HEAD = """# Networks of tokens

A ConvNeXt and a vision transformer, trained here on 15,000 images of CIFAR-10 (`python -m benchmarks.trained
convnext-cifar10 vit-cifar10`; the recipes are in `benchmarks/trained.py`, the weights in `docs/results/sources`, in
half precision). So few images make weak networks; what counts here is how much of them stays. Everybody chooses and
mends by the same {images} training images of the classes with seed {seed}, without training, at equal multiply-adds
(within 3 %, from below; products of queries and keys are not counted for anybody). Accuracy in % on test images that
serve nothing else, among the classes of the component.

- **Ours** cuts streams, heads, channels of queries, keys and values, and hidden channels of MLPs, whatever is worth
  least for its cost.
- **CORP** (2026; ours from what its abstract says, `benchmarks/tokens/corp.py`, channels ranked by energy)
  cuts the same share of all hidden channels, and of queries and keys, and predicts what goes from what stays by affine
  ridge on the values of the uncut network.
- **Magnitude** and **random** cut the same share of everything but whole heads.

Written by `python -m benchmarks.tokens` from what it records in `benchmarks/results/tokens.json`.
"""


def page(result: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    rows = [row for about in result["networks"].values() for task in about["tasks"].values() for row in task["rows"]]
    images, seed = (rows[0][key] if rows else 0 for key in ("images", "seed"))
    parts = [HEAD.format(images=f"{images:,}", seed=seed)]
    parts += [_network(name, about) for name, about in result["networks"].items()]
    if result["joined"]:
        parts.append(_joined(result["joined"]))
    return "\n".join(parts)


def _network(name: str, about: Mapping[str, Any]) -> str:
    tasks = about["tasks"]
    methods = dict.fromkeys(row["method"] for task in tasks.values() for row in task["rows"])
    sizes = dict.fromkeys(row["size"] for task in tasks.values() for row in task["rows"])
    lines = [f"## {name}", "", f"{about['parameters']:,} parameters.", ""]
    lines += [f"| within | {' | '.join(tasks)} |", f"| --- |{' --- |' * len(tasks)}"]
    lines.append(f"| source, restricted | {' | '.join(format(task['restricted'], '.2f') for task in tasks.values())} |")
    for size in sizes:
        for method in methods:
            cells = [_cell(task["rows"], method, size) for task in tasks.values()]
            lines.append(f"| {method}, {100 * size:g} % | {' | '.join(cells)} |")
    tested = ", ".join(f"{task['test_images']:,}" for task in tasks.values())
    return "\n".join([*lines, "", f"Test images: {tested}. Bold: the best of a column.", ""])


def _cell(rows: list[Mapping[str, Any]], method: str, size: float) -> str:
    here = {row["method"]: row["accuracy"] for row in rows if row["size"] == size}
    if method not in here:
        return ""
    return f"**{here[method]:.2f}**" if here[method] == max(here.values()) else f"{here[method]:.2f}"


def _joined(joined: Mapping[str, Any]) -> str:
    lines = [
        "## Joined with convolutional networks",
        "",
        "Classes 0 to 4 of the first, 5 to 9 of the second, each part within half of its multiply-adds, as one "
        "classifier of ten; the uncut sources restricted to the same classes and joined alike.",
        "",
        "| networks | components, calibrated | uncut sources, calibrated | components, as they are | "
        "uncut sources, as they are |",
        "| --- | --- | --- | --- | --- |",
    ]
    kinds = [f"{what}, {how}" for how in ("calibrated", "as they are") for what in ("components", "uncut sources")]
    for name, row in joined.items():
        lines.append(f"| {name} | {' | '.join(format(row[kind], '.2f') for kind in kinds)} |")
    first = next(iter(joined.values()))
    told = f"{first['calibration_a_class']} training images of each class calibrate; {first['test_images']:,} test."
    return "\n".join([*lines, "", told, ""])
