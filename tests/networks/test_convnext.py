"""Small ConvNeXts of torchvision and timm: norms over channels, laws 1, 2, 7 and 8; padding is refused."""

import copy

import pytest
import torch
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from benchmarks.coverage.comparing import compare, planned, saved
from model_lego import assemble, trace
from model_lego.cutting.slicing import slice_model
from model_lego.disassembly.disassembling import cut
from model_lego.errors import IncompatibleComponents
from model_lego.graph import keep_all
from tests.support.plans import half_plan


def torchvisions() -> nn.Module:
    blocks = [CNBlockConfig(8, 12, 1), CNBlockConfig(12, 16, 2), CNBlockConfig(16, None, 1)]
    return ConvNeXt(blocks, layer_scale=0.5, num_classes=6)


def timms(**options) -> nn.Module:
    timm = pytest.importorskip("timm")
    return timm.models.convnext.ConvNeXt(depths=(1, 1, 1, 1), dims=(8, 12, 16, 20), num_classes=6, **options)


NETWORKS = {
    "torchvision": torchvisions,
    "timm": timms,
    "timm ConvNeXtV2": lambda: timms(use_grn=True, ls_init_value=None),
    "timm ConvNeXtV2 of convolutions": lambda: timms(use_grn=True, ls_init_value=None, conv_mlp=True),
    "timm with RMSNorm": lambda: timms(norm_layer="rmsnorm2d", conv_mlp=True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_all_its_channels_can_be_cut_and_a_slice_is_its_mask(name):
    torch.manual_seed(0)
    model = NETWORKS[name]().double().eval()
    for parameter in model.parameters():  # norms, layer scales and GRN begin as constants
        parameter.data += 0.3 * torch.rand_like(parameter)
    x, before = torch.randn(3, 3, 64, 64, dtype=torch.float64), copy.deepcopy(model.state_dict())
    graph = trace(model, x[:2])
    assert not graph.freezes
    plan = planned(graph, half_plan(graph, seed=0, logits=[4, 1, 2]), x)
    part = cut(model, plan)
    compare(model, part, plan, x)
    assert sum(p.numel() for p in part.parameters()) < 0.4 * sum(p.numel() for p in model.parameters())
    saved(part, x, NETWORKS[name])
    assert torch.equal(slice_model(model, graph, keep_all(graph)).module(x), model(x))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    with pytest.raises(IncompatibleComponents, match=r"cannot be padded exactly: .* (across|over) channels"):
        assemble([part, part], layout="padded", on_clash="average")
