"""Norms over channels: a cut normalises over the channels that are kept, as the masked source does (law 2).

What is expected comes from the equations (tests/support/masked_norms.py), or from a network written out by hand.
"""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.cutting.masking import masked_run
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.errors import RefusedError
from model_lego.graph import keep_all
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs
from tests.support.tiny_models import randomize_batchnorm

WIDTH = 14
LOGITS = [2, 0]


class ChannelsFirst(nn.LayerNorm):
    """A layer norm of maps, as in torchvision and timm."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Last(nn.Module):
    """A module that runs with the channels last."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.movedim(1, -1)).movedim(-1, 1)


class Written(nn.Module):
    """A norm that a forward writes out, with a scale and a width of its own."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.scale, self.dim = nn.Parameter(torch.linspace(0.5, 1.5, WIDTH)), WIDTH
        self.shape, self.write = (WIDTH, 1, 1), forward

    def forward(self, x: Tensor) -> Tensor:
        return self.write(self, x)


def by_hand(own: Written, x: Tensor) -> Tensor:
    variance, mean = torch.var_mean(x, dim=1, keepdim=True, unbiased=False)
    return (x - mean) / (variance + 1e-5).sqrt() * own.scale[:, None, None]


def grn(own: Written, x: Tensor) -> Tensor:
    length = x.norm(p=2, dim=(2, 3), keepdim=True)
    return x + x * (length / (length.mean(1, keepdim=True) + 1e-6)) * own.scale[:, None, None]


def root_mean_square(own: Written, x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6) * own.scale[:, None, None]


def in_last(own: Written, x: Tensor, *shape: int) -> Tensor:
    return F.layer_norm(x.movedim(1, -1), shape, own.scale).movedim(-1, 1)


#: Norms over channels by their names, each beside whether a number of channels is suspected in its forward.
NORMS = {
    "LayerNorm": lambda: Last(nn.LayerNorm(WIDTH)),
    "LayerNorm without weights": lambda: Last(nn.LayerNorm(WIDTH, elementwise_affine=False)),
    "LayerNorm of maps": lambda: ChannelsFirst(WIDTH),
    "RMSNorm": lambda: Last(nn.RMSNorm(WIDTH)),
    "GroupNorm of one group": lambda: nn.GroupNorm(1, WIDTH),
    "written out": lambda: Written(by_hand),
    "GRN": lambda: Written(grn),
    "RMS written out": lambda: Written(root_mean_square),
    "mean without its dimension": lambda: Written(lambda own, x: (x - x.mean(1)[:, None]) * own.scale[:, None, None]),
    "mean over channels and pixels": lambda: Written(lambda own, x: x - 2 * x.mean((1, 2, 3), keepdim=True)),
    "length": lambda: Written(lambda own, x: 5 * F.normalize(x, dim=1)),
    "shape of an attribute": lambda: Written(lambda own, x: 3 * F.normalize(x, dim=1) * own.scale.view(own.shape)),
    "width of an attribute": lambda: Written(lambda own, x: in_last(own, x, own.dim)),
    "statistic in the type of its values": lambda: Written(
        lambda own, x: 2 * x / (x.double().pow(2).mean(1, keepdim=True) + 1e-6).sqrt().to(x.dtype)
    ),
    "width of the value": lambda: Written(lambda own, x: in_last(own, x, x.shape[1])),
}
#: These are kept whole, with the reason.
WHOLE = {
    "plain number": (lambda own, x: in_last(own, x, WIDTH), "number of channels written into it"),
    "largest": (lambda own, x: x / x.abs().amax(1, keepdim=True), "is reduced over channels (amax)"),
    "read by a pool": (lambda own, x: x * F.avg_pool2d(x.mean(1, keepdim=True), 3, 1, 1), "is reduced over channels"),
}


class Net(nn.Module):
    """A norm between a layer that writes its channels and one that reads them."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.write, self.norm, self.read = nn.Conv2d(3, WIDTH, 3), norm, nn.Conv2d(WIDTH, 8, 3)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.read(self.norm(self.write(x)))).mean((2, 3)))


def made(norm) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = Net(norm()).double().eval()
    randomize_batchnorm(model, torch.Generator().manual_seed(1))
    return model, torch.randn(4, 3, 12, 12, dtype=torch.float64)


@pytest.mark.parametrize("name", NORMS)
def test_a_slice_is_its_mask_and_all_that_is_kept_is_the_source(name):
    model, x = made(NORMS[name])
    before = copy.deepcopy(model.state_dict())
    graph = trace(model, x)
    assert not graph.freezes
    plan = half_plan(graph, seed=0, logits=LOGITS)
    part = slice_model(model, graph, plan).module
    assert part.write.out_channels == WIDTH // 2
    expected = masked_forward(model, x, kept_inputs(graph, plan))[:, LOGITS]
    zeroed = {at: kept for at, kept in kept_inputs(graph, plan).items() if isinstance(at, str)}
    assert (masked_forward(model, x, zeroed)[:, LOGITS] - expected).abs().max() > 1e-3 * expected.abs().max()
    torch.testing.assert_close(part(x), expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(masked_run(model, graph, plan, x), expected, rtol=1e-12, atol=1e-14)
    check_cut(part, model, graph, plan, x)
    assert torch.equal(slice_model(model, graph, keep_all(graph)).module(x), model(x))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", WHOLE)
def test_what_cannot_be_cut_is_kept_whole_and_that_is_said(name):
    forward, reason = WHOLE[name]
    model, x = made(lambda: Written(forward))
    graph = trace(model, x)
    assert any(reason in freeze.reason for freeze in graph.freezes), graph.freezes
    plan = half_plan(graph, seed=0, logits=LOGITS)
    part = check_cut(slice_model(model, graph, plan).module, model, graph, plan, x).module
    assert part.write.out_channels == WIDTH


def test_the_mask_says_what_a_network_written_out_over_the_kept_channels_gives():
    model, x = made(NORMS["LayerNorm"])
    graph = trace(model, x)
    plan = half_plan(graph, seed=0, logits=LOGITS)
    kept = kept_inputs(graph, plan)["read"]
    norm, y = model.norm.body, model.write(x)[:, kept]
    y = (y - y.mean(1, keepdim=True)) / (y.var(1, correction=0, keepdim=True) + norm.eps).sqrt()
    y = y * norm.weight[kept, None, None] + norm.bias[kept, None, None]
    y = F.relu(F.conv2d(y, model.read.weight[:, kept], model.read.bias)).mean((2, 3))
    inner = kept_inputs(graph, plan)["head"]
    expected = F.linear(y[:, inner], model.head.weight[:, inner], model.head.bias)[:, LOGITS]
    torch.testing.assert_close(masked_run(model, graph, plan, x), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "behind", [nn.LayerNorm(4), Written(lambda _, x: x - x.mean(1, keepdim=True))], ids=["layer norm", "centred"]
)
def test_logits_that_are_normalised_over_the_classes_are_refused(behind):
    model, x = made(NORMS["LayerNorm"])
    with pytest.raises(RefusedError, match="logits cannot be cut to the chosen classes: an operator reads across them"):
        trace(nn.Sequential(model, behind.double()).eval(), x)
