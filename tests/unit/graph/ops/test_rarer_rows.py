"""Rows of operators that few networks have: cut with them is masked with them, or they are kept whole by name."""

import pytest
import torch
from torch import nn

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs

X = torch.rand(3, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


class With(nn.Module):
    """A convolution, an operator on its maps, another convolution, a mean, logits."""

    def __init__(self, operator, channels):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(8)
            self.read = nn.Conv2d(3, 8, 3, padding=1)
            self.also = nn.Conv2d(3, 8, 3, padding=1)
            self.then, self.last = nn.Conv2d(channels, 6, 1), nn.Linear(6, 4)
        self.operator = operator
        self.double().eval()

    def forward(self, x):
        maps = self.operator(self.read(x), self.also(x))
        return self.last(self.then(maps).relu().mean((2, 3)))


def features(maps):
    return maps.mean((2, 3))


def as_maps(values):
    return values[..., None, None]


def windows(maps):
    return nn.functional.unfold(maps, 3, padding=1)


def enlarged(values, mode):
    return nn.functional.interpolate(values, scale_factor=2, mode=mode)


CUT = {
    "glu": (lambda a, b: nn.functional.glu(a, 1), 4),
    "glu over pixels": (lambda a, b: nn.functional.glu(a, 2), 8),
    "hstack": (lambda a, b: torch.hstack([a, b]), 16),
    "hstack of features": (lambda a, b: as_maps(torch.hstack([features(a), features(b)])), 16),
    "column_stack": (lambda a, b: torch.column_stack([a, b]), 16),
    "column_stack of features": (lambda a, b: as_maps(torch.column_stack([features(a), features(b)])), 16),
    "dstack": (lambda a, b: torch.dstack([a, b]), 8),
    "dstack of features": (lambda a, b: as_maps(torch.dstack([features(a), features(b)]).sum(2)), 8),
    "vstack": (lambda a, b: sum(torch.vstack([a, b]).chunk(2)), 8),
    "vstack of features": (lambda a, b: as_maps(sum(torch.vstack([features(a), features(b)]).chunk(2))), 8),
    "row_stack": (lambda a, b: sum(torch.row_stack([a, b]).chunk(2)), 8),
    "diff of rows": (lambda a, b: a.diff(dim=2), 8),
    "diff of columns": (lambda a, b: a.diff(), 8),
    "sums along rows": (lambda a, b: a.cumsum(2), 8),
    "median": (lambda a, b: a.median(3, keepdim=True).values, 8),
    "k-th value": (lambda a, b: a.kthvalue(2, 3, keepdim=True).values, 8),
    "quantile": (lambda a, b: a.quantile(0.5, dim=2, keepdim=True), 8),
    "nanmean": (lambda a, b: a.nanmean((2, 3), keepdim=True), 8),
    "nearest exact": (lambda a, b: nn.functional.interpolate(a, scale_factor=2, mode="nearest-exact"), 8),
    "bicubic": (lambda a, b: nn.functional.interpolate(a, scale_factor=0.5, mode="bicubic", antialias=True), 8),
    "nearest exact in a row": (lambda a, b: enlarged(a.flatten(2), "nearest-exact").unflatten(2, (8, 16)), 8),
    "nearest of a volume": (lambda a, b: enlarged(a.unflatten(3, (2, 4)), "nearest").flatten(3), 8),
    "nearest exact of a volume": (lambda a, b: enlarged(a.unflatten(3, (2, 4)), "nearest-exact").flatten(3), 8),
    "divided and rounded down": (lambda a, b: 0.1 * torch.div(a, 0.1 + b.abs(), rounding_mode="floor") + a // 0.5, 8),
    "what is left behind": (lambda a, b: a.remainder(0.3) + a.remainder(0.1 + b.abs()) + a.fmod(0.1 + b.abs()), 8),
    "windows of pixels": (lambda a, b: windows(a)[..., None], 72),
    "windows laid over each other": (lambda a, b: nn.functional.fold(windows(a), 8, 3, padding=1) + b, 8),
    "moveaxis": (lambda a, b: a.moveaxis(1, 2).moveaxis(2, 1), 8),
    "fliplr": (lambda a, b: a.fliplr() + b, 8),
}
WHOLE = {
    "windows across channels": (lambda a, b: windows(a.movedim(1, 2)).mean((1, 2))[:, None, None, None] + b, 8),
    "diff of channels": (lambda a, b: a.diff(dim=1), 7),
    "sums along channels": (lambda a, b: a.cumsum(1), 8),
    "median of channels": (lambda a, b: a + a.median(1, keepdim=True).values, 8),
}


@pytest.mark.parametrize("name", CUT)
def test_a_cut_is_the_masked_source(name):
    model = With(*CUT[name])
    graph = trace(model, X)
    read = graph.axes["read.weight"][0].channels
    assert not bool(graph.frozen[read].any()), "nothing of it has to be kept whole"
    for seed in range(3):
        plan = half_plan(graph, seed=seed, logits=[2, 0])
        with torch.no_grad():
            found = slice_model(model, graph, plan).module(X)
        expected = masked_forward(model, X, kept_inputs(graph, plan))[:, [2, 0]]
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", WHOLE)
def test_what_reads_along_channels_is_kept_whole(name):
    graph = trace(With(*WHOLE[name]), X)
    assert bool(graph.frozen[graph.axes["read.weight"][0].channels].all())


class Scaled(With):
    """Maps times the sum of two vectors of the network, which an operator puts side by side."""

    def __init__(self, operator):
        super().__init__(operator, 8)
        self.gain = nn.Parameter(torch.rand(8, dtype=torch.float64))

    def forward(self, x):
        scaled = self.read(x) * as_maps(self.operator([self.gain, self.also.bias]))
        return self.last(self.then(scaled).relu().mean((2, 3)))


@pytest.mark.parametrize(
    "operator",
    [
        lambda vectors: torch.column_stack(vectors).sum(1),
        lambda vectors: torch.vstack(vectors).sum(0),
        lambda vectors: torch.dstack(vectors).sum((0, 2)),
        lambda vectors: torch.stack(vectors).sum(0),
    ],
    ids=["column_stack", "vstack", "dstack", "stack"],
)
def test_vectors_that_become_columns_rows_or_layers_are_cut(operator):
    """Those of one dimension get another one; it was an IndexError."""
    model = Scaled(operator)
    graph = trace(model, X)
    assert not bool(graph.frozen[graph.axes["gain"][0].channels].any())
    plan = half_plan(graph, seed=0, logits=[2, 0])
    expected = masked_forward(model, X, kept_inputs(graph, plan))[:, [2, 0]]
    with torch.no_grad():
        torch.testing.assert_close(slice_model(model, graph, plan).module(X), expected, rtol=1e-12, atol=1e-14)
