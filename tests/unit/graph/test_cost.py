"""What a cut will cost, counted before it is made, is what the cut network costs."""

import pytest
import torch

from model_lego.cutting.slicing import slice_model
from model_lego.graph import keep_all
from model_lego.graph.cost import cost_of, planned_cost
from model_lego.graph.program import export_program
from tests.support.oracles import macs_conv, macs_linear
from tests.support.plans import half_plan, traced
from tests.support.tiny_models import OTHER, TINY, inputs


@pytest.mark.parametrize("name", [*TINY, *OTHER])
def test_a_cut_costs_what_was_counted_before(name):
    model, graph = traced(name)
    for selection in (keep_all(graph), half_plan(graph, seed=0, logits=[2, 0])):
        cut = slice_model(model, graph, selection).module
        found = planned_cost(model, graph, selection)
        assert found == cost_of(cut, export_program(cut, inputs(name, batch=2)))
        assert found.parameters == sum(parameter.numel() for parameter in cut.parameters())


def test_multiply_adds_are_those_of_the_equations():
    model, graph = traced("plain")
    cut = slice_model(model, graph, half_plan(graph, seed=0, logits=[2, 0])).module
    sizes = {}

    def measure(name):
        def hook(module, arguments, y):
            sizes[name] = tuple(y.shape[2:])

        return hook

    hooks = [module.register_forward_hook(measure(name)) for name, module in cut.named_modules()]
    with torch.no_grad():
        cut(inputs("plain", batch=1))
    for hook in hooks:
        hook.remove()
    weights = {name.removesuffix(".weight"): p.shape for name, p in cut.named_parameters() if p.dim() > 1}
    expected = sum(
        macs_conv(shape, sizes[name]) if len(shape) == 4 else macs_linear(shape) for name, shape in weights.items()
    )
    assert planned_cost(model, graph, half_plan(graph, seed=0, logits=[2, 0])).macs == expected
