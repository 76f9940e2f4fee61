"""The pitfalls of reading a network: each is refused in words, kept whole, or done right; none is guessed at."""

import logging

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.attribution import attribute
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.disassembly import disassembling
from model_lego.errors import BadBatches, LegoError, RefusedError, ShapeMismatch, TraceFailed, UnsupportedOpError
from model_lego.graph import RULES, read_graph
from model_lego.graph.ops.elementwise import ROWS
from tests.support.plans import half_plan, traced
from tests.support.tiny.streams import Head, unit
from tests.support.tiny_models import CLASSES, REFUSED, build, inputs

LIBRARY = torch.library.Library("lego_tests", "DEF")
LIBRARY.define("turn(Tensor x) -> Tensor")
LIBRARY.impl("turn", lambda x: x.flip(1), "CompositeExplicitAutograd")
LIBRARY.define("turn_(Tensor(a!) x) -> ()")
LIBRARY.impl("turn_", lambda x: (x.copy_(x.flip(1)), None)[1], "CPU")
torch.library.register_fake("lego_tests::turn_", lambda x: None, lib=LIBRARY)


class Does(nn.Module):
    """A layer of one's own."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def between(function) -> nn.Module:
    """A network of three layers with a function on maps of 8 channels at path '1'."""
    torch.manual_seed(0)
    return nn.Sequential(unit(3, 8), Does(function), unit(8, 10), Head(10)).double().eval()


def behind(function) -> nn.Module:
    """A network with a function of its logits at path '2'."""
    torch.manual_seed(0)
    return nn.Sequential(unit(3, 8), Head(8), Does(function)).double().eval()


def graph_of(model: nn.Module):
    return trace(model, inputs("plain", batch=2))


def batches(count: int = 10) -> list[tuple[Tensor, Tensor]]:
    return [(inputs("plain", batch=count), torch.arange(count) % CLASSES)]


# ------------------------------------------------------------------------------------------ operators not in the table


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda x: torch.erfinv(torch.tanh(x) * 0.5), "aten.erfinv.default"),
        (lambda x: torch.cumprod(x, 1), "aten.cumprod.default"),
        (lambda x: torch.fft.fft2(x).real, "aten.fft_fft2.default"),
        (torch.ops.lego_tests.turn, "lego_tests.turn.default"),
    ],
)
def test_an_unknown_operator_is_named_with_its_layer(function, operator):
    with pytest.raises(UnsupportedOpError, match="not in the table of operator rules") as raised:
        graph_of(between(function))
    assert raised.value.op == operator
    assert raised.value.where == "1"
    assert f"{operator} in layer '1'" in str(raised.value)
    assert isinstance(raised.value, TypeError)


def test_a_row_for_it_is_added_by_value():
    turn = torch.ops.lego_tests.turn.default
    assert turn not in RULES
    with pytest.raises(UnsupportedOpError):
        graph_of(between(turn))
    keeping = ROWS[torch.ops.aten.relu.default]  # wrong for `turn`, but a row
    assert read_graph(between(turn), inputs("plain"), rules={**RULES, turn: keeping}).layers


def test_an_unknown_operator_that_only_writes_is_named_too():
    def write(x):
        torch.ops.lego_tests.turn_(x)
        return x

    with pytest.raises(LegoError, match=r"lego_tests.turn_"):
        graph_of(between(write))


def test_a_length_over_the_channels_that_a_layer_reads_freezes_them():
    graph = graph_of(between(lambda x: x * F.avg_pool2d(x.norm(dim=1, keepdim=True), 3, 1, 1)))
    assert any("linalg_vector_norm" in freeze.reason and freeze.where == "1" for freeze in graph.freezes)


# ---------------------------------------------------------------------------------------------------- refused networks


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("one_logit", RefusedError, r"single output \(a sigmoid head\); give it one logit a class"),
        ("write_into_view", RefusedError, "writes into a part of a value"),
        ("data_dependent", TraceFailed, r"cannot follow DataDependent.*line \d+"),
    ],
)
def test_what_no_one_can_take_apart(name, error, message):
    assert name in REFUSED
    with pytest.raises(error, match=message):
        trace(build(name), inputs(name, batch=2))
    assert issubclass(error, LegoError)


def test_all_refused_networks_are_refused_one_way_or_another():
    for name in REFUSED:
        with pytest.raises(LegoError):
            trace(build(name), inputs(name, batch=2))


def half_relu(y):
    y[:, :2].relu_()
    return y


def flat_relu(y):
    y.view(y.size(0), -1).relu_()
    return y


@pytest.mark.parametrize("function", [half_relu, flat_relu])
def test_a_write_into_a_view_is_refused_with_its_layer(function):
    with pytest.raises(RefusedError, match=r"layer '1' writes into a part of a value \(aten::relu_\)"):
        graph_of(between(function))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[:, :, None], "batch x classes logits"),
        (lambda x: x[:, 0], "batch x classes logits"),
        (lambda x: torch.cat([-x, x], 1), "two logits are tied to the same channel"),
        (lambda x: x.softmax(1) * 2, "an operator reads across them"),
        (lambda x: x - x.mean(1, keepdim=True), "an operator reads across them"),
        (lambda x: x[:, :1], "single output"),
    ],
)
def test_logits_that_cannot_be_cut_to_some_classes_are_refused(function, message):
    with pytest.raises(RefusedError, match=message):
        graph_of(behind(function))


def test_a_network_that_gives_a_dict_is_refused_or_works():
    model = behind(lambda x: {"out": x})
    try:
        component = disassembling.disassemble(model, batches(), classes=[1, 2], sampling="all", repair="none")
    except RefusedError:
        return
    assert component(inputs("plain")).shape == (4, 2)


@pytest.mark.filterwarnings("ignore:.*torch.nn.utils.*:FutureWarning")
def test_old_style_weight_norm_is_refused_with_what_to_do():
    model = build("plain")
    nn.utils.weight_norm(model[4])
    with pytest.raises(RefusedError, match=r"layer '4' has old-style WeightNorm.*remove_weight_norm"):
        graph_of(model)
    nn.utils.remove_weight_norm(model[4])
    assert len(graph_of(model).layers) == 4


# ---------------------------------------------------------------------------------------------- shared, tied, in place


def test_a_module_called_twice_is_two_layers_with_one_set_of_channels():
    graph = traced("shared")[1]
    first, second = graph.layer("twice"), graph.layer("twice#2")
    assert first.weight == second.weight == "twice.weight"
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.outputs, second.outputs)
    assert torch.equal(first.inputs, first.outputs)  # what it gives is what it reads the second time


def test_tied_weights_stay_tied_and_untied_biases_do_not():
    model, graph = traced("tied")
    made = slice_model(model, graph, half_plan(graph, seed=0, logits=[1, 0])).module
    assert made.a.weight is made.b.weight
    assert made.a.bias is not made.b.bias
    assert made.a.weight.shape == (5, 5, 3, 3)
    assert (made.a.in_channels, made.b.in_channels, made.b.out_channels) == (5, 5, 5)
    assert not torch.equal(made.a.bias, made.b.bias)


class Aliased(nn.Module):
    """One module under two names, each of them called."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv, self.head = unit(3, 8), nn.Conv2d(8, 8, 3, padding=1), Head(8)
        self.again = self.conv

    def forward(self, x):
        return self.head(F.relu(self.again(F.relu(self.conv(self.stem(x))))))


def test_a_module_under_two_names_stays_one_module():
    model = Aliased().double().eval()
    graph = graph_of(model)
    made = slice_model(model, graph, half_plan(graph, seed=0, logits=[2, 0])).module
    assert made.again is made.conv
    assert made.conv.weight.shape == (4, 4, 3, 3)
    assert made(inputs("plain")).shape == (4, 2)


def test_in_place_operators_tie_and_keep_what_the_others_do():
    graph = traced("in_place")[1]
    assert not graph.freezes
    assert torch.equal(graph.layer("a").inputs, graph.layer("a").outputs)  # y += x
    assert torch.equal(graph.layer("b").inputs, graph.layer("a").outputs)
    assert torch.equal(graph.layer("head.linear").inputs, graph.layer("b").outputs)


def test_the_hooks_of_a_network_are_called_once_and_stay():
    model, calls = build("plain"), []
    for module in model.modules():
        module.register_forward_hook(lambda *_: calls.append(1))
        module.register_forward_pre_hook(lambda *_: calls.append(1))
    trace(model, inputs("plain"))
    assert len(calls) == 2 * len([*model.modules()])
    assert all(len(module._forward_hooks) == 1 for module in model.modules())


# ---------------------------------------------------------------------------------- heads: log-softmax, auxiliary ones


def test_a_log_softmax_head_is_cut_and_adds_up_to_one_again():
    model, x = build("log_softmax_head"), inputs("log_softmax_head", batch=10)
    component = disassembling.disassemble(model, batches(), classes=[4, 1], sampling="all", repair="none")
    assert component.module.head.out_features == 2
    with torch.no_grad():
        torch.testing.assert_close(component(x).exp().sum(dim=1), torch.ones(10, dtype=torch.float64))


@pytest.mark.parametrize("function", [lambda x: x.softmax(1), torch.sigmoid, lambda x: x / 0.5, torch.clone])
def test_what_stands_behind_the_logits_and_keeps_them_apart_is_no_obstacle(function):
    graph = graph_of(behind(function))
    assert not graph.freezes
    assert torch.equal(graph.head, graph.layer("1.linear").outputs)


def test_an_auxiliary_head_is_dropped_and_that_is_said():
    model, graph = traced("auxiliary")
    assert graph.unused == ("auxiliary.linear.weight", "auxiliary.linear.bias")
    assert graph.spare == ("auxiliary",)
    made = slice_model(model, graph, half_plan(graph, seed=0, logits=[1, 0]))
    assert made.dropped == ("auxiliary",)
    component = disassembling.disassemble(model, batches(), classes=[0, 3], sampling="all", repair="none")
    assert component.origin.settings["dropped_modules"] == ["auxiliary"]
    assert not [name for name in component.state_dict() if "auxiliary" in name]


def test_what_was_kept_whole_is_said():
    component = disassembling.disassemble(
        build("spatial_attention"), batches(), classes=[0, 3], sampling="all", repair="none"
    )
    assert "is reduced over channels (mean.dim) (layer '1')" in component.origin.settings["kept_whole"]


# ------------------------------------------------------------------------------------------------------------- batches


def test_images_with_other_channels_are_refused_in_trace_and_after_it():
    model, graph = traced("plain")
    with pytest.raises(ShapeMismatch, match=r"shape \(4, 12, 12\)"):
        trace(model, torch.zeros(2, 4, 12, 12, dtype=torch.float64))
    wrong = [(torch.zeros(2, 1, 12, 12, dtype=torch.float64), torch.zeros(2, dtype=torch.int64))]
    with pytest.raises(ShapeMismatch, match=r"shape \(1, 12, 12\), but the network takes \(3, 12, 12\)"):
        attribute(model, wrong, graph=graph)


def nan_in(place: int) -> list[tuple[Tensor, Tensor]]:
    (x, labels), found = batches(6)[0], []
    for number in range(3):
        images = x[2 * number : 2 * number + 2].clone()
        if number == place:
            images[1, 0, 3, 3] = float("inf")
        found.append((images, labels[2 * number : 2 * number + 2]))
    return found


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (batch for batch in batches()), "one-shot generator"),
        (lambda: iter(batches()), "one-shot list_iterator"),
        (lambda: map(tuple, batches()), "one-shot map"),
        (lambda: [], "empty"),
        (lambda: nan_in(2), "batch 2 contain NaN or infinite"),
        (lambda: [(batches()[0][0], torch.full((10,), 5))], "label 5 of batch 0 is out of range: there are 5 classes"),
        (lambda: [(batches()[0][0], torch.full((10,), -1))], "label -1 of batch 0"),
        (lambda: [(batches()[0][0], torch.zeros(10))], "give one int64 an image"),
        (lambda: [(batches()[0][0], torch.zeros(9, dtype=torch.int64))], "for 10 images"),
        (lambda: [(batches()[0][0].to(torch.uint8), batches()[0][1])], "the images are uint8"),
        (lambda: [(batches()[0][0].to(torch.int64), batches()[0][1])], "give floats"),
        (lambda: [batches()[0][0]], "not a pair"),
    ],
)
def test_batches_that_cannot_be_used_are_refused_in_words(make, message):
    model, graph = traced("plain")
    with pytest.raises(BadBatches, match=message):
        attribute(model, make(), graph=graph, sampling="all")
    with pytest.raises(BadBatches, match=message):
        disassembling.disassemble(model, make(), classes=[0, 1], sampling="all", graph=graph)


def test_batches_that_give_other_images_the_second_time_are_refused():
    class Augmented:
        def __iter__(self):
            yield inputs("plain", batch=5, seed=int(torch.randint(0, 10**6, ()))), torch.arange(5)

    model, graph = traced("plain")
    with pytest.raises(BadBatches, match="without random augmentation"):
        attribute(model, Augmented(), graph=graph, sampling="random")


def test_the_library_is_silent(capfd, caplog):
    with caplog.at_level(logging.INFO):
        disassembling.disassemble(build("plain"), batches(), classes=[0, 1], sampling="all")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
