"""A cut network that is not what was planned is refused, also where its operators are taken over unread."""

import pytest
import torch
from torch import Tensor, nn

from model_lego.cutting import verification
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.errors import CutMismatch
from model_lego.graph import ChannelGraph, ChannelSelection, read_graph, select
from model_lego.graph.program import Program, export_program
from tests.support.plans import half_plan, traced
from tests.support.tiny_models import build, inputs


class Counting(nn.Module):
    """A network that looks at the number of its channels in plain Python, which no graph shows."""

    def __init__(self, behind: str) -> None:
        super().__init__()
        self.first, self.head, self.behind = nn.Conv2d(3, 8, 3), nn.Linear(8, 4), behind

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.behind == "branch":
            x = x.relu() if x.shape[1] == 8 else x.sigmoid()
        if self.behind == "scale":
            x = x / x.shape[1]
        if self.behind == "error" and x.shape[1] != 8:
            raise ValueError("eight channels, please")
        assert self.behind != "assertion" or x.shape[1] == 8, "eight channels, please"
        if self.behind == "key":
            x = x * {8: 0.5}[x.shape[1]]
        return self.head(x.relu().mean((2, 3)))


def halved(behind: str) -> tuple[nn.Module, nn.Module, ChannelGraph, ChannelSelection, Tensor]:
    torch.manual_seed(0)
    model, x = Counting(behind).eval(), torch.randn(2, 3, 6, 6)
    graph = trace(model, x)
    assert not graph.suspects
    plan = select(graph, torch.arange(graph.width) % 2 == 0, logits=[2, 0], scores=torch.rand(graph.width))
    return slice_model(model, graph, plan).module, model, graph, plan, x


def test_a_network_that_counts_nothing_passes_and_its_program_is_that_of_an_export():
    cut, model, graph, plan, x = halved("nothing")
    program = check_cut(cut, model, graph, plan, x).program
    exported = export_program(cut, x)
    assert [(n.name, str(n.target)) for n in program.nodes] == [(n.name, str(n.target)) for n in exported.nodes]
    shapes = [tuple(n.meta["val"].shape[1:]) for n in program.nodes if n.op == "call_function"]
    assert shapes == [tuple(n.meta["val"].shape[1:]) for n in exported.nodes if n.op == "call_function"]
    images = torch.randn(5, 3, 6, 6)  # another batch size
    torch.testing.assert_close(program.run(cut, images), exported.run(cut, images))


@pytest.mark.parametrize("behind", ["branch", "scale", "error", "assertion", "key"])
def test_a_network_that_counts_its_channels_is_refused(behind):
    cut, model, graph, plan, x = halved(behind)
    with pytest.raises(CutMismatch, match=r"channel numbers|eight channels|does not run"):
        check_cut(cut, model, graph, plan, x)


def test_a_tensor_of_the_wrong_width_is_refused():
    cut, model, graph, plan, x = halved("nothing")
    cut.first.weight = nn.Parameter(torch.randn(5, 3, 3, 3))
    with pytest.raises(CutMismatch, match="does not run"):
        check_cut(cut, model, graph, plan, x)


def test_a_depthwise_layer_follows():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.Flatten(), nn.Linear(8, 3)).eval()
    x = torch.randn(2, 3, 3, 3)
    graph = trace(model, x)
    plan = select(graph, torch.arange(graph.width) % 2 == 0, logits=[0, 2], scores=torch.rand(graph.width))
    cut = slice_model(model, graph, plan).module
    program = check_cut(cut, model, graph, plan, x).program
    assert cut[1].groups < 8
    assert program.run(cut, x).shape == (2, 2)
    assert graph.program.run(model, x).shape == (2, 3)  # and the source's program is as it was


def ending(*last, weight=1.0):
    """A classifier of four classes whose last two take all where a softmax follows and the weight is large."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 4), *last).double().eval()
    with torch.no_grad():
        model[3].bias[2:] += weight
    return model


def kept_two(model):
    x = torch.rand(2, 3, 2, 2, dtype=torch.float64)
    graph = trace(model, x)
    selection = select(graph, torch.ones(graph.width, dtype=torch.bool), logits=[1, 0])
    return slice_model(model, graph, selection).module, model, graph, selection, x


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.LogSoftmax(1)])
@pytest.mark.parametrize("weight", [1.0, 1e4])
def test_a_softmax_over_fewer_classes_is_compared_where_it_left_them_anything(last, weight):
    check_cut(*kept_two(ending(last, weight=weight)))


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.LogSoftmax(1)])
def test_a_wrong_cut_is_noticed_behind_a_softmax(last):
    module, *others = kept_two(ending(last))
    with torch.no_grad():
        module[3].weight.mul_(2)
    with pytest.raises(CutMismatch, match="logits that differ"):
        check_cut(module, *others)


def test_a_network_that_gives_no_numbers_is_no_cut_that_was_checked():
    module, model, *others = kept_two(ending())
    with torch.no_grad():
        model[3].bias.fill_(float("nan"))
    with pytest.raises(CutMismatch, match="differ by nan"):
        check_cut(module, model, *others)


def shapes_in(program: Program) -> list[tuple[int, ...]]:
    values = [node.meta["val"] for node in program.nodes if node.op == "call_function"]
    return [tuple(value.shape[1:]) for value in values if isinstance(value, Tensor)]


@pytest.mark.parametrize("name", ["attention", "attention_own_widths"])
def test_views_whose_sizes_follow_take_no_export(name, monkeypatch):
    """The source's operators with the planned sizes are those of the cut, to the last bit; their sizes are written."""
    model, graph = traced(name)
    assert graph.suspects
    cut = slice_model(model, graph, half_plan(graph, seed=0, logits=[2, 0])).module
    exported = export_program(cut, inputs(name, batch=2))
    monkeypatch.setattr(verification, "export_program", None)
    program = check_cut(cut, model, graph, half_plan(graph, seed=0, logits=[2, 0]), inputs(name, batch=2)).program
    assert shapes_in(program) == shapes_in(exported)
    images = inputs(name, batch=5, seed=3)  # another batch size
    torch.testing.assert_close(program.run(cut, images), exported.run(cut, images))


def test_a_view_whose_size_does_not_follow_is_refused_without_an_export(monkeypatch):
    """`attention_fixed` has its sizes written into it: as it was read, before it was tried."""
    model, x = build("attention_fixed"), inputs("attention_fixed", batch=2)
    graph = read_graph(model, x)
    assert set(graph.views) == {suspect.node for suspect in graph.suspects}
    plan = half_plan(graph, seed=0, logits=[2, 0])
    monkeypatch.setattr(verification, "export_program", None)
    with pytest.raises(CutMismatch, match="does not run"):
        check_cut(slice_model(model, graph, plan).module, model, graph, plan, x)


class OtherOperators(nn.Module):
    """A view that follows, and behind it another operator, which gives the same, for other widths."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1))
        x = x.view(x.shape[0], 1, x.shape[1]).mean(1)
        return self.head(x.relu() if x.shape[1] == 8 else x.clamp(min=0))


def test_other_operators_are_refused_though_they_give_the_same():
    model, x = OtherOperators().double().eval(), torch.randn(2, 6, 1, 1, dtype=torch.float64)
    graph = read_graph(model, x)
    assert set(graph.views) == {suspect.node for suspect in graph.suspects} != set()
    plan = select(graph, torch.arange(graph.width) % 2 == 0, logits=[0, 2])
    with pytest.raises(CutMismatch, match="other operators than its source"):
        check_cut(slice_model(model, graph, plan).module, model, graph, plan, x)
