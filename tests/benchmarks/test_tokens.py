"""CORP as the benchmark of token networks has it: what it predicts exactly where what goes is told by what stays."""

import pytest
import timm
import torch
from torch import Tensor, nn

pytest.importorskip("benchmarks")

import model_lego as ml
from benchmarks.tokens import corp
from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.verification import cut_of

WIDTH, HEADS = 32, 2


def vision_transformer() -> nn.Module:
    """The second half of each head's queries and keys is a multiple of the first; so with the hidden channels."""
    torch.manual_seed(0)
    model: nn.Module = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=16,
        patch_size=4,
        embed_dim=WIDTH,
        depth=2,
        num_heads=HEADS,
        num_classes=4,
    )
    half = WIDTH // HEADS // 2
    for block in model.get_submodule("blocks"):
        qkv, first, second = block.attn.qkv, block.mlp.fc1, block.mlp.fc2
        for place in range(2 * HEADS):  # queries, then keys
            row = place * 2 * half
            for tensor in (qkv.weight.data, qkv.bias.data):
                tensor[row : row + half].normal_()
                tensor[row + half : row + 2 * half] = 0.5 * tensor[row : row + half]
        hidden = len(first.weight) // 2
        first.weight.data[hidden:], first.bias.data[hidden:] = first.weight.data[:hidden], first.bias.data[:hidden]
        second.weight.data[:, hidden:] = 0.1 * torch.randn(WIDTH, hidden)
    return model.double().eval()


def cut_by_corp(model: nn.Module, images: Tensor, *, mended: bool) -> tuple[Cut, Tensor]:
    """Half of all hidden channels, and of all queries and keys, gone; and what stays."""
    graph = ml.trace(model, images[:2])
    heard = corp.heard(model, graph, images)
    selection, stays = corp.without(model, graph, heard, 0.5, range(4))
    cut = cut_of(slice_model(model, graph, selection).module.eval(), model, graph, selection, images[:2])
    if mended:
        corp.mend(cut, heard, stays)
    return cut, stays


def test_what_is_told_by_what_stays_is_not_missed(monkeypatch) -> None:
    monkeypatch.setattr(corp, "STRENGTH", 1e-9)
    model, images = vision_transformer(), torch.randn(32, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        expected = model(images)
        as_cut, mended = (cut_by_corp(model, images, mended=mended)[0].module(images) for mended in (False, True))
    assert (as_cut - expected).norm() > 0.01 * expected.norm()
    assert (mended - expected).norm() < 1e-4 * expected.norm()


def test_queries_and_keys_that_became_zero_are_not_counted() -> None:
    model, images = vision_transformer(), torch.randn(4, 3, 16, 16, dtype=torch.float64)
    graph = ml.trace(model, images[:2])
    heard = corp.heard(model, graph, images)
    whole, half = (
        corp.cost(model, graph, heard, corp.without(model, graph, heard, share, range(4))) for share in (0.0, 0.5)
    )
    tokens, hidden = 17, 4 * WIDTH
    a_block = tokens * (2 * WIDTH * hidden // 2 + 2 * WIDTH * WIDTH // 2)  # both layers of the MLP; queries and keys
    assert whole - half == 2 * a_block


def test_the_zeros_are_where_channels_are_gone() -> None:
    model, images = vision_transformer(), torch.randn(16, 3, 16, 16, dtype=torch.float64)
    cut, stays = cut_by_corp(model, images, mended=True)
    for block in range(2):
        layer = cut.graph.layer(f"blocks.{block}.attn.qkv")
        weight = cut.module.get_submodule(layer.name).weight
        assert torch.equal((weight == 0).all(1), ~stays[layer.outputs])
