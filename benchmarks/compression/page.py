"""docs/compression.md, written from the recorded result."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from benchmarks.compression.rivals import EQUAL, GLOBAL, OURS

#: A criterion with its widths.
Who = tuple[str, str]
COMPRESS: Who = ("reconstruction", OURS)
#: Widths that are not ours, and all.
APART, EVERY = (EQUAL, GLOBAL), (OURS, EQUAL, GLOBAL)
#: What is measured of each row: how it was made, and the heading.
MEASURES = {
    "cut": "cut",
    "repaired": "repaired",
    "cut_tuned": "cut, fine-tuned",
    "repaired_tuned": "repaired, fine-tuned",
}
NAMES = {
    "reconstruction": "reconstruction",
    "fpgm": "FPGM",
    "hrank": "HRank",
    "magnitude": "L1 magnitude",
    "taylor": "Taylor",
    "random": "random",
}
WIDTHS = {OURS: "of `compress`", EQUAL: "equal shares", GLOBAL: "one threshold"}
HEAD = """# Compression

`compress` makes a network smaller and keeps all of its classes, without training
([tutorial](tutorials/compression.md)). Here it stands beside other criteria at equal multiply-adds (within 1 %).

{network}: {source:.2f} % of {test_images:,} test images right uncut. Each row is
cut to the limit of multiply-adds and measured as it is ("cut"), repaired in closed form on 1,000 training images, as
`compress` does by default ("repaired"){tuning}. Accuracy in % on the test images,
which serve for nothing else; with several seeds of the calibration sample the mean and, behind ±, the standard
deviation.

*Widths* say how many channels each layer keeps: those that `compress` finds; equal shares of all layers, as FPGM and
HRank are published and as Torch-Pruning does by default; or one threshold for all layers, Torch-Pruning's global
pruning. In the latter two the scores of FPGM, L1, Taylor and random are Torch-Pruning's, as its classes come; all else
is `model_lego.budgets.criteria`. HRank is the average rank of feature maps over 500 images.

Written by `python -m benchmarks.run compression` from what it records in `benchmarks/results/compression.json`.
"""
TUNING = """, and both fine-tuned, everybody alike and each with its own widths:
{epochs} epochs of SGD on {images:,} training images, one cycle up to a rate of {rate:g}"""
WHY = """\
Most of it is the repair: it lifts most cuts by tens of points, and without it the widths of `compress`, which are
chosen for it, are worth nothing. What is left between criteria at the same widths is small, since the repair makes
other channels serve; fewer multiply-adds tell them apart. Two epochs of fine-tuning on a few thousand images take away
more than they give where the repair was there before, most from the network with the fewest parameters; for cuts
without repair they are worth a lot.
"""
PICTURE = """![Accuracy against multiply-adds: as cut, and after the repair](figures/compression.svg)

Lines: a criterion with its own widths. Faint: the other criteria with the widths of `compress`.
"""


def page(result: Mapping[str, Any]) -> str:
    """Write the result as a page."""
    rows = result["rows"]
    head = HEAD.format(
        network=result["network"],
        source=result["source"],
        test_images=result["test_images"],
        tuning=_tuning(result),
    )
    sizes = sorted({row["size"] for row in rows}, reverse=True)
    parts = [head, "## What comes out\n", *_summary(result), "", WHY, PICTURE]
    for size in sizes:
        parts += [
            f"## {100 * size:g} % of the multiply-adds\n",
            *_table([row for row in rows if row["size"] == size]),
            "",
        ]
    return "\n".join(parts)


def _tuning(result: Mapping[str, Any]) -> str:
    """How everybody was fine-tuned, if anybody was."""
    if not any("repaired_tuned" in row for row in result["rows"]):
        return ""
    settings = result["tuning"]
    return TUNING.format(epochs=settings["epochs"], images=result["train_images"], rate=settings["learning_rate"])


def everyone(rows: Iterable[Mapping[str, Any]]) -> dict[Who, list[Mapping[str, Any]]]:
    """Rows by criterion and widths, in the order in which these appear."""
    found: dict[Who, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["criterion"], row["widths"]].append(row)
    return dict(found)


def average(rows: Iterable[Mapping[str, Any]], measure: str) -> float | None:
    """The mean over the rows that have a measure; None where none has."""
    values = [row[measure] for row in rows if measure in row]
    return mean(values) if values else None


def called(who: Who) -> str:
    """A criterion with its widths, in words."""
    return NAMES[who[0]] if who[1] == OURS else f"{NAMES[who[0]]}, {WIDTHS[who[1]]}"


#: What the others are given, the measure that holds it, and whose widths they have.
SUMMARY = (
    ("as cut", "cut", EVERY),
    ("their widths, our repair", "repaired", APART),
    ("our widths, our repair", "repaired", (OURS,)),
)
TUNED = (
    ("cut, then fine-tuned", "cut_tuned", APART),
    ("our repair, then fine-tuned", "repaired_tuned", APART),
)


def _summary(result: Mapping[str, Any]) -> list[str]:
    """How compress does, beside the best of the others: a row for each size, and one where it is fine-tuned."""
    lines = []
    for measure, columns in (("repaired", SUMMARY), ("repaired_tuned", TUNED)):
        rows = [row for row in result["rows"] if measure in row]
        if not rows:
            continue
        head = ("multiply-adds", "`compress`", *(f"best of the others: {words}" for words, *_ in columns))
        lines += ["", f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
        for size in sorted({row["size"] for row in rows}, reverse=True):
            found = everyone(row for row in rows if row["size"] == size)
            mine = average(found[COMPRESS], measure)
            assert mine is not None
            others = [_best(found, name, widths, mine) for _, name, widths in columns]
            value = f"**{mine:.2f}** ({mine - result['source']:+.2f} to the source)"
            lines.append(f"| {' | '.join((f'{100 * size:g} %', value, *others))} |")
    return lines[1:]


def _best(found: Mapping[Who, Sequence[Mapping[str, Any]]], measure: str, widths: Sequence[str], mine: float) -> str:
    """The best of the others with such widths, and how far it is from compress."""
    values = {who: average(rows, measure) for who, rows in found.items() if who != COMPRESS and who[1] in widths}
    known = [(value, who) for who, value in values.items() if value is not None]
    if not known:
        return "not measured"
    value, who = max(known, key=lambda pair: pair[0])
    return f"{value:.2f} ({value - mine:+.2f}), {called(who)}"


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A row for everyone; the best of each column in bold."""
    found = everyone(rows)
    shown = [measure for measure in MEASURES if any(measure in row for row in rows)]
    best = {measure: max(average(mine, measure) or 0 for mine in found.values()) for measure in shown}
    head = ("criterion", "widths", "multiply-adds", "parameters", *(MEASURES[measure] for measure in shown))
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for who, mine in found.items():
        costs = [f"{average(mine, cost):.1f} %" for cost in ("macs_percent", "parameters_percent")]
        figures = [_figure(mine, measure, best[measure]) for measure in shown]
        name = "`compress`" if who == COMPRESS else NAMES[who[0]]
        lines.append(" | ".join((name, WIDTHS[who[1]], *costs, *figures)))
    return [f"| {line} |" for line in lines]


def _figure(rows: Sequence[Mapping[str, Any]], measure: str, best: float) -> str:
    values = [row[measure] for row in rows if measure in row]
    if not values:
        return ""
    text = f"**{mean(values):.2f}**" if mean(values) == best else f"{mean(values):.2f}"
    return text + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")
