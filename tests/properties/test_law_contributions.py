"""Law 3: contributions summed over the inputs are the spatial sum of (output - bias), before relu and normalisation.

And each single contribution is what a convolution of one pair of channels gives (tests/support/oracles.py), and what
`attribute` sums is their positive part, taken for each sample.
"""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.attribution import attribute
from model_lego.attribution.contribution import contributions
from model_lego.cutting.tracing import trace
from model_lego.graph import RULES, Layer
from model_lego.graph.rule import Window
from tests.support.oracles import contributions_conv, contributions_linear, hidden_maps
from tests.support.plans import traced
from tests.support.tiny_models import CLASSES, inputs
from tests.support.whole_networks import ZOO, lively

aten = torch.ops.aten
CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
ROWS = {
    F.conv1d: aten.conv1d.default,
    F.conv2d: aten.conv2d.default,
    F.conv3d: aten.conv3d.default,
    F.conv_transpose1d: aten.conv_transpose1d.default,
    F.conv_transpose2d: aten.conv_transpose2d.input,
    F.conv_transpose3d: aten.conv_transpose3d.input,
}
SAME = {1: aten.conv1d.padding, 2: aten.conv2d.padding, 3: aten.conv3d.padding}

fast = settings(max_examples=60, deadline=None, derandomize=True)


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def window(operator: object, x: Tensor, weight: Tensor, *geometry: Any) -> Window:
    """What the table reads off the arguments of a call, as they stand in the exported graph."""
    rule = RULES[operator]
    assert rule.window is not None
    return rule.window([None, None, None, *geometry], [tuple(x.shape), tuple(weight.shape), None])


def by_output(s: Tensor, groups: int) -> Tensor:
    """batch x in x out/groups, as the library gives contributions -> batch x out x in/groups, as the oracle does."""
    return torch.cat([block.transpose(1, 2) for block in s.chunk(groups, dim=1)], dim=1)


def complete(s: Tensor, y: Tensor, bias: Tensor, groups: int) -> None:
    """The law: what all inputs of an output add up to is the output without its bias, summed over the pixels."""
    expected = (y - bias.reshape(-1, *(1 for _ in y.shape[2:]))).reshape(*y.shape[:2], -1).sum(dim=2)
    torch.testing.assert_close(by_output(s, groups).sum(dim=2), expected, rtol=1e-10, atol=1e-10)


@st.composite
def geometries(draw, *, most_dims: int = 3):
    """Numbers of dimensions, channels, groups, and a geometry that leaves at least one output position."""
    dims = draw(st.integers(1, most_dims))

    def each(low: int, high: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=dims, max_size=dims))

    kernel, dilation, padding, stride = each(1, 4), each(1, 3), each(0, 3), each(1, 3)
    reach = [d * (k - 1) + 1 - 2 * p for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = [max(r, 1) + extra for r, extra in zip(reach, each(0, 4), strict=True)]
    groups, wide, high = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return {
        "size": size,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "inputs": groups * wide,
        "outputs": groups * high,
        "seed": draw(st.integers(0, 1000)),
    }


@fast
@given(geometries())
def test_completeness_of_convolutions(case):
    g, conv = case["groups"], CONVOLUTIONS[len(case["size"])]
    x = randn(case["seed"], 2, case["inputs"], *case["size"])
    weight = randn(case["seed"] + 1, case["outputs"], case["inputs"] // g, *case["kernel"])
    bias = randn(case["seed"] + 2, case["outputs"])
    geometry = [case[key] for key in ("stride", "padding", "dilation", "groups")]
    s = contributions(x, weight, window(ROWS[conv], x, weight, *geometry))
    complete(s, conv(x, weight, bias, *geometry), bias, g)


@fast
@given(geometries(most_dims=2))
def test_every_pair_is_the_convolution_of_that_pair(case):
    g, flat = case["groups"], len(case["size"]) == 1
    x = randn(case["seed"], 2, case["inputs"], *case["size"])
    weight = randn(case["seed"] + 1, case["outputs"], case["inputs"] // g, *case["kernel"])
    geometry = [case[key] for key in ("stride", "padding", "dilation")]
    operator = aten.conv1d.default if flat else aten.conv2d.default
    s = contributions(x, weight, window(operator, x, weight, *geometry, g))
    if flat:  # one row of pixels
        x, weight = x[:, :, None], weight[:, :, None]
        geometry = [(1, *geometry[0]), (0, *geometry[1]), (1, *geometry[2])]
    stride, padding, dilation = (tuple(values) for values in geometry)
    expected = contributions_conv(x, weight, stride=stride, padding=padding, dilation=dilation, groups=g)
    torch.testing.assert_close(by_output(s, g), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("innermost", [False, True], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 2)], ids=str)
@pytest.mark.parametrize("kernel", [(1, 1), (1, 2), (1, 7), (7, 1), (2, 1), (3, 3), (1, 14)], ids=str)
@pytest.mark.parametrize("side", [(16, 16), (17, 17), (14, 19), (19, 14)], ids=str)
def test_every_pair_on_both_sides_of_the_size_from_which_each_dimension_is_summed_by_itself(
    side, kernel, stride, innermost
):
    """Maps of 256 to 289 pixels around FEW_PIXELS, kernels of one row or column among them, in both memory formats."""
    x, padding = randn(3, 2, 4, *side), tuple(size // 2 for size in kernel)
    weight = randn(4, 6, 2, *kernel)
    laid_out = x.contiguous(memory_format=torch.channels_last) if innermost else x
    s = contributions(laid_out, weight, window(aten.conv2d.default, x, weight, stride, padding, (1, 1), 2))
    expected = contributions_conv(x, weight, stride=stride, padding=padding, groups=2)
    torch.testing.assert_close(by_output(s, 2), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@fast
@given(geometries(), st.sampled_from(["same", "valid"]))
def test_completeness_of_padding_in_words(case, padding):
    dims, g = len(case["size"]), case["groups"]
    x = randn(case["seed"], 2, case["inputs"], *(n + 12 for n in case["size"]))
    weight = randn(case["seed"] + 1, case["outputs"], case["inputs"] // g, *case["kernel"])
    bias = randn(case["seed"] + 2, case["outputs"])
    geometry = [1, padding, case["dilation"], g]
    y = CONVOLUTIONS[dims](x, weight, bias, *geometry)
    complete(contributions(x, weight, window(SAME[dims], x, weight, *geometry)), y, bias, g)


@fast
@given(geometries(), st.data())
def test_completeness_of_transposed_convolutions(case, data):
    g, conv = case["groups"], TRANSPOSED[len(case["size"])]
    spans = zip(case["size"], case["kernel"], case["stride"], case["dilation"], strict=True)
    most = [((n - 1) * s + d * (k - 1)) // 2 for n, k, s, d in spans]  # leaves at least one output position
    padding = [min(p, m) for p, m in zip(case["padding"], most, strict=True)]
    limits = [max(s, d) - 1 for s, d in zip(case["stride"], case["dilation"], strict=True)]
    extra = [data.draw(st.integers(0, limit)) for limit in limits]
    x = randn(case["seed"], 2, case["inputs"], *case["size"])
    weight = randn(case["seed"] + 1, case["inputs"], case["outputs"] // g, *case["kernel"])
    bias = randn(case["seed"] + 2, case["outputs"])
    geometry = [case["stride"], padding, extra, g, case["dilation"]]
    s = contributions(x, weight, window(ROWS[conv], x, weight, *geometry))
    complete(s, conv(x, weight, bias, *geometry), bias, g)


@fast
@given(st.lists(st.integers(1, 4), max_size=3), st.integers(1, 6), st.integers(1, 5), st.integers(0, 1000))
def test_linear_layers_sum_over_the_dimensions_between(middle, wide, high, seed):
    x, weight, bias = randn(seed, 3, *middle, wide), randn(seed + 1, high, wide), randn(seed + 2, high)
    s = contributions(x, weight, window(aten.linear.default, x, weight))
    torch.testing.assert_close(by_output(s, 1), contributions_linear(x, weight), rtol=1e-10, atol=1e-10)
    y = F.linear(x, weight, bias) - bias
    torch.testing.assert_close(s.sum(dim=1), y.reshape(3, -1, high).sum(dim=1), rtol=1e-10, atol=1e-10)


def layer_input(model: nn.Module, layer: Layer, x: Tensor) -> Tensor:
    """What a module reads, by a hook on the source."""
    seen: list[Tensor] = []
    handle = model.get_submodule(layer.name).register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    with torch.no_grad():
        model(x)
    handle.remove()
    return seen[0]


def check_sums(model: nn.Module, graph: Any, x: Tensor, labels: Tensor) -> list[str]:
    """Compare `attribute` with the oracle's s+, summed over the samples of each class; gives the layers compared."""
    stats = attribute(model, [(x, labels)], graph=graph, sampling="all")
    classes = sorted(set(labels.tolist()))
    compared = []
    for layer in graph.layers:
        module: Any = model.get_submodule(layer.name)
        if layer.name not in stats.layers or type(module) not in (nn.Conv2d, nn.Linear):
            continue
        read, weight = layer_input(model, layer, x), module.weight.detach()
        if type(module) is nn.Linear:
            s = contributions_linear(read, weight)
        else:
            apart = module.padding == "same" or module.padding_mode != "zeros"  # padded here, before the oracle reads
            if apart:
                mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
                read = F.pad(read, module._reversed_padding_repeated_twice, mode=mode)
            s = contributions_conv(
                read,
                weight,
                stride=module.stride,
                padding=0 if apart else module.padding,
                dilation=module.dilation,
                groups=module.groups,
            )
        positive = s.clamp(min=0)
        for place, label in enumerate(classes):
            mine = positive[labels == label]
            found = stats.layers[layer.name].summed(place)
            torch.testing.assert_close(found, mine.sum(dim=0), rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(stats.mean(layer.name, label), mine.mean(dim=0), rtol=1e-10, atol=1e-10)
        compared.append(layer.name)
    return compared


@pytest.mark.parametrize(
    ("name", "least"), [("plain", 4), ("residual", 9), ("grouped", 8), ("se", 5), ("layer_scale", 4), ("geometry", 5)]
)
def test_attribute_sums_the_positive_part_of_each_sample(name, least):
    model, graph = traced(name)
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 0, 2])
    assert len(check_sums(model, graph, inputs(name, batch=8, seed=4), labels)) >= least


def one_layer(conv: nn.Module, side: int) -> nn.Sequential:
    """A convolution between others that give it maps of `side` x `side`, and a head."""
    torch.manual_seed(0)
    width = conv.out_channels
    stem = [nn.Conv2d(3, 6, 1), nn.Tanh(), nn.AdaptiveAvgPool2d(side)]  # tanh: inputs of both signs
    return nn.Sequential(*stem, conv, nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES))


@pytest.mark.parametrize("side", [1, 2, 3, 9])
@pytest.mark.parametrize(
    "geometry",
    [
        {"kernel_size": 1},
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 2, "dilation": 2},
        {"kernel_size": 3, "padding": 1, "stride": 2, "groups": 2},
        {"kernel_size": (1, 3), "padding": (0, 1), "groups": 3},
        {"kernel_size": 5, "padding": 2},
    ],
)
def test_every_form_of_the_sum_on_maps_of_every_size(side, geometry):
    """One number a channel (two vectors), few pixels (contracted), many pixels (taps): all give the same."""
    model = one_layer(nn.Conv2d(6, 12, **geometry), side).double().eval()
    graph = trace(model, inputs("plain", batch=2))
    assert check_sums(model, graph, inputs("plain", batch=7), torch.tensor([0, 1, 2, 3, 4, 1, 1])) == ["0", "3", "7"]
    stats = attribute(model, [(inputs("plain", batch=5), torch.arange(5))], graph=graph, sampling="all").layers["3"]
    centre_only = geometry.get("dilation") == 2 and side == 2  # the other taps read nothing but padding
    one_number = geometry["kernel_size"] == 1 or side == 1 or centre_only
    assert (stats.sums is None) == one_number


def test_only_the_asked_for_classes_are_summed_and_held():
    model, graph = traced("plain")
    x, labels = inputs("plain", batch=10), torch.arange(10) % CLASSES
    every = attribute(model, [(x, labels)], graph=graph, sampling="all")
    some = attribute(model, [(x, labels)], graph=graph, classes=[3, 1], sampling="all")
    assert some.counts == (2, 2)
    for name in every.layers:
        for label in (1, 3):
            torch.testing.assert_close(some.mean(name, label), every.mean(name, label), rtol=1e-12, atol=1e-14)
        if some.layers[name].sums is not None:
            assert len(some.layers[name].sums) == 2


# ----------------------------------------------------------------------------------------------------- whole networks


def close(one: Tensor, two: Tensor) -> bool:
    """Equal to 1e-10 of the largest; assert_close would hold many copies of a matrix of 4,096 x 25,088."""
    return one.shape == two.shape and bool((one - two).abs().max() <= 1e-10 * two.abs().max().clamp(min=1e-3))


def every_pair(module: Any, read: Tensor) -> tuple[Tensor, Window]:
    """The oracle's contributions of a module of torchvision, batch x out x in/groups, and the table's window."""
    weight = module.weight.detach()
    if isinstance(module, nn.Linear):
        return weight * read[:, None, :], window(aten.linear.default, read, weight)
    names = ("stride", "padding", "dilation", "groups")
    geometry = {name: getattr(module, name) for name in names}
    return hidden_maps(read, weight, **geometry).sum((3, 4)), window(
        aten.conv2d.default, read, weight, *geometry.values()
    )


@pytest.mark.zoo
@pytest.mark.parametrize("name", ZOO)
def test_every_layer_of_a_torchvision_network_is_complete(name):
    model, graph, (x, labels) = lively(name)
    x, label = x[:1], int(labels[0])
    stats = attribute(model, [(x, labels[:1])], graph=graph, classes=[label], sampling="all")
    heard: list[str] = []

    def compare(layer: Layer, module: Any, read: Tensor, y: Tensor) -> None:
        expected, geometry = every_pair(module, read)
        s = contributions(read, module.weight.detach(), geometry)
        bias = torch.zeros(len(module.weight), dtype=y.dtype) if module.bias is None else module.bias.detach()
        complete(s, y, bias, layer.groups)
        assert close(by_output(s, layer.groups), expected), layer.name
        if layer.name in stats.layers:
            assert close(stats.layers[layer.name].summed(0), expected[0].clamp(min=0)), layer.name
        heard.append(layer.name)

    hooks = [
        model.get_submodule(layer.name).register_forward_hook(
            lambda module, args, y, layer=layer: compare(layer, module, args[0], y)
        )
        for layer in graph.layers
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    assert sorted(heard) == sorted(layer.name for layer in graph.layers)
    depthwise = {layer.name for layer in graph.layers if layer.groups > 1 and layer.groups == len(layer.inputs)}
    assert set(stats.layers) == set(heard) - depthwise


def test_positions_that_lie_in_the_batch_count_for_their_image():
    """Four quarters of each image go through one convolution side by side: (3) sums over them before its relu."""
    model, graph = traced("windows")
    x, labels = inputs("windows", batch=6, seed=4), torch.tensor([0, 1, 1, 0, 2, 1])
    conv, seen = model[1].conv, []
    hook = conv.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        model(x)
    hook.remove()
    quarters = contributions_conv(seen[0], conv.weight.detach(), padding=1)
    expected = quarters.reshape(6, 4, *quarters.shape[1:]).sum(1).clamp(min=0)
    stats = attribute(model, [(x, labels)], graph=graph, classes=[0, 1], sampling="all")
    for label in (0, 1):
        torch.testing.assert_close(
            stats.mean("1.conv", label), expected[labels == label].mean(0), rtol=1e-12, atol=1e-12
        )
