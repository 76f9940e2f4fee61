"""Repair of what makes queries: it is fitted to queries that make up for the scale of their new width."""

import torch

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.verification import check_cut
from model_lego.graph import select
from model_lego.repairing.layerwise import repair_model
from tests.support.plans import traced
from tests.support.tiny_models import inputs


def test_layers_that_read_what_they_did_stay_what_they_are():
    (model, graph), x = traced("attention"), inputs("attention", batch=64)
    wanted = torch.ones(graph.width, dtype=torch.bool)
    for heads in graph.attention:
        wanted[heads.rows[:, 0]] = False
    selection = select(graph, wanted, logits=range(5))
    module = slice_model(model, graph, selection).module
    cut = check_cut(module, model, graph, selection, x[:2])
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    kept = selection.keep[graph.layer("attention.q").outputs]
    source = model.attention.q.weight[kept]
    torch.testing.assert_close(before["attention.q.weight"], source * (3 / 4) ** 0.5)
    repair_model(cut, x)
    for name in ("attention.q.weight", "attention.q.bias", "attention.k.weight", "attention.v.weight"):
        torch.testing.assert_close(module.state_dict()[name], before[name], rtol=1e-6, atol=1e-8)
    assert not torch.allclose(module.attention.proj.weight, before["attention.proj.weight"])  # it makes up for values
