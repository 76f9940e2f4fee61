"""docs/foreign.md: counts, the reasons of refusals and of what is kept whole, packages, and a row for each network."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from benchmarks.foreign.check import CRASHED, NOT_DONE, REFUSED, RIGHT, SEED, WRONG, Result
from benchmarks.foreign.networks import Package, networks

LITTLE = 0.01  # share of the parameters
MOST = 5  # reasons that are named
HEAD = (
    "Published image classifiers of many authors, from packages of PyPI, tried by `make foreign` with random weights",
    "and random norms. Each is traced; a random half of each group is cut; the cut network equals the source with the",
    "dropped channels zeroed, at two sizes of images (one, where a network takes no other), to 1e-8 of the largest",
    "logit in float64 (1e-3 where a network runs in float32 only), while the mask changes more than 1e-3;",
    "contributions are finite, and those of up to some six layers equal the slow oracle's; saved and loaded through",
    "`factory=` it gives the same logits bit by bit. A network is *right* when all of this holds, *refused* when the",
    "library says no with a reason, *wrong* when something differs, *crashed* when any other exception comes out, and",
    "*not done* when it took more than 300 s of a processor or 8 GiB. Networks that answer with an",
    "object, a dict or a tuple are given as they are.",
    "",
    "The packages are no dependency of this project: `make foreign` puts them into an environment of their own beside",
    "it (`benchmarks/foreign/requirements.txt`). A run that was stopped goes on where it was; `make foreign ARGS=vit`",
    "tries those with that word in their name. All figures: `benchmarks/results/foreign.json`; the list with its",
    "reasons: `benchmarks/foreign/networks.yaml`.",
)


def page(results: Sequence[Result]) -> str:
    """Write the results as a page."""
    refused = [result for result in results if result.outcome == REFUSED]
    right = [result for result in results if result.outcome == RIGHT]
    return "\n".join(
        [
            "# Foreign networks",
            "",
            *HEAD,
            "",
            *_counts(results),
            "",
            "## Why networks are refused",
            "",
            *_frequent(_reason(result) for result in refused),
            "",
            "## Why channels are kept whole in the others",
            "",
            *_frequent(reason for result in right for reason in result.reasons),
            "",
            "## By package",
            "",
            *_packages(results),
            "",
            "## Networks",
            "",
            *_table(results),
            "",
        ]
    )


def _counts(results: Sequence[Result]) -> list[str]:
    counts = Counter(result.outcome for result in results)
    right = [result for result in results if result.outcome == RIGHT]
    two, exact = (sum(len(r.sides) > 1 for r in right), sum(r.dtype == "float64" for r in right))
    layers = sum(result.oracle_layers for result in right)
    return [
        f"- {len(results)} networks of {len({_package(result).name for result in results})} packages: "
        f"{counts[RIGHT]} right, {counts[REFUSED]} refused, {counts[WRONG]} wrong, {counts[CRASHED]} crashed, "
        f"{counts[NOT_DONE]} not done",
        f"- of those that are right {sum(r.half < LITTLE for r in right)} are kept nearly whole: half of each group is "
        f"less than {100 * LITTLE:.0f} % of the parameters",
        f"- of those that are right {two} at two sizes, {exact} in float64, {sum(r.canonized for r in right)} with "
        "weights made plain first (`canonize`); the contributions of "
        f"{layers} layers were compared with the oracle's",
        f"- seed {SEED}; largest difference to the masked source in float64 "
        f"{max((result.difference for result in right if result.dtype == 'float64'), default=0):.1g} of a logit",
    ]


def _frequent(reasons: Iterable[str]) -> list[str]:
    """The most frequent reasons, each with the number of its networks."""
    return [f"- {count}: {reason}" for reason, count in Counter(reasons).most_common(MOST)] or ["- none"]


def _reason(result: Result) -> str:
    """The reason of a refusal without the names of this one network's layers."""
    words = _plain(result.error).split("'")
    return f"{result.kind}: {'…'.join(words[::2])}"


def _packages(results: Sequence[Result]) -> list[str]:
    rows = ["package | version | author | networks | right | refused | why it was chosen", " | ".join(["---"] * 7)]
    for package, of in groupby(results, _package):
        mine = Counter(result.outcome for result in of)
        rows.append(
            f"{package.name} | {package.version} | {package.author} | {mine.total()} | {mine[RIGHT]} | "
            f"{mine[REFUSED]} | {package.why}"
        )
    return [f"| {row} |" for row in rows]


def _table(results: Sequence[Result]) -> list[str]:
    rows = ["network | parameters | sizes | result | half | frozen groups | kept whole", " | ".join(["---"] * 7)]
    for result in results:
        said = f"{result.outcome}: {_plain(result.error)}" if result.error else result.outcome
        cells = (
            result.name,
            f"{result.parameters / 1e6:.1f} M",
            ", ".join(map(str, result.sides)),
            said,
            f"{100 * result.half:.0f} %",
            f"{result.frozen_groups} of {result.groups}",
            _plain("; ".join(result.reasons)),
        )
        rows.append(" | ".join(cells))
    return [f"| {row} |" for row in rows]


def _package(result: Result) -> Package:
    return networks()[result.name].package


def _plain(text: str) -> str:
    return " ".join(text.partition("\n")[0].replace("|", "/").split())
