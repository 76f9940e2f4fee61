"""Laws 1, 2, 4, 7 and 8 over networks of tokens, narrow ones with random weights and norms, in float64.

What law 2 expects comes from the source run with zeros, also where its forward takes weights past the calls of layers.
"""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer

import model_lego as ml
from benchmarks.coverage.comparing import answer, logits_of
from benchmarks.coverage.masking import masked_source
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.graph import ChannelGraph, keep_all
from model_lego.models import build
from model_lego.parts.component import Component
from tests.support.plans import half_plan, kept_inputs

pytestmark = [pytest.mark.zoo, pytest.mark.filterwarnings("ignore")]
CLASSES = 4
VIT = {"img_size": 16, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 3}
SWIN = {"img_size": 32, "patch_size": 2, "embed_dim": 12, "depths": (2, 1), "num_heads": (2, 3), "window_size": 4}
SWIN_OF_TORCHVISION = {
    "patch_size": [2, 2],
    "embed_dim": 12,
    "depths": [2, 1],
    "num_heads": [2, 3],
    "window_size": [4, 4],
}
NARROW = {"depths": (1, 1, 1, 1), "dims": (8, 12, 16, 20)}
#: By name: arguments, pixels along a side.
NETWORKS = {
    "timm:convnext_atto": (NARROW, 64),
    "timm:convnextv2_atto": (NARROW, 64),
    "timm:vit_tiny_patch16_224": (VIT, 16),
    "timm:deit_tiny_distilled_patch16_224": (VIT, 16),
    "timm:swin_tiny_patch4_window7_224": (SWIN, 32),
    "timm:swinv2_tiny_window8_256": (SWIN, 32),
    "timm:beit_base_patch16_224": (VIT, 16),
    "timm:poolformer_s12": ({}, 64),
    "timm:coatnet_nano_rw_224": ({"img_size": 64}, 64),
    "timm:mobilevit_xxs": ({}, 64),
    "torchvision's Swin": (SWIN_OF_TORCHVISION, 32),
    "transformers:ConvNext": ({"hidden_sizes": [8, 12, 16, 20], "depths": [1] * 4}, 64),
    "transformers:ViT": (
        {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 16}
        | {"image_size": 16, "patch_size": 8},
        16,
    ),
    "transformers:Swin": (
        {"image_size": 32, "patch_size": 2, "embed_dim": 12, "depths": [2, 1], "num_heads": [2, 3], "window_size": 4},
        32,
    ),
}


def images(side: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    tint = torch.rand(8, 3, 1, 1, generator=generator, dtype=torch.float64)
    return tint + 0.5 * torch.rand(8, 3, side, side, generator=generator, dtype=torch.float64)


def made(name: str) -> nn.Module:
    package, _, kind = name.partition(":")
    arguments = NETWORKS[name][0]
    if package == "timm":
        pytest.importorskip("timm")
        return build(name, num_classes=CLASSES, **arguments)
    if package == "transformers":
        transformers = pytest.importorskip("transformers")
        config = getattr(transformers, f"{kind}Config")(num_labels=CLASSES, **arguments)
        return getattr(transformers, f"{kind}ForImageClassification")(config)
    return SwinTransformer(num_classes=CLASSES, **arguments)


def network(name: str) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = made(name).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def component(model: nn.Module, graph: ChannelGraph, x: Tensor, classes: list[int]) -> Component:
    planned = ml.plan(model, [(x, torch.arange(8) % CLASSES)], classes=classes, graph=graph, sampling="all")
    return ml.cut(model, replace(planned, selection=half_plan(graph, seed=classes[0], logits=classes)))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_laws_hold_for_networks_of_tokens(name, tmp_path):
    model, x = network(name), images(NETWORKS[name][1], seed=2)
    before = copy.deepcopy(model.state_dict())
    graph = trace(model, x[:1])
    with torch.no_grad():
        whole = answer(model, x)
        assert torch.equal(answer(slice_model(model, graph, keep_all(graph)).module, x), whole), "law 1"

        plan = half_plan(graph, seed=0, logits=[2, 0])
        half = slice_model(model, graph, plan).module
        check_cut(half, model, graph, plan, x[:2])
        expected = logits_of(masked_source(model, x, kept_inputs(graph, plan)))[:, [2, 0]]
        assert (answer(half, x) - expected).abs().max() <= 1e-8 * expected.abs().max(), "law 2"
        assert (whole[:, [2, 0]] - expected).abs().max() > 1e-3 * expected.abs().max()

        parts = [component(model, graph, x, classes) for classes in ([0, 3], [1, 2])]
        joined = ml.assemble(parts, layout="parallel")
        assert torch.equal(joined(x), torch.cat([answer(part, x) for part in parts], 1)), "law 4"

        ml.save(parts[0], tmp_path / "part")
        back = ml.load(tmp_path / "part", factory=lambda: network(name))
        assert torch.equal(answer(back, x), answer(parts[0], x)), "law 7"
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "law 8"
