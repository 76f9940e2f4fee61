"""A second opinion on what is coupled: Torch-Pruning's dependency graph, which follows autograd, not an export."""

import multiprocessing
import resource
import warnings
from collections import defaultdict
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.apart import Stopped, apart
from model_lego.graph import ChannelGraph, Layer

#: layer and side ("in", "out") -> the positions that go when one channel goes.
Reach = dict[tuple[str, str], frozenset[int]]

AGREES = "agrees"
PROCESSES = multiprocessing.get_context("fork")  # the network and its graph are there already
SECONDS, OF_A_PROCESSOR = 300, 60  # of some networks it makes lists until the memory is full


def opinion_in_time(model: nn.Module, graph: ChannelGraph, images: Tensor) -> str:
    """The second opinion, asked in a process of its own; what takes more than a minute has none."""
    limits = {resource.RLIMIT_CPU: OF_A_PROCESSOR}
    try:
        opinion: str = apart(PROCESSES, partial(second_opinion, model, graph, images), seconds=SECONDS, limits=limits)
    except Stopped as error:
        return f"fails: gives no answer in {OF_A_PROCESSOR} s of a processor: {error}"
    return opinion


def second_opinion(model: nn.Module, graph: ChannelGraph, images: Tensor) -> str:
    """Ask which layers, and which of their positions, one channel of each cuttable group reaches.

    Gives "agrees", or what is different, or how Torch-Pruning failed. Of channels in balanced blocks only the layers
    are compared: there it adds channels of its own choice.
    """
    import torch_pruning as tp

    modules = dict(model.named_modules())
    names = {module: name for name, module in modules.items()}
    balanced = torch.zeros(graph.width, dtype=torch.bool)
    for balance in graph.balances:
        balanced[balance.blocks] = True
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        try:
            theirs = tp.DependencyGraph().build_dependency(model, example_inputs=images[:1])
        except Exception as error:  # whatever it stumbles over
            return f"fails: {type(error).__name__}: {error}"
        for layer, place in asked(graph):
            channel = int(layer.outputs[place])
            expected = our_reach(graph, channel)
            try:
                pruner = theirs.get_pruner_of_module(modules[layer.name])
                group = theirs.get_pruning_group(modules[layer.name], pruner.prune_out_channels, idxs=[place])
            except Exception as error:
                return f"fails at '{layer.name}': {type(error).__name__}: {error}"
            found = their_reach(group, names)
            if bool(balanced[channel]):
                if expected.keys() != found.keys():
                    return _difference(layer, expected, found)
            elif expected != found:
                return _difference(layer, expected, found)
    return AGREES


def asked(graph: ChannelGraph) -> list[tuple[Layer, int]]:
    """For each group in which something can be cut: a layer that writes it, and a cuttable place in the middle."""
    found: dict[int, tuple[Layer, int]] = {}
    for layer in graph.layers:
        places = graph.cuttable[layer.outputs].nonzero().reshape(-1)
        if len(places) and not _depthwise(layer):
            place = int(places[len(places) // 2])
            found.setdefault(int(graph.group_of[layer.outputs[place]]), (layer, place))
    return list(found.values())


def _depthwise(layer: Layer) -> bool:
    return layer.groups > 1 and layer.groups == len(layer.inputs)


def our_reach(graph: ChannelGraph, channel: int) -> Reach:
    """What one channel of the graph reaches."""
    reach: dict[tuple[str, str], set[int]] = defaultdict(set)
    for layer in graph.layers:
        name = layer.name.partition("#")[0]
        sides = (("out", layer.outputs),) if _depthwise(layer) else (("out", layer.outputs), ("in", layer.inputs))
        for side, channels in sides:
            places = (channels == channel).nonzero().reshape(-1).tolist()
            if places:
                reach[name, side].update(places)
    return {key: frozenset(places) for key, places in reach.items()}


def their_reach(group: object, names: dict[nn.Module, str]) -> Reach:
    """What a group of Torch-Pruning reaches."""
    reach: dict[tuple[str, str], set[int]] = defaultdict(set)
    for dependency, places in group:  # type: ignore[attr-defined]
        module = dependency.target.module
        if not hasattr(module, "weight") or module.weight.dim() < 2 or module not in names:
            continue
        side = "in" if "in_channels" in dependency.handler.__name__ else "out"
        reach[names[module], side].update(int(getattr(place, "idx", place)) for place in places)
    return {key: frozenset(places) for key, places in reach.items()}


def _difference(layer: Layer, ours: Reach, theirs: Reach) -> str:
    for words, keys in (("only ours", ours.keys() - theirs.keys()), ("only theirs", theirs.keys() - ours.keys())):
        if keys:
            name, side = sorted(keys)[0]
            return f"differs at '{layer.name}': {words} reaches '{name}' ({side}) and {len(keys) - 1} more"
    name, side = next(key for key in sorted(ours) if ours[key] != theirs[key])
    return f"differs at '{layer.name}': other positions of '{name}' ({side})"
