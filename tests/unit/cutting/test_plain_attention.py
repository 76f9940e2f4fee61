"""torch's attention in plain layers: the same logits, and its heads and stream can be cut, as zeroed weights say."""

import copy

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from model_lego import canonize, load, save, trace
from model_lego.cutting.canonizing import can_be_plain, plain_layers
from model_lego.cutting.plain_attention import PlainAttention
from model_lego.cutting.slicing import slice_model
from model_lego.disassembly.disassembling import disassemble
from model_lego.graph import select
from model_lego.graph.selection import without_heads
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs

ARGUMENTS = {"image_size": 32, "num_classes": 5}
X = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
WIDTH = 12


def alive(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.3 * noise.to(parameter))
    return model.double().eval()


def of_torchvision() -> nn.Module:
    sizes = {"num_layers": 2, "num_heads": 3, "hidden_dim": WIDTH, "mlp_dim": 20}
    return alive(VisionTransformer(image_size=32, patch_size=8, num_classes=5, **sizes))


class OfLayers(nn.Module):
    """torch's own transformer layers, which run attention by a fused operator where they may."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, WIDTH, 8, 8), nn.Linear(WIDTH, 5)
        layers = (nn.TransformerEncoderLayer(WIDTH, 2, 20, batch_first=True, **options) for _ in range(2))
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.head(self.layers(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class Masked(nn.Module):
    """Attention of tokens before others, which are read from elsewhere; its weights are given, and used or not."""

    def __init__(self, *, used: bool = False, bias: bool = True, dim: int = 2) -> None:
        super().__init__()
        self.patches, self.elsewhere, self.head = nn.Conv2d(3, WIDTH, 8, 8), nn.Conv2d(3, 8, 8, 8), nn.Linear(WIDTH, 5)
        self.attention = nn.MultiheadAttention(WIDTH, 3, kdim=8, vdim=8, bias=bias)
        self.used = used
        self.register_buffer("mask", torch.ones(16, 16, dtype=torch.bool).triu(1))

    def forward(self, x):
        x, y = (layer(x).flatten(2).permute(2, 0, 1) for layer in (self.patches, self.elsewhere))
        z, weights = self.attention(x, y, y, attn_mask=self.mask)
        x = (x + z).mean(0)
        return self.head(x * weights.square().mean((1, 2))[:, None] if self.used else x)


NETWORKS = {
    "torchvision": of_torchvision,
    "torch's layers": lambda: alive(OfLayers()),
    "torch's layers, norms first": lambda: alive(OfLayers(norm_first=True, activation="gelu")),
    "another width of keys, a mask": lambda: alive(Masked()),
    "without biases": lambda: alive(Masked(bias=False)),
}


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("name", [*NETWORKS, "weights used"])
def test_the_logits_stay(name, grad):
    model = alive(Masked(used=True)) if name == "weights used" else NETWORKS[name]()
    before = copy.deepcopy(model.state_dict())
    plain = canonize(model, X)
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(plain(X), model(X), rtol=1e-10, atol=1e-12)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not any(isinstance(module, nn.MultiheadAttention) for module in plain.modules())
    assert any(isinstance(module, nn.MultiheadAttention) for module in model.modules())
    if name != "weights used":
        assert can_be_plain(model, trace(model, X[:2]))
        assert not can_be_plain(plain, trace(plain, X[:2]))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_slice_is_its_mask(name):
    plain = canonize(NETWORKS[name](), X)
    graph = trace(plain, X[:2])
    assert not graph.freezes
    plan = half_plan(graph, seed=0, logits=[3, 1])
    with torch.no_grad():
        found, whole = slice_model(plain, graph, plan).module(X), plain(X)[:, [3, 1]]
    expected = masked_forward(plain, X, kept_inputs(graph, plan))[:, [3, 1]]
    assert (found - expected).abs().max() <= 1e-8 * expected.abs().max()
    assert (whole - expected).abs().max() > 1e-3 * expected.abs().max()


def test_heads_and_channels_are_those_of_torchs_own_weights():
    """What is expected is torch's own attention, with the rows of its weights zeroed."""
    model = of_torchvision()
    plain = canonize(model, X)
    graph = trace(plain, X[:2])
    wanted = torch.ones(graph.width, dtype=torch.bool)
    for each in graph.attention:
        wanted[each.heads.unique()[1]] = False
        wanted[each.rows[:, 0]] = False
    plan = select(graph, without_heads(graph, wanted), logits=range(5))
    with torch.no_grad():
        for path, module in model.named_modules():
            if isinstance(module, nn.MultiheadAttention):
                kept = torch.cat([plan.keep[graph.layer(f"{path}.{name}_proj").outputs] for name in "qkv"])
                assert int(kept.sum()) == 3 * 2 * 3  # of three heads of four channels
                module.in_proj_weight[~kept] = 0
                module.in_proj_bias[~kept] = 0
        found = slice_model(plain, graph, plan).module(X)
        torch.testing.assert_close(found, model(X), rtol=1e-9, atol=1e-11)


def test_one_that_stands_in_two_places_stays_one():
    model = OfLayers()
    model.layers[1].self_attn = model.layers[0].self_attn
    plain = canonize(alive(model), X)
    assert plain.layers[0].self_attn is plain.layers[1].self_attn


@pytest.mark.parametrize("options", [{"add_bias_kv": True}, {"add_zero_attn": True}])
def test_what_does_more_stays_as_it_is(options):
    model = Masked()
    model.attention = nn.MultiheadAttention(WIDTH, 3, kdim=8, vdim=8, **options)
    model.mask = None
    model = alive(model)
    assert canonize(model, X) is model


@pytest.mark.parametrize("padding", [torch.bool, torch.float64])
@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("dim", [2, 3])
def test_masks_mean_what_they_do_to_torch(padding, needed, dim):
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).double().eval()
    model = nn.Sequential(nn.Identity(), theirs)
    from model_lego.cutting.plain_attention import arguments_of, with_weights_of

    ours = with_weights_of(theirs, PlainAttention(**arguments_of(theirs)))
    assert model[1] is theirs
    x, rows = torch.randn(3, 5, 8).double(), torch.randn(3, 4, 8).double()
    left_out = torch.zeros(3, 4, dtype=torch.bool)
    left_out[1, 2] = left_out[2, 0] = True
    if padding is not torch.bool:
        left_out = torch.randn(3, 4).to(padding)
    mask = torch.randn(*(() if dim == 2 else (6,)), 5, 4).double()
    given = {"key_padding_mask": left_out, "attn_mask": mask, "need_weights": needed}
    if padding is torch.bool:
        given["attn_mask"] = mask > 1.5
    for one, other in zip(ours(x, rows, rows, **given), theirs(x, rows, rows, **given), strict=True):
        if needed or one is not None:
            torch.testing.assert_close(one, other)
    each = ours(x, rows, rows, average_attn_weights=False)[1]
    torch.testing.assert_close(each, theirs(x, rows, rows, average_attn_weights=False)[1])


def test_a_component_is_saved_and_loaded(tmp_path):
    torch.manual_seed(0)
    model = alive(VisionTransformer(32, 16, 1, 2, 8, 12, num_classes=5)).float()
    x, labels = torch.randn(10, 3, 32, 32), torch.arange(10) % 5
    plain = canonize(model, x)
    part = disassemble(plain, [(x, labels)], classes=[2, 0], sampling="all", graph=trace(plain, x[:2])).eval()
    assert set(part.origin.settings["plain_layers"]) == set(plain_layers(plain))
    save(part, tmp_path / "part")
    twin = load(tmp_path / "part", factory=lambda: VisionTransformer(32, 16, 1, 2, 8, 12, num_classes=5))
    with torch.no_grad():
        assert torch.equal(twin.eval()(x), part(x))
