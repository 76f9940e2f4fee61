"""docs/coverage.md: a row for each network."""

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.coverage.check import Result
from benchmarks.coverage.networks import networks, transformers
from benchmarks.coverage.opinion import AGREES

ENOUGH = 0.5  # share of the parameters that should be cuttable
SMALL = 6_000_000  # parameters
MEMORY = 2.5  # largest peak memory that is wanted, in parts of the model with its activations
TIMED = {"ResNet-50": "torchvision:resnet50", "EfficientNet-B0": "torchvision:efficientnet_b0"}
HEAD = (
    "Every convolutional classifier of torchvision, and the smallest of each kind in timm's convolutional families,",
    "tried by `make coverage` with random weights and random norms in float64. A network *passes* when two random",
    "cuts of about half of each group equal the source with the dropped channels zeroed (to 1e-8 of the largest",
    "logit, to 1e-5 where the forward computes a part in single precision whatever it is given, while the mask",
    "changes more than 1e-3), a cut of half of each group takes at least 30 % of the parameters, its cost is as",
    "counted before, contributions are finite, two components side by side and, where it applies, padded into one",
    "give their logits unchanged, and a saved component comes back bit by bit. Weights that a network computes in",
    "each pass are made plain first (`canonize`). *Cuttable* is the share of the parameters that goes when every",
    "group is cut to its least; *half* the share that goes when half of each group is asked for. What fails is an",
    "error with its reason, never a network that is wrong; a process that was killed had no memory left (24 GB).",
    "All figures and full reasons: `benchmarks/results/coverage.json`.",
)
TOKENS = (
    "Transformers and hybrids, the smallest network of each family. Streams, heads, channels within them, hidden",
    "layers and convolutions are cut by the same table ([how](decisions/attention-in-heads.md)). They count apart.",
)


def page(results: Sequence[Result]) -> str:
    """Write the results as a page."""
    families = networks() | transformers()
    ours = [result for result in results if result.name in networks()]
    tokens = [result for result in results if result.name in transformers()]
    return "\n".join(
        [
            "# Coverage",
            "",
            *HEAD,
            "",
            *_summary("torchvision", [result for result in ours if result.name.startswith("torchvision")]),
            *_summary("timm", [result for result in ours if result.name.startswith("timm")]),
            _costs(ours),
            _opinions(ours),
            "",
            *_table(ours, families),
            "",
            "## Networks of tokens",
            "",
            *TOKENS,
            "",
            *_summary("the smallest of each family", tokens),
            "",
            *_table(tokens, families),
            "",
        ]
    )


def _summary(kind: str, ours: Sequence[Result]) -> list[str]:
    families = {(networks() | transformers())[result.name] for result in ours}
    passing = [result for result in ours if not result.error]
    enough = [result for result in passing if result.cuttable >= ENOUGH]
    share = f" ({100 * len(enough) / len(ours):.1f} %)" if ours else ""
    return [
        f"- {kind}: {len(ours)} networks of {len(families)} families; {len(passing)} pass, {len(enough)}{share} with "
        f"at least half of their parameters cuttable; {sum(result.wrong for result in ours)} wrong"
    ]


def _costs(ours: Sequence[Result]) -> str:
    passing = [result for result in ours if not result.error]
    seconds = {result.name: result.trace_seconds + result.cut_seconds for result in passing}
    named = [f"{name} {seconds[key]:.1f} s" for name, key in TIMED.items() if key in seconds]
    memory = sorted(result.memory for result in passing)
    over = sorted((result for result in passing if result.memory > MEMORY), key=lambda result: -result.memory)
    small = sum(result.parameters < SMALL for result in over)
    worst = ", ".join(f"{result.name} {result.memory:.1f}" for result in over[:3])
    tenth = sorted(seconds.values())[9 * len(seconds) // 10]
    return (
        "- to trace and cut, one thread, float64, beside another network on the other core: median "
        f"{median(seconds.values()):.1f} s, nine of ten within {tenth:.1f} s, {', '.join(named)}\n"
        "- peak memory of that, in parts of the model with all activations of two images: median "
        f"{median(memory):.1f}; above {MEMORY} for {len(over)} networks ({worst} the most), {small} of them with less "
        f"than {SMALL // 10**6} million parameters, where the tens of MiB that torch.export and scipy take for "
        "themselves weigh. With images of their own size all of these stay below (`python -m benchmarks.run tracing`)"
    )


def _opinions(ours: Sequence[Result]) -> str:
    asked = [result for result in ours if result.opinion]
    agree = sum(result.opinion == AGREES for result in asked)
    fails = sum(result.opinion.startswith("fails") for result in asked)
    return (
        f"- Torch-Pruning's dependency graph ties the same channels together in {agree} of {len(asked)} networks; it "
        f"fails on {fails} and differs on {len(asked) - agree - fails}, where slice == mask holds for our cut"
    )


def _table(results: Sequence[Result], families: Mapping[str, str]) -> list[str]:
    head = (
        *("network", "family", "parameters", "result", "cuttable", "half", "frozen groups", "padded"),
        *("Torch-Pruning", "kept whole"),
    )
    rows = [" | ".join(head), " | ".join("---" for _ in head)]
    for result in results:
        rows.append(
            " | ".join(
                (
                    result.name,
                    families[result.name],
                    f"{result.parameters / 1e6:.1f} M",
                    _plain(result.error) or "passes",
                    f"{100 * result.cuttable:.0f} %",
                    f"{100 * result.half:.0f} %",
                    f"{result.frozen_groups} of {result.groups}",
                    "equal" if result.padded == "equal" else "refused" if result.padded else "",
                    result.opinion.partition(" ")[0].rstrip(":"),
                    _plain("; ".join(result.reasons)),
                )
            )
        )
    return [f"| {row} |" for row in rows]


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
