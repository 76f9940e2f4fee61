"""Criteria to choose channels by, at equal size: their part of the page."""

from typing import Any

TITLES = {
    "reconstruction": "reconstruction (the default of budgets)",
    "count": "the paper's counts",
    "contribution": "soft relative contribution",
    "energy": "contribution x activation energy",
    "taylor": "Taylor",
    "magnitude": "L1 magnitude",
    "random": "random",
}
HEAD = """## Criteria

Written by `python -m benchmarks.run criteria`, for the networks that are named to it, from
`benchmarks/results/criteria.json`. Channels for bird, cat and deer by several criteria at equal size, accuracy in % on
held-out training images. Three figures each: with the widths that reconstruction gives all criteria, repaired; the same
without repair; repaired, with widths by one threshold for the criterion's own scores, normalised in each group.
"""


def text(networks: dict[str, Any]) -> str:
    """The part of the page about these networks."""
    return "\n".join([HEAD, *(_table(name, found) for name, found in networks.items())])


def _table(name: str, found: dict[str, Any]) -> str:
    sizes = found["sizes"]
    heads = [f"{size['parameters_percent']:.0f} % of the parameters, {size['macs_percent']:.0f} %" for size in sizes]
    whole = f"{found['of']} classes, {found['held_out_images']} images, source restricted: {found['restricted']:.1f}"
    lines = [
        f"| {name} ({whole}) | {' | '.join(f'{head} of the multiply-adds' for head in heads)} |",
        "| --- |" + " ---: |" * len(sizes),
    ]
    for key, title in TITLES.items():
        if all(key in size for size in sizes):
            cells = [
                " / ".join(f"{size[key][what]:.1f}" for what in ("repaired", "cut", "one threshold")) for size in sizes
            ]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
