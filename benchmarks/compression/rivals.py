"""Who is compared: ways to choose channels, each with widths of its own, priced alike."""

import warnings
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.budgets.removal_order import Shrinking
from model_lego.graph import ChannelGraph

#: How many channels each layer keeps: as `compress` says, the same share of all, or by one threshold for all.
OURS, EQUAL, GLOBAL = "ours", "equal", "global"


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """A criterion with widths; `way` says which channels go first."""

    name: str
    widths: str
    way: Shrinking

    @property
    def compress(self) -> bool:
        """Whether this is what compress does."""
        return (self.name, self.widths) == ("reconstruction", OURS)

    @property
    def own(self) -> bool:
        """Whether the widths belong to the criterion."""
        return self.compress or self.widths != OURS


def rivals(
    way: Shrinking, ours: Mapping[str, Tensor], images: Tensor, labels: Tensor, *, head: str, seed: int
) -> list[Rival]:
    """Everyone, `compress` first.

    `way` is that of compress; `ours` are scores of our criteria, by name. Scores of Torch-Pruning, which need images
    with labels for the Taylor expansion, get the widths that it gives them; HRank, which it does not have, ours of it.
    """
    theirs = importances(way.model, way.graph, images, labels, head=head, seed=seed)
    found = [Rival("reconstruction", OURS, way)]
    found += [Rival(name, OURS, replace(way, within=scores)) for name, scores in ours.items()]
    found += [Rival(name, EQUAL, equally(way, scores)) for name, scores in theirs.items()]
    found.append(Rival("hrank", EQUAL, equally(way, ours["hrank"])))
    return [*found, Rival("taylor", GLOBAL, by_threshold(way, theirs["taylor"]))]


def equally(way: Shrinking, scores: Tensor) -> Shrinking:
    """The same share of each group goes, those with the lowest scores."""
    graph = way.graph
    places = torch.zeros(graph.width, dtype=torch.float64)
    for group in graph.groups:
        order = group.channels[scores[group.channels].argsort(stable=True)]
        places[order] = torch.arange(1, len(order) + 1, dtype=torch.float64) / len(order)
    return by_threshold(way, places)


def by_threshold(way: Shrinking, scores: Tensor) -> Shrinking:
    """One threshold for all channels."""
    order = scores.argsort(stable=True)
    return replace(way, within=None, order=order[way.graph.cuttable[order]])


def importances(
    model: nn.Module, graph: ChannelGraph, images: Tensor, labels: Tensor, *, head: str, seed: int
) -> dict[str, Tensor]:
    """Torch-Pruning's importance of each channel, as its classes come (L1 where there is a norm), by our names."""
    import torch_pruning as tp

    twin = deepcopy(model).eval()
    kinds = {
        "fpgm": tp.importance.FPGMImportance(),
        "magnitude": tp.importance.MagnitudeImportance(p=1),
        "taylor": tp.importance.TaylorImportance(),
        "random": tp.importance.RandomImportance(),
    }
    with warnings.catch_warnings(), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        for some, answers in zip(images.split(100), labels.split(100), strict=True):
            F.cross_entropy(twin(some), answers, reduction="sum").div(len(images)).backward()
        graph_of = tp.DependencyGraph().build_dependency(twin, example_inputs=images[:1])
        names = {module: name for name, module in twin.named_modules()}
        found = {name: torch.zeros(graph.width, dtype=torch.float64) for name in kinds}
        for group in graph_of.get_all_groups(ignored_layers=[twin.get_submodule(head)]):
            channels = graph.layer(names[group[0].dep.target.module]).outputs
            for name, importance in kinds.items():
                found[name][channels] = importance(group).detach().double()
    return found
