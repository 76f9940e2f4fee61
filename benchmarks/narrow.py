"""Where the points go on narrow networks: ideas for a better repair, alone and together, on held-out training images.

`python -m benchmarks.narrow [WORD …] [--size SHARE …] [--idea WORD …]` measures the networks, and the ideas, whose name
holds a word, all by default, and writes docs/narrow.md. No test image is looked at.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

import model_lego as ml
from benchmarks.common import RESULTS, ROOT, record
from benchmarks.compression.rivals import equally
from benchmarks.networks import Network, networks
from benchmarks.rivals.methods import group_norms
from model_lego.budgets.reconstruction import reconstruction
from model_lego.budgets.removal_order import Shrinking, removal_order
from model_lego.budgets.sensitivity import Band, Sense, sense
from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import kept_positions, ranks, slice_model
from model_lego.cutting.verification import cut_of
from model_lego.graph import ChannelSelection
from model_lego.repairing.refitting import repair_cut

SIZES, SEED = (0.73, 0.5), 0
#: Images that repair: as many as there are, to this number; a quarter of a small set is held out, and at most so many.
OWN, HELD = 1000, 3000
#: Photos of each class that are few, and the size from which scores are taken again.
FEW, BEFORE = (10, 30), 1.25
#: An idea: how it chooses, and the settings and images of each repair that follows.
Repairs = tuple[tuple[ml.RepairSettings, bool], ...]
PLAIN = ml.RepairSettings(strength=1e-2, seed=SEED, blend=False)
BASE, NOW = "lambda 0.01 in all layers", "lambda chosen a layer, and blends (the default)"
SETTINGS: dict[str, Repairs] = {
    BASE: ((PLAIN, False),),
    NOW: ((ml.RepairSettings(seed=SEED), False),),
    "lambda chosen a layer": ((replace(PLAIN, strength=None), False),),
    "lambda 0.01, and blends": ((replace(PLAIN, blend=True), False),),
    "lambda 0.001": ((replace(PLAIN, strength=1e-3), False),),
    "lambda 0.1": ((replace(PLAIN, strength=1e-1), False),),
    "lambda 0.3": ((replace(PLAIN, strength=3e-1), False),),
    "four times the rows": ((replace(PLAIN, rows=20, least_rows=40_000), False),),
    "mirrored images as well": ((PLAIN, True),),
    "mirrored, lambda 0.1": ((replace(PLAIN, strength=1e-1), True),),
    "repaired twice": ((PLAIN, False), (PLAIN, False)),
    "BatchNorm estimated again behind it": ((PLAIN, False), (ml.RepairSettings(method="bn"), False)),
}


class Bench:
    """One network, its images in two parts, and the scores of its channels."""

    def __init__(self, network: Network) -> None:
        self.network = network
        images, labels = network.train
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED))
        held = min(HELD, len(images) // 4)
        self.held, self.answers = images[order[:held]], network.places(labels[order[:held]])
        self.images = images[order[held:][:OWN]]
        self.places = network.places(labels[order[held:][:OWN]])
        self.wanted = network.logits(network.model, self.held)
        self.senses = self.sensed(self.images)
        self.scores = reconstruction(network.graph, self.senses)
        self.norms = group_norms(network.model, network.graph)

    def sensed(self, images: Tensor) -> Mapping[str, Sense]:
        """What is seen of the source on some images."""
        return sense(self.network.model, self.network.graph, images, classes=self.network.labels, seed=SEED)

    def within(
        self, scores: Tensor, size: float, *, alike: bool = False, ranked: Tensor | None = None
    ) -> ChannelSelection:
        """What is kept at a size, with widths by the scores or all alike; in each group the best by `ranked`."""
        model, graph = self.network.model, self.network.graph
        way = Shrinking(model, graph, self.network.labels, removal_order(model, graph, scores, ("macs",)))
        way = equally(way, scores) if alike else replace(way, within=ranked)
        return way.after(way.within_budget(ml.Budget(macs=size)))

    def both(self) -> Tensor:
        """Places of channels in their group, by the scores and by the norms of their weights, added."""
        ranked = torch.zeros_like(self.scores)
        for group in self.network.graph.groups:
            for values in (self.scores, self.norms):
                ranked[group.channels] += values[group.channels].argsort().argsort()
        return ranked

    def repaired(self, selection: ChannelSelection, images: Tensor, repairs: Repairs) -> Cut:
        """The cut network, after repairs."""
        module = slice_model(self.network.model, self.network.graph, selection).module.eval()
        cut = cut_of(module, self.network.model, self.network.graph, selection, images[:2])
        for settings, mirrored in repairs:
            cut, _ = repair_cut(cut, torch.cat([images, images.flip(3)]) if mirrored else images, settings)
        return cut

    def again(self, size: float) -> ChannelSelection:
        """Scores of what a somewhat larger network is once it is repaired, of its channels that are left."""
        graph, selection = self.network.graph, self.within(self.scores, min(1.0, BEFORE * size))
        cut = self.repaired(selection, self.images, SETTINGS[BASE])
        smaller = ml.trace(cut.module, self.images[:2])
        classes = list(range(len(self.network.labels)))
        found = reconstruction(smaller, sense(cut.module, smaller, self.images, classes=classes, seed=SEED))
        scores, rank = torch.zeros(graph.width, dtype=torch.float64), ranks(graph, selection)
        for layer, theirs in zip(graph.layers, smaller.layers, strict=True):
            scores[layer.inputs[kept_positions(layer.inputs, selection, rank)]] = found[theirs.inputs]
        return self.within(scores, size)

    def judged(self, cut: Cut) -> dict[str, float]:
        """Accuracy in %, divergence from the source's probabilities, on the held-out images."""
        logits = self.network.logits(cut.module, self.held)
        apart = F.kl_div(logits.log_softmax(1), self.wanted.log_softmax(1), reduction="batchmean", log_target=True)
        return {"accuracy": self.right(logits), "divergence": float(apart)}

    def right(self, logits: Tensor) -> float:
        """Accuracy in % on the held-out images."""
        return 100 * float((logits.argmax(1) == self.answers).double().mean())

    def some(self, count: int) -> Tensor:
        """So many images of each class, or all that there are."""
        return torch.cat([self.images[self.places == place][:count] for place in range(len(self.network.labels))])


def ideas(bench: Bench, size: float) -> dict[str, Callable[[], Cut]]:
    """Each idea, and how the cut network comes about."""
    graph, plain = bench.network.graph, bench.within(bench.scores, size)
    chosen: dict[str, Callable[[], ChannelSelection]] = {
        "correlations believed as they are": lambda: bench.within(reconstruction(graph, bench.senses, caution=0), size),
        "shrunk by chance three times": lambda: bench.within(reconstruction(graph, bench.senses, caution=3), size),
        "what is alike over an image not told apart": lambda: bench.within(
            reconstruction(graph, {name: _whole(seen) for name, seen in bench.senses.items()}), size
        ),
        "all widths alike": lambda: bench.within(bench.scores, size, alike=True),
        "channels by the norm of their weights (DepGraph), our widths": lambda: bench.within(
            bench.scores, size, ranked=bench.norms
        ),
        "channels by ranks of both": lambda: bench.within(bench.scores, size, ranked=bench.both()),
        "roots of the scores": lambda: bench.within(bench.scores.sqrt(), size),
        f"scores again from the repaired {BEFORE:g}-fold": lambda: bench.again(size),
    }

    def few(count: int, repairs: Repairs) -> Cut:
        images = bench.some(count)
        return bench.repaired(bench.within(reconstruction(graph, bench.sensed(images)), size), images, repairs)

    made: dict[str, Callable[[], Cut]] = {}
    for name, repairs in SETTINGS.items():
        made[name] = partial(bench.repaired, plain, bench.images, repairs)
    for name, choose in chosen.items():
        made[name] = lambda choose=choose: bench.repaired(choose(), bench.images, SETTINGS[BASE])  # type: ignore[misc]
    for count in FEW:
        made[f"{count} images a class"] = partial(few, count, SETTINGS[BASE])
        made[f"{count} images a class, lambda chosen, and blends"] = partial(few, count, SETTINGS[NOW])
    return made


def measured(bench: Bench, size: float, words: Sequence[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """Each idea whose name holds a word, all without words, and what it gives."""
    for name, made in ideas(bench, size).items():
        if not words or any(word in name for word in words):
            yield name, bench.judged(made())


def _whole(seen: Sense) -> Sense:
    """The same with one band: positions as if they had nothing to do with each other."""
    if len(seen.bands) < 2:
        return seen
    between, within = seen.bands
    covariance, slopes = between.covariance + within.covariance, between.slopes / seen.positions + within.slopes
    return replace(seen, bands=(Band(covariance, slopes, within.chance),))


def main() -> None:
    """Measure, record, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="of the names of networks")
    parser.add_argument("--size", type=float, nargs="*", default=SIZES, help="shares of the multiply-adds")
    parser.add_argument("--idea", nargs="*", default=(), help="words of the names of ideas")
    given = parser.parse_args()
    path = RESULTS / "narrow.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"networks": {}}
    for network in networks():
        if given.words and not any(word in network.name for word in given.words):
            continue
        bench = Bench(network)
        about = {"source": bench.right(bench.wanted), "images": len(bench.images), "held_out": len(bench.held)}
        rows: dict[str, dict[str, Any]] = result["networks"].get(network.name, {}).get("rows", {})
        result["networks"][network.name] = about | {"seed": SEED, "rows": rows}
        for size in given.size:
            for name, row in measured(bench, size, given.idea):
                rows.setdefault(name, {})[f"{size:g}"] = row
                print(network.name, size, name, row, flush=True)
                record("narrow", result, show=False)
    (ROOT / "docs" / "narrow.md").write_text(page(result))


HEAD = """# Narrow networks

Where the points of a budget go on narrow and depthwise networks: ideas for widths and repair, each measured on
training images that neither chose channels nor repaired ({how}; seed {seed}). Of each size (share of the source's
multiply-adds) accuracy in %, and the divergence from the source's probabilities, which tells more where nearly all
answers are right. Networks know most of their training images by heart, so accuracies are higher than on test images.
What is empty was not measured. Ideas are measured beside one lambda of 0.01, which was the default; today
[each layer chooses its own](decisions/lambda-by-halves.md), and
[blends of photos](decisions/blends-fit-as-photos-would.md) fit as well.

Written by `python -m benchmarks.narrow`. What is taken up, what is not, and why:
[what was tried](decisions/what-repair-tried.md).
"""


def page(result: dict[str, Any]) -> str:
    """The page as Markdown."""
    found = result["networks"]
    parts = [HEAD.format(how=f"at most {OWN:,} for both, at most {HELD:,} held out", seed=SEED)]
    for name, about in found.items():
        sizes = sorted({size for row in about["rows"].values() for size in row}, key=float, reverse=True)
        parts += [
            f"## {name}",
            "",
            f"Source {about['source']:.1f} %; {about['images']:,} images, {about['held_out']:,} held out.",
            "",
            f"| idea | {' | '.join(f'{100 * float(size):g} %' for size in sizes)} |",
            f"| --- | {' | '.join('---' for _ in sizes)} |",
            *(
                f"| {idea} | {' | '.join(_cell(row.get(size)) for size in sizes)} |"
                for idea, row in sorted(about["rows"].items(), key=_order)
            ),
            "",
        ]
    return "\n".join(parts)


def _order(row: tuple[str, Any]) -> tuple[bool, str]:
    """What is compared with first, then by name, as records have it."""
    return row[0] != BASE, row[0]


def _cell(row: dict[str, float] | None) -> str:
    return "" if row is None else f"{row['accuracy']:.1f}, {row['divergence']:.3f}"


if __name__ == "__main__":
    main()
