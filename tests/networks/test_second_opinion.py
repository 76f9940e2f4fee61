"""Where Torch-Pruning's dependency graph and ours differ on what goes together: slice == mask says who is right."""

import copy

import pytest
import torch
from torch import Tensor, nn

from benchmarks.coverage.check import enlivened
from benchmarks.coverage.opinion import AGREES, Reach, asked, our_reach, second_opinion, their_reach
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.graph import ChannelGraph, ChannelSelection
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs, traced
from tests.support.tiny_models import TINY, inputs

tp = pytest.importorskip("torch_pruning")
pytestmark = pytest.mark.filterwarnings("ignore")

#: Networks on which it fails; here there is nothing to compare.
FAILS = ("split_halves", "shuffles", "shuffles_bound")
#: Networks of which it cuts something else: what comes out does not run, or is not the masked source.
WRONG = (
    *("residual_pad", "depthwise_multiplier", "group_norm", "norm_groups", "norm_groups_grouped", "group_spread"),
    *("blur", "attention", "attention_fused", "attention_own_widths", "attention_bias_in_parts"),
    *("attention_over_channels", "attention_talking_heads", "positions_mixed", "group_spread_each"),
)
#: A network whose two layers share a weight: it cuts one of them and lets go of the tie, we keep it.
UNTIED = ("tied",)
#: Networks of which it ties more together than has to be: values to queries and keys, and one of timm.
COARSER = ("attention", "attention_own_widths", pytest.param("timm:dpn48b", marks=pytest.mark.zoo))


def dependencies(model: nn.Module, x: Tensor):
    """What Torch-Pruning reads of a network."""
    with torch.enable_grad():
        return tp.DependencyGraph().build_dependency(model, example_inputs=x[:1])


def group_of(theirs, model: nn.Module, layer: str, place: int):
    """Torch-Pruning's group for one output channel of a layer."""
    module = model.get_submodule(layer)
    return theirs.get_pruning_group(module, theirs.get_pruner_of_module(module).prune_out_channels, idxs=[place])


def first_difference(model: nn.Module, graph: ChannelGraph, x: Tensor) -> tuple[str, int, Reach]:
    """A layer and place of whose channel the two say different things, and what Torch-Pruning says."""
    names = {module: name for name, module in model.named_modules()}
    theirs = dependencies(model, x)
    for layer, place in asked(graph):
        reach = their_reach(group_of(theirs, model, layer.name, place), names)
        if reach != our_reach(graph, int(layer.outputs[place])):
            return layer.name, place, reach
    raise AssertionError("they agree")


def masked_by(model: nn.Module, x: Tensor, reach: Reach) -> Tensor:
    """The source with the inputs that Torch-Pruning drops set to zero."""
    kept = {}
    for (name, side), gone in reach.items():
        if side == "in":
            module = model.get_submodule(name)
            width = module.in_features if isinstance(module, nn.Linear) else module.in_channels
            kept[name] = [place for place in range(width) if place not in gone]
    return masked_forward(model, x, kept)


@pytest.mark.parametrize("name", TINY)
def test_on_small_networks_they_agree_but_for_these(name):
    model, graph = traced(name)
    opinion = second_opinion(model, graph, inputs(name, batch=2))
    expected = "fails" if name in FAILS else "differs" if name in (*WRONG, *UNTIED) else AGREES
    assert opinion.split()[0].rstrip(":") == expected, opinion


@pytest.mark.parametrize("name", WRONG)
def test_what_it_cuts_there_is_not_the_masked_source(name):
    model, graph = traced(name)
    x = inputs(name, batch=5, seed=2)
    layer, place, reach = first_difference(model, graph, x)
    expected = masked_by(model, x, reach)
    twin = copy.deepcopy(model)
    group_of(dependencies(twin, x), twin, layer, place).prune()
    try:
        with torch.no_grad():
            found = twin(x)
    except RuntimeError:
        return  # it does not run
    assert (found - expected).abs().max() > 1e-3 * expected.abs().max()


@pytest.mark.parametrize("name", COARSER)
def test_what_it_ties_and_we_do_not_can_be_cut_apart(name):
    model, graph, x = whole(name)
    *_, reach = first_difference(model, graph, x)
    plans = (half_plan(graph, seed=seed, logits=[3, 1]) for seed in range(40))
    plan = next(plan for plan in plans if fates(graph, plan, reach) == {True, False})  # some stay, others go
    expected = masked_forward(model, x, kept_inputs(graph, plan))[:, [3, 1]]
    with torch.no_grad():
        found = slice_model(model, graph, plan).module(x)
    assert (found - expected).abs().max() <= 1e-8 * expected.abs().max()


def whole(name: str) -> tuple[nn.Module, ChannelGraph, Tensor]:
    if name in TINY:
        return *traced(name), inputs(name, batch=5, seed=2)
    pytest.importorskip("timm")
    model, x = enlivened(name)
    return model, trace(model, x[:2]), x


def fates(graph: ChannelGraph, plan: ChannelSelection, reach: Reach) -> set[bool]:
    """Whether what Torch-Pruning ties together stays in a cut of ours (some of it is beyond the last channel)."""
    kept = {each.name: (plan.keep[each.outputs], plan.keep[each.inputs]) for each in graph.layers}
    sides = ((kept[name][side == "in"], places) for (name, side), places in reach.items())
    return {bool(mine[one]) for mine, places in sides for one in places if one < len(mine)}
