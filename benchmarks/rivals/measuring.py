"""Cut and mend a network in everybody's way at equal multiply-adds, and measure each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks.compression.rivals import equally
from benchmarks.networks import Network
from benchmarks.rivals.hearing import contributions, grams
from benchmarks.rivals.methods import fold, folded, grail, group_norms, rescaled, thinet_scores
from model_lego.budgets.criteria import magnitudes
from model_lego.budgets.removal_order import Shrinking
from model_lego.budgets.search import shrinking
from model_lego.budgets.settings import CutSettings
from model_lego.budgets.trials import Trials
from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.verification import cut_of
from model_lego.graph import ChannelSelection, select
from model_lego.repairing.refitting import CALIBRATION, repair_cut

#: Equal multiply-adds: within this share of the limit, from below.
ALIKE = 0.03
#: Images that GRAIL publishes its figures with.
FEW = 128
#: What is measured of each: how it is called, whose channels it takes, and how it is mended.
OURS = "ours"
OUR_REPAIR = "our repair"
WAYS = (
    ("magnitude", "as cut"),
    ("magnitude", "BatchNorm estimated again"),
    ("magnitude", "GRAIL, 128 images"),
    ("magnitude", "GRAIL"),
    ("magnitude", OUR_REPAIR),
    ("DepGraph", "BatchNorm estimated again"),
    ("DepGraph", OUR_REPAIR),
    ("ThiNet", "its scales"),
    ("ThiNet", OUR_REPAIR),
    ("folding", "BatchNorm estimated again"),
    ("folding", OUR_REPAIR),
)


def everything(sizes: Iterable[float], seed: int) -> list[dict[str, Any]]:
    """What is measured of a network: everyone at each size, with widths of its own (`equally`) and with ours."""
    theirs = [(method, mended, widths) for widths in ("its own", OURS) for method, mended in WAYS]
    return [
        {"size": size, "seed": seed, "method": method, "mended": mended, "widths": widths}
        for size in sizes
        for method, mended, widths in [(OURS, OUR_REPAIR, OURS), *theirs]
    ]


def measured(network: Network, asked: Sequence[Mapping[str, Any]], seed: int) -> Iterator[dict[str, Any]]:
    """The rows that are asked for with their accuracy, all with one sample of training images.

    Raises AssertionError where costs are not equal.
    """
    images = sample(network, seed)
    way = shrinking(trials(network, images, seed), ml.Budget(macs=1.0))
    heard = grams(network.model, network.graph, images)
    few = grams(network.model, network.graph, images[:FEW])
    parts = contributions(network.model, network.graph, images, seed=seed)
    scores = {
        "magnitude": magnitudes(network.model, network.graph),
        "DepGraph": group_norms(network.model, network.graph),
        "ThiNet": thinet_scores(network.graph, parts),
    }
    mends: dict[str, Callable[[Cut], object]] = {
        "GRAIL": lambda cut: grail(cut, heard),
        "GRAIL, 128 images": lambda cut: grail(cut, few),
        "its scales": lambda cut: rescaled(cut, parts),
        OUR_REPAIR: lambda cut: repair_cut(cut, images, ml.RepairSettings(seed=seed)),
        "BatchNorm estimated again": lambda cut: repair_cut(cut, images, ml.RepairSettings(method="bn", seed=seed)),
        "as cut": lambda cut: None,
    }
    for row in asked:
        method = row["method"]
        ranked = scores.get("magnitude" if method == "folding" else method)
        theirs = way
        if ranked is not None:
            theirs = equally(way, ranked) if row["widths"] == "its own" else replace(way, within=ranked)
        chosen, onto = within(theirs, row["size"]), None
        if method == "folding":
            chosen, onto = folded(network.model, network.graph, chosen)
        cut = cut_of_network(network, chosen, images)
        if onto is not None:
            fold(cut, onto)
        mends[row["mended"]](cut)
        yield {**row, "images": len(images), "accuracy": network.accuracy(cut.module)}


def estimated_again(network: Network, seed: int) -> float:
    """Accuracy in % of the uncut source once its BatchNorm is estimated again on the images that others mend by."""
    images = sample(network, seed)
    graph = network.graph
    whole = select(graph, torch.ones(graph.width, dtype=torch.bool), logits=range(len(graph.head)))
    cut = cut_of_network(network, whole, images)
    repair_cut(cut, images, ml.RepairSettings(method="bn", seed=seed))
    return network.accuracy(cut.module)


def sample(network: Network, seed: int) -> Tensor:
    """As many training images as the repair takes by default, chosen by the seed."""
    images, _ = network.train
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order[:CALIBRATION]]


def trials(network: Network, images: Tensor, seed: int) -> Trials:
    """What a search for a size asks of a network, with nothing held out."""
    nothing = torch.empty(0)
    settings = CutSettings(seed=seed)
    return Trials(network.model, network.graph, network.labels, images, nothing, nothing, "", settings)


def within(way: Shrinking, size: float) -> ChannelSelection:
    """What is kept within a share of the multiply-adds; raises AssertionError where that is clearly less."""
    gone = way.within_budget(ml.Budget(macs=size))
    share = way.cost(gone).macs / way.whole.macs
    assert (1 - ALIKE) * size <= share <= size, (size, share)
    return way.after(gone)


def cut_of_network(network: Network, selection: ChannelSelection, images: Tensor) -> Cut:
    """A network cut to a selection, not mended."""
    module: nn.Module = slice_model(network.model, network.graph, selection).module.eval()
    return cut_of(module, network.model, network.graph, selection, images[:2])
