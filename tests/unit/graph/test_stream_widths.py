"""Attention as wide as the stream that it reads, heads that go whole, layers over positions: networks of timm."""

import pytest
import torch
from torch import nn

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.graph import read_graph, select
from model_lego.graph.selection import without_heads
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs, lost
from tests.support.tiny.tokens import WIDTH, HeadsFirst, HeadsInGroups, TalkingHeads, Tokens, Turned
from tests.unit.graph.test_attention import IMAGES, spread

timm = pytest.importorskip("timm")
SIZES = {"img_size": 16, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 3, "num_classes": 4}
STAGES = {"num_classes": 4, "embed_dims": (12, 16), "num_heads": (1, 2), "mlp_ratios": (2, 2), "depths": (1, 2)}

NETWORKS = {
    "CaiT": lambda: timm.models.cait.Cait(**SIZES),
    "PVT": lambda: timm.models.pvt_v2.PyramidVisionTransformerV2(**STAGES, sr_ratios=(2, 1)),
    "Twins": lambda: timm.models.twins.Twins(**STAGES, img_size=16, patch_size=4, sr_ratios=(2, 1), wss=(2, 2)),
    "MLP-Mixer": lambda: timm.models.mlp_mixer.MlpMixer(
        num_classes=4, img_size=16, patch_size=8, num_blocks=2, embed_dim=12
    ),
    "DaViT": lambda: timm.models.davit.DaVit(
        num_classes=4, depths=(1,), embed_dims=(12,), num_heads=(3,), mlp_ratio=2, window_size=2
    ),
    "SwiftFormer": lambda: timm.models.swiftformer.SwiftFormer(
        num_classes=4, layers=(1, 1), embed_dims=(12, 14), downsamples=(False, True)
    ),
    "halves turned": lambda: Tokens(Turned()),
    "heads first": lambda: Tokens(HeadsFirst()),
}
NINE = IMAGES[..., :12, :12]


@pytest.mark.parametrize("name", NETWORKS)
def test_half_of_each_group_is_cut_and_the_slice_is_its_mask(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = spread(NETWORKS[name]())
    images = NINE if isinstance(model, Tokens) else IMAGES
    graph = trace(model, images)
    assert not any("written" in freeze.reason or "elsewhere" in freeze.reason for freeze in graph.freezes)
    plan = half_plan(graph, seed=0, logits=[2, 0])
    assert all(count > 0 for count, _ in lost(graph, plan).values()), lost(graph, plan)
    expected = masked_forward(model, images, kept_inputs(graph, plan))[:, [2, 0]]
    with torch.no_grad():
        found, whole = slice_model(model, graph, plan).module(images), model(images)[:, [2, 0]]
    assert (found - expected).abs().max() <= 1e-8 * expected.abs().max()
    assert (whole - expected).abs().max() > 1e-3 * expected.abs().max()


@pytest.mark.parametrize("attention", [Turned, HeadsFirst])
def test_a_head_that_is_left_alone_is_followed(attention):
    """All of it is one channel, whose number of positions nothing tells."""
    model = Tokens(attention()).double().eval()
    graph = trace(model, NINE)
    keep = torch.ones(graph.width, dtype=torch.bool)
    keep[graph.attention[0].heads.unique()[1:]] = False
    width = model.attention.proj.in_features // model.attention.num_heads
    keep[graph.layer("patches").outputs[width:]] = False
    selection = select(graph, without_heads(graph, keep), logits=[0, 1])
    cut = slice_model(model, graph, selection).module
    check_cut(cut, model, graph, selection, NINE)
    assert cut.attention.proj.in_features == cut.patches.out_channels == width


def test_heads_of_which_a_layer_has_a_group_each_stay():
    graph = read_graph(Tokens(HeadsInGroups()).double().eval(), NINE)
    assert not graph.cuttable[graph.layer("attention.mixed").outputs].any()
    assert graph.cuttable[graph.layer("patches").outputs].all()


def test_values_beside_queries_that_go_as_one_go_as_one():
    graph = trace(Tokens(Turned()).double().eval(), NINE)
    assert all(each.width > 1 and each.rows.equal(each.rows[:, :1].expand_as(each.rows)) for each in graph.attention)


def test_half_of_a_stream_and_half_of_the_heads_may_fit_by_chance():
    """Four heads of a stream of 48: a trial of both at once passed, and the first cut of another kind was refused."""
    sizes = {"img_size": 32, "patch_size": 16, "embed_dim": 48, "depth": 2, "num_heads": 4, "num_classes": 4}
    graph = trace(timm.models.beit.Beit(**sizes).eval(), torch.rand(1, 3, 32, 32))
    blocks = [balance.blocks for balance in graph.balances]
    assert [tuple(each.shape) for each in blocks] == [(3, 48)]  # the stream, and the values of two blocks


class InWholeStream(Tokens):
    """A softmax along the stream, which keeps it whole."""

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head((x + self.attention(x.softmax(-1))).mean(1))


def test_heads_that_are_as_wide_as_a_stream_kept_whole_are_kept_with_it():
    graph = trace(InWholeStream(TalkingHeads()).double().eval(), IMAGES)
    assert not bool(graph.cuttable[graph.layer("patches").outputs].any())
    values = [each for each in graph.attention if not bool(graph.cuttable[each.rows].any())]
    assert values
    assert not any(bool(graph.cuttable[each.heads].any()) for each in values)


class Converted(nn.Module):
    """A view and a conversion in one line: an export notes the data type by an assertion, which gives nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.mixed = 2, nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return self.mixed(x).unflatten(2, (self.heads, -1)).softmax(1).to(x.dtype).flatten(2).to(x.dtype)


def test_a_conversion_in_the_line_of_a_view_gives_no_shape():
    graph = trace(Tokens(Converted()).double().eval(), IMAGES)
    assert "attention.mixed" in {layer.name for layer in graph.layers}
