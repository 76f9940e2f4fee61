"""Attention in networks of others: what is cut of heads equals the source with those rows of its own weights zeroed."""

import copy

import pytest
import torch

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.graph import ChannelGraph, select
from model_lego.graph.selection import without_heads
from tests.support.oracles import masked_forward
from tests.support.plans import kept_inputs, traced
from tests.support.tiny_models import inputs

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SIZES = {"img_size": 16, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 3, "num_classes": 4}


def spread(model):
    """In float64, with weights and norms that let attention matter."""
    generator = torch.Generator().manual_seed(1)
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return model


def of_timm(name="vit_tiny_patch16_224", *, fused=True, **settings):
    timm = pytest.importorskip("timm")
    given = {key: value for key, value in {**SIZES, **settings}.items() if value is not None}
    model = spread(timm.create_model(name, **given))
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused
    return model


def of_transformers(kind="ViT", **settings):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 16}
    config = getattr(transformers, f"{kind}Config")(**sizes, image_size=16, patch_size=8, num_labels=4, **settings)
    return spread(getattr(transformers, f"{kind}ForImageClassification")(config))


NETWORKS = {
    "timm, fused": of_timm,
    "timm, softmax by hand": lambda: of_timm(fused=False),
    "timm, registers": lambda: of_timm(class_token=True, reg_tokens=2, global_pool="avg"),
    "timm, DeiT of two heads": lambda: of_timm("deit_tiny_distilled_patch16_224"),
    "timm, Swin": lambda: of_timm(
        "swin_tiny_patch4_window7_224", patch_size=2, window_size=4, depth=None, depths=(2, 2), num_heads=(2, 3)
    ),
    "transformers": of_transformers,
    "transformers, softmax by hand": lambda: of_transformers(attn_implementation="eager"),
    "transformers, BEiT": lambda: of_transformers("Beit", use_relative_position_bias=True),
}


def plan(graph: ChannelGraph, *, heads: bool, width: bool):
    """Leave out a head of each attention, or a channel of each head, or both."""
    wanted = torch.ones(graph.width, dtype=torch.bool)
    for each in graph.attention:
        if len(each.heads.unique()) > 1:  # those of shifted windows, which have masks, go together
            wanted[each.heads.unique()[1]] = not heads
        wanted[each.rows[:, 0]] = not width
    wanted = without_heads(graph, wanted)
    return select(graph, wanted, logits=range(len(graph.head)))


def zeroed(model, graph, selection, x):
    """The source with the rows of its layers zeroed that write channels which are left out."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for layer in graph.layers:
            gone = ~selection.keep[layer.outputs]
            if bool(gone.any()):
                module = model.get_submodule(layer.name)
                module.weight[gone] = 0
                if module.bias is not None:
                    module.bias[gone] = 0
        given = model(x)
        return getattr(given, "logits", given)


@pytest.mark.parametrize("name", NETWORKS)
def test_heads_and_channels_within_them_are_cut(name):
    model = NETWORKS[name]()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    graph = trace(model, IMAGES)
    assert not any("product" in freeze.reason or "written" in freeze.reason for freeze in graph.freezes)
    for heads, width in ((True, False), (False, True), (True, True)):
        selection = plan(graph, heads=heads, width=width)
        module = slice_model(model, graph, selection).module
        check_cut(module, model, graph, selection, IMAGES)
        with torch.no_grad():
            given, whole = module(IMAGES), model(IMAGES)
        given, whole = getattr(given, "logits", given), getattr(whole, "logits", whole)
        expected = zeroed(model, graph, selection, IMAGES)
        assert (given - expected).abs().max() <= 1e-8 * expected.abs().max()
        assert (whole - expected).abs().max() > 1e-3 * expected.abs().max()
        for each in graph.attention:
            kept = selection.keep[each.rows].sum(1)
            gone = {0} if heads and len(each.heads.unique()) > 1 else set()
            assert set(kept.tolist()) == {each.width - width} | gone
            assert torch.equal(kept > 0, selection.keep[each.heads])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("kept", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("name", ["attention", "attention_fused", "attention_own_widths"])
def test_heads_may_be_left_with_one_channel(name, kept):
    """One channel alone was taken for none in the check of the cut."""
    (model, graph), x = traced(name), inputs(name, batch=5)
    heads, width = kept
    wanted = torch.ones(graph.width, dtype=torch.bool)
    for each in graph.attention:
        wanted[each.heads.unique()[heads:]] = False
        wanted[each.rows[:, width:]] = False
    selection = select(graph, without_heads(graph, wanted), logits=range(5))
    assert all(set(selection.keep[each.rows].sum(1).tolist()) <= {0, width} for each in graph.attention)
    module = slice_model(model, graph, selection).module
    check_cut(module, model, graph, selection, x[:2])
    expected = masked_forward(model, x, kept_inputs(graph, selection))
    torch.testing.assert_close(module(x), expected, rtol=1e-8, atol=1e-10)
