"""A caller's own mixing operators, given by rows of their own, do all that the built-in ones do, number for number.

One network of built-in operators, and its twin that calls operators which nothing in the package knows by name.
"""

import functools
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import model_lego as ml
from model_lego.assembly.padding import place
from model_lego.attribution import attribute, locate
from model_lego.budgets.criteria import CRITERIA
from model_lego.cutting.masking import masked_run
from model_lego.cutting.tracing import trace
from model_lego.errors import BadConfig, IncompatibleComponents
from model_lego.graph import RULES, ChannelGraph
from model_lego.graph.cost import cost_of
from model_lego.graph.ops.elementwise import keep
from model_lego.graph.ops.mixing import mixed
from model_lego.graph.reachability import reaching
from model_lego.graph.rule import OpRule, Route, Window
from model_lego.heads.features import logit_layers
from model_lego.heads.scaling import scale_layers
from model_lego.routes import decision_routes

CLASSES = 5
THRESHOLDS = ml.Thresholds(conv_alpha=0.5, conv_beta=0.6, linear_alpha=0.05, linear_beta=0.1)


def stencil(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(x, weight, bias, padding=1)


def each(x: Tensor, weight: Tensor) -> Tensor:
    """A filter for each channel; how many there are is nowhere said but in the weight."""
    return F.conv2d(x, weight, padding=1, groups=len(weight))


def pixelwise(x: Tensor, weight: Tensor) -> Tensor:
    """A matrix at each pixel."""
    return F.conv2d(x, weight[:, :, None, None])


def spread(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv_transpose2d(x, weight, stride=2)


def project(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(x, weight, bias)


def own(function):
    """An operator that shows nothing but its name, `lego_own::` and the function's."""
    operator = torch.library.custom_op(f"lego_own::{function.__name__}", function, mutates_args=())
    operator.register_fake(function)

    def backward(ctx, slope):
        with torch.enable_grad():
            given = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
            return torch.autograd.grad(function(*given), given, slope)

    operator.register_autograd(backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
    return getattr(torch.ops.lego_own, function.__name__)


STENCIL, EACH, PIXELWISE, SPREAD, PROJECT = map(own, (stencil, each, pixelwise, spread, project))
PADDED = {"kernel": (3, 3), "stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
PLAIN = {"padding": ((0, 0), (0, 0)), "dilation": (1, 1)}


def row(window, weights=(1,)) -> OpRule:
    return OpRule("own", Route.MIXES, mixed, window=window, weights=weights)


ROWS = {
    STENCIL.default: row(lambda args, shapes: Window(**PADDED), (1, 2)),
    EACH.default: row(lambda args, shapes: Window(**PADDED, groups=shapes[1][0])),
    PIXELWISE.default: row(lambda args, shapes: Window(kernel=(1, 1), stride=(1, 1), **PLAIN)),
    SPREAD.default: row(
        lambda args, shapes: Window(kernel=(2, 2), stride=(2, 2), **PLAIN, transposed=True, output_padding=(0, 0))
    ),
    PROJECT.default: row(lambda args, shapes: Window(), (1, 2)),
}
TABLE = {**RULES, **ROWS}


class Applied(nn.Module):
    """A function of what comes, a weight, and a bias if there is one."""

    def __init__(self, function, *shape: int, bias: bool = False) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.randn(shape) / (torch.Size(shape[1:]).numel() ** 0.5))
        if bias:
            self.bias = nn.Parameter(torch.randn(shape[0]) / 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.parameters())


class Depthwise(nn.Module):
    """What `each` does, by the built-in operator."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.groups = nn.Parameter(torch.randn(width, 1, 3, 3) / 3), width

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, None, 1, 1, 1, self.groups)


class Net(nn.Module):
    """Layers of every kind: strided, depthwise, pointwise, transposed, and linear over pixels and over features."""

    def __init__(self, *, built_in: bool) -> None:
        super().__init__()
        names = (STENCIL, EACH, PIXELWISE, SPREAD, PROJECT)
        functions = (stencil, each, F.conv2d, spread, project) if built_in else names
        first, filters, matrix, transposed, linear = functions
        self.first = Applied(first, 8, 3, 3, 3, bias=True)
        self.each = Depthwise(8) if built_in else Applied(filters, 8, 1, 3, 3)
        self.matrix = Applied(matrix, *((12, 8, 1, 1) if built_in else (12, 8)))
        self.norm = nn.BatchNorm2d(12)
        self.spread = Applied(transposed, 12, 6, 2, 2)
        self.pixels = Applied(linear, 10, 6, bias=True)
        self.last = Applied(linear, CLASSES, 10, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.matrix(self.each(self.first(x).relu()))).relu()
        x = self.spread(x).relu().permute(0, 2, 3, 1)
        return self.last(self.pixels(x).relu().mean((1, 2)))


def network(seed: int, *, built_in: bool) -> nn.Module:
    torch.manual_seed(seed)
    plain = Net(built_in=True)
    for tensor in (plain.norm.running_mean, plain.norm.weight, plain.norm.bias):
        tensor.data = torch.randn(12) / 3 + 1
    if built_in:
        return plain.double().eval()
    twin = Net(built_in=False)
    shapes = {name: tensor.shape for name, tensor in twin.state_dict().items()}
    twin.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in plain.state_dict().items()})
    return twin.double().eval()


torch.manual_seed(1)
IMAGES = torch.randn(40, 3, 12, 12, dtype=torch.float64)
LABELS = torch.arange(40) % CLASSES
BATCHES = [(IMAGES[:20], LABELS[:20]), (IMAGES[20:], LABELS[20:])]
SETTINGS = {"sampling": "all", "repair": "none"}


@functools.cache
def pair(seed: int = 0) -> tuple[tuple[nn.Module, ChannelGraph], tuple[nn.Module, ChannelGraph]]:
    """The network of built-in operators and its twin, with their graphs; nobody may change them."""
    plain, twin = network(seed, built_in=True), network(seed, built_in=False)
    return (plain, trace(plain, IMAGES[:2])), (twin, trace(twin, IMAGES[:2], rules=TABLE))


def cut(seed: int = 0, classes=(3, 1), **options) -> list[ml.Component]:
    return [
        ml.disassemble(model, BATCHES, classes=list(classes), graph=graph, **{**SETTINGS, **options})
        for model, graph in pair(seed)
    ]


def same(plain: ml.Component, twin: ml.Component) -> None:
    """They keep the same channels, and give the same logits."""
    assert twin.origin.kept_inputs == plain.origin.kept_inputs
    assert twin.origin.kept_outputs == plain.origin.kept_outputs
    assert twin.origin.cost_before.macs == plain.origin.cost_before.macs
    assert twin.origin.cost_after == plain.origin.cost_after
    assert twin.origin.cost_after.parameters < plain.origin.cost_before.parameters
    assert torch.equal(twin(IMAGES), plain(IMAGES))


def test_the_twins_are_read_alike():
    (plain, graph), (twin, other) = pair()
    assert torch.equal(twin(IMAGES), plain(IMAGES))
    assert not {layer.op for layer in graph.layers} & {layer.op for layer in other.layers}
    assert len(graph.layers) == 6
    for one, two in zip(graph.layers, other.layers, strict=True):
        assert (two.name, two.weight, two.bias, two.window) == (one.name, one.weight, one.bias, one.window)
        assert (two.inputs.tolist(), two.outputs.tolist()) == (one.inputs.tolist(), one.outputs.tolist())
    assert torch.equal(other.frozen, graph.frozen)


def test_a_masked_run_masks_the_channels_that_the_operator_reads():
    (plain, graph), (twin, other) = pair()
    keep = torch.rand(graph.width, generator=torch.Generator().manual_seed(0)) < 0.6
    keep[graph.head] = True
    plan = ml.graph.select(graph, keep, logits=[0, 2])
    assert torch.equal(masked_run(twin, other, plan, IMAGES), masked_run(plain, graph, plan, IMAGES))


def test_contributions_and_the_channels_that_thresholds_find():
    selections, means = [], []
    for model, graph in pair():
        stats = attribute(model, BATCHES, graph=graph, sampling="all")
        selections.append(locate(graph, stats, classes=[3, 1], thresholds=THRESHOLDS).keep)
        means.append([stats.mean(layer.name, 3) for layer in graph.layers if layer.name in stats.layers])
    for one, two in zip(*means, strict=True):
        assert torch.equal(one, two)
    assert torch.equal(*selections)


@pytest.mark.parametrize("repair", ["none", "ridge", "mean", "bn"])
def test_disassembly_by_thresholds(repair):
    same(*cut(thresholds=THRESHOLDS, repair=repair))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_disassembly_within_a_budget(criterion):
    same(*cut(budget=ml.Budget(params=0.5), criterion=criterion))


def test_baselines():
    contenders = []
    parts = cut(thresholds=THRESHOLDS, repair="ridge")
    for part, (model, graph) in zip(parts, pair(), strict=True):
        contenders.append(ml.baselines(part, model, calibration=BATCHES, graph=graph))
    assert len(contenders[0]) > 5
    for one, two in zip(*contenders, strict=True):
        assert (two.name, two.columns, two.cost.macs) == (one.name, one.columns, one.cost.macs)
        assert torch.equal(two.logits(IMAGES), one.logits(IMAGES))


def test_decision_routes():
    found = []
    for model, graph in pair():
        stats = attribute(model, BATCHES, graph=graph, sampling="all")
        found.append(decision_routes(model, stats, [0, 3], graph=graph, images=IMAGES[:2], thresholds=THRESHOLDS))
    assert torch.equal(found[0].relevant, found[1].relevant)
    assert torch.equal(found[0].contributions, found[1].contributions)


def test_channels_that_no_logit_reaches():
    reached = []
    for seed in (0,):
        for built_in in (True, False):
            model = network(seed, built_in=built_in)
            with torch.no_grad():
                model.spread.weight[:, 2] = 0  # output 2 reads nothing, and nothing reads output 4
                model.pixels.weight[:, 4] = 0
                model.spread.weight[7] = 0
            graph = trace(model, IMAGES[:2], rules=TABLE)
            reached.append(reaching(model, graph, [0]))
    assert torch.equal(*reached)
    assert int(reached[0].sum()) == graph.width - (CLASSES - 1) - 2


def test_assembled_side_by_side():
    joined = []
    parts = zip(cut(thresholds=THRESHOLDS), cut(1, (0, 4), thresholds=THRESHOLDS), strict=True)
    for both in parts:
        joined.append(ml.assemble(list(both), calibration=[(IMAGES, LABELS % 4)], head="affine"))
    assert torch.equal(joined[1](IMAGES), joined[0](IMAGES))


@pytest.mark.parametrize("order", [1, -1])
def test_a_depthwise_layer_with_one_channel_left_is_not_padded_beside_one_with_more(order):
    parts = [cut(thresholds=THRESHOLDS)[0], cut(1, (0, 4), thresholds=THRESHOLDS)[0]][::order]
    assert sorted(part.module.each.groups for part in parts) == [1, 2]
    with pytest.raises(IncompatibleComponents, match="single one left in others"):
        ml.assemble(parts, layout="padded")


def test_padded_into_one_network():
    parts = [cut(thresholds=THRESHOLDS), cut(1, (0, 4), budget=ml.Budget(params=0.7))]
    plain, twin = (place([part[side].module for part in parts], IMAGES[:2], rules=TABLE) for side in (0, 1))
    assert torch.equal(twin.module(IMAGES), plain.module(IMAGES))
    assert cost_of(twin.module, twin.program, rules=TABLE).macs == cost_of(plain.module, plain.program).macs
    expected = torch.cat([part[0](IMAGES) for part in parts], 1)
    torch.testing.assert_close(plain.module(IMAGES), expected)


def test_layers_scaled_to_a_common_level():
    scaled = []
    for side in (0, 1):
        modules = [pair(seed)[side][0] for seed in (0, 1)]
        scaled.append(scale_layers(modules, [IMAGES, IMAGES], rules=TABLE))
    for one, two in zip(*scaled, strict=True):
        assert torch.equal(two(IMAGES), one(IMAGES))
        assert not torch.equal(one.spread.weight, modules[0].spread.weight)


def test_the_layer_that_makes_the_logits():
    for model, _ in pair():
        assert logit_layers(model, IMAGES, rules=TABLE) == ("last",)


def product(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight


def test_a_matrix_stored_inputs_first():
    """A product x W, whose weight has its outputs along the second axis."""
    operator = own(product)
    rules = {**RULES, operator.default: row(lambda args, shapes: Window(transposed=True))}
    torch.manual_seed(3)
    stem, last = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()], nn.Linear(6, CLASSES)
    middle, twin_middle = nn.Linear(8, 6, bias=False), Applied(operator, 8, 6)
    twin_middle.weight.data = middle.weight.data.T.clone()
    networks = [nn.Sequential(*stem, each, nn.ReLU(), last).double().eval() for each in (middle, twin_middle)]
    parts = []
    for model in networks:
        graph = trace(model, IMAGES[:2], rules=rules)
        budget = ml.Budget(params=0.5)
        parts.append(ml.disassemble(model, BATCHES, classes=[3, 1], graph=graph, budget=budget, **SETTINGS))
    assert parts[1].origin.kept_inputs == parts[0].origin.kept_inputs
    assert parts[1].origin.cost_after == parts[0].origin.cost_after
    torch.testing.assert_close(parts[1](IMAGES), parts[0](IMAGES))


def test_a_row_that_mixes_says_what_it_reads():
    with pytest.raises(BadConfig, match="'mine' mixes channels, but has no window"):
        OpRule("mine", Route.MIXES, keep)
    assert replace(ROWS[PROJECT.default], name="mine").window is not None
