"""docs/coverage.md: a row for each network."""

from collections.abc import Sequence
from statistics import median

from benchmarks.coverage.check import Result
from benchmarks.coverage.networks import networks

ENOUGH = 0.5  # share of the parameters that should be cuttable


def page(results: Sequence[Result]) -> str:
    """Write the results as a page."""
    return "\n".join(
        [
            "# Coverage",
            "",
            "Every classifier of torchvision without tokens, and the smallest of each kind in timm's convolutional "
            "families, tried by `make coverage` in float64 with random weights and random norms. A network *passes* "
            "when two random cuts of about half of each group equal the source with the dropped channels zeroed (to "
            "1e-8 of the largest logit, while the mask changes more than 1e-3), its contributions are finite, two "
            "components side by side and, where it applies, padded into one give their logits unchanged, and a saved "
            "component comes back bit by bit. *Cuttable* is the share of the parameters that goes when every group is "
            "cut to its least; *half* the share that goes when half of each group is asked for. Whatever fails is an "
            "error with its reason, never a network that is wrong. All figures: benchmarks/results/coverage.json.",
            "",
            *_summary("torchvision", results),
            *_summary("timm", results),
            f"Median time to trace and cut, one thread: {median(_seconds(results)):.1f} s.",
            "",
            *_table(results),
            "",
        ]
    )


def _summary(kind: str, results: Sequence[Result]) -> list[str]:
    ours = [result for result in results if result.name.startswith(kind)]
    families = {networks()[result.name] for result in ours}
    passing = [result for result in ours if not result.error]
    enough = [result for result in passing if result.cuttable >= ENOUGH]
    return [
        f"{kind}: {len(ours)} networks of {len(families)} families; {len(passing)} pass, {len(enough)} of them with at "
        f"least half of their parameters cuttable; {sum(result.wrong for result in ours)} wrong.",
        "",
    ]


def _seconds(results: Sequence[Result]) -> list[float]:
    return [result.trace_seconds + result.cut_seconds for result in results if not result.error] or [0.0]


def _table(results: Sequence[Result]) -> list[str]:
    head = ("network", "family", "parameters", "result", "cuttable", "half", "frozen groups", "padded", "kept whole")
    rows = [" | ".join(head), " | ".join("---" for _ in head)]
    for result in results:
        rows.append(
            " | ".join(
                (
                    result.name,
                    networks()[result.name],
                    f"{result.parameters / 1e6:.1f} M",
                    _plain(result.error) or "passes",
                    f"{100 * result.cuttable:.0f} %",
                    f"{100 * result.half:.0f} %",
                    f"{result.frozen_groups} of {result.groups}",
                    "equal" if result.padded == "equal" else "refused" if result.padded else "",
                    _plain("; ".join(result.reasons)),
                )
            )
        )
    return [f"| {row} |" for row in rows]


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
