"""Components of one source, united, are the component that keeps what any of them kept."""

import copy

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.assembly.uniting import unite
from model_lego.disassembly.disassembling import Plan, cut
from model_lego.errors import BadConfig, IncompatibleComponents
from model_lego.graph import ChannelSelection, keep_all, select
from tests.support.components import share_plan
from tests.support.plans import FREEZING, some_logits, traced
from tests.support.tiny_models import OTHER, TINY, build, inputs


def component(name, selection, preprocessing=None):
    model, graph = traced(name)
    names = tuple(f"class {number}" for number in range(len(graph.head)))
    planned = Plan(
        graph=graph, stats=None, selection=selection, classes=tuple(names[label] for label in selection.logits),
        labels=selection.logits, source_classes=names, settings={}, example=inputs(name, batch=2),
    )  # fmt: skip
    return cut(model, planned, preprocessing=preprocessing)


def halves(name):
    """Two components of other classes, and of other channels as well."""
    graph = traced(name)[1]
    first = some_logits(graph, seed=1)
    rest = [label for label in range(len(graph.head)) if label not in first]
    return [component(name, share_plan(graph, 0.5, seed=seed, logits=some)) for seed, some in ((1, first), (2, rest))]


def union(name, parts):
    graph = traced(name)[1]
    keep = torch.zeros(graph.width, dtype=torch.bool)
    for part in parts:
        for layer in graph.layers:
            keep[layer.outputs[list(part.origin.kept_outputs[layer.name])]] = True
            keep[layer.inputs[list(part.origin.kept_inputs[layer.name])]] = True
    return select(graph, keep, logits=[label for part in parts for label in part.labels])


@pytest.mark.parametrize("name", [*TINY, *OTHER])
def test_with_the_source_it_is_cut_from_it(name):
    parts, x = halves(name), inputs(name, batch=3)
    united = unite(parts, traced(name)[0], graph=traced(name)[1])
    expected = component(name, union(name, parts))
    assert united.classes == (*parts[0].classes, *parts[1].classes)
    with torch.no_grad():
        assert torch.equal(united(x), expected.eval()(x))


@pytest.mark.parametrize("name", [*TINY, *OTHER])
def test_its_parameters_are_those_of_its_parts_less_what_they_share_and_more_what_lies_between_them(name):
    parts = halves(name)
    for some in (parts, [parts[0], parts[0]], parts[:1], [*parts, parts[1]]):
        united = unite(some, traced(name)[0], graph=traced(name)[1])
        union = united.origin.settings["union"]
        assert union["parts"] == [part.origin.cost_after.parameters for part in some]
        assert sum(union["parts"]) - union["shared"] + union["crossing"] == united.origin.cost_after.parameters
    twice = unite([parts[0]] * 2, traced(name)[0], graph=traced(name)[1]).origin.settings["union"]
    assert (twice["shared"], twice["crossing"]) == (parts[0].origin.cost_after.parameters, 0)


@pytest.mark.parametrize("name", [*TINY, *OTHER])
def test_a_part_alone_is_itself(name):
    part, x = halves(name)[0].eval(), inputs(name, batch=3)
    with torch.no_grad():
        united = unite([part], factory=lambda: build(name), graph=traced(name)[1])(x)
    if traced(name)[1].folds:  # what stands in for a scale is taken out, and put in again
        torch.testing.assert_close(united, part(x), rtol=1e-12, atol=1e-12)
    else:
        assert torch.equal(united, part(x))


@pytest.mark.parametrize("name", [name for name in TINY if name != "log_softmax_head"])  # it knows all its logits
def test_without_the_source_weights_that_a_part_has_are_the_sources(name):
    model, graph = traced(name)
    whole = keep_all(graph)
    logits = [ChannelSelection(whole.keep, (0, 2)), ChannelSelection(whole.keep, (1,))]
    parts = [component(name, select(graph, each.keep, logits=each.logits)) for each in logits]
    with torch.no_grad():
        x = inputs(name, batch=3)
        united = unite(parts, factory=lambda: build(name), graph=traced(name)[1])
        torch.testing.assert_close(united(x), model(x)[:, [0, 2, 1]], rtol=1e-12, atol=1e-12)


def test_without_the_source_weights_that_no_part_has_are_zero():
    parts = halves("plain")
    united, source = unite(parts, factory=lambda: build("plain")), traced("plain")[0]
    layer = next(layer for layer in traced("plain")[1].layers if layer.weight == "4.weight")
    outs, ins = united.origin.kept_outputs[layer.name], united.origin.kept_inputs[layer.name]
    weight = dict(united.module.named_parameters())[layer.weight]
    covered = 0
    for row, out in enumerate(outs):
        for column, into in enumerate(ins):
            has = any(
                out in part.origin.kept_outputs[layer.name] and into in part.origin.kept_inputs[layer.name]
                for part in parts
            )
            covered += has
            expected = source[4].weight[out, into] if has else torch.zeros_like(source[4].weight[out, into])
            assert torch.equal(weight[row, column], expected)
    assert 0 < covered < len(outs) * len(ins)


def test_weights_that_parts_do_not_agree_on_are_averaged():
    part = halves("plain")[0]
    other = copy.deepcopy(part)
    with torch.no_grad():
        other.module[4].weight += 1
    united = unite([part, other], factory=lambda: build("plain"))
    torch.testing.assert_close(united.module[4].weight, part.module[4].weight + 0.5)
    assert united.classes == part.classes


def test_it_is_repaired_towards_the_source():
    model, x = traced("plain")[0], inputs("plain", batch=64)
    parts = halves("plain")
    batches = [(x, torch.arange(64) % 5)]
    united, repaired = (unite(parts, model, calibration=batches, repair=method) for method in ("none", "ridge"))
    with torch.no_grad():
        wanted = model(x)[:, list(united.labels)]
        assert (repaired(x) - wanted).norm() < 0.7 * (united(x) - wanted).norm()
    assert repaired.origin.settings["repair"]["images"] == 64


def test_it_is_no_larger_than_the_component_for_all_classes():
    model = traced("plain")[0]
    batches = [(inputs("plain", batch=30), torch.arange(30) % 5)]
    options = {"graph": traced("plain")[1], "sampling": "all", "repair": "none"}
    whole = ml.disassemble(model, batches, classes=range(5), **options)
    bricks = [ml.disassemble(model, batches, classes=[label], **options) for label in range(5)]
    united = unite(bricks, model)
    assert united.origin.cost_after == whole.origin.cost_after
    with torch.no_grad():
        assert torch.equal(united(batches[0][0]), whole.eval()(batches[0][0]))


@pytest.mark.parametrize("name", ["plain", *FREEZING])
def test_parts_and_source_are_left_as_they_are(name):
    model = traced(name)[0]
    parts = halves(name)
    before = copy.deepcopy([model.state_dict(), *(part.state_dict() for part in parts)])
    unite(parts, model, graph=traced(name)[1])
    unite(parts, factory=lambda: build(name), graph=traced(name)[1])
    for old, new in zip(before, [model, *parts], strict=True):
        assert all(torch.equal(old[key], value) for key, value in new.state_dict().items())


def test_refusals():
    parts, (model, _) = halves("plain"), traced("plain")
    with pytest.raises(BadConfig, match="no component"):
        unite([])
    with pytest.raises(BadConfig, match="takes components"):
        unite([model])
    with pytest.raises(IncompatibleComponents, match="another source"):
        unite([parts[0], *halves("residual")], model)
    with pytest.raises(BadConfig, match="not the one"):
        unite(parts, build("residual"))
    with pytest.raises(BadConfig, match="give the source as well"):
        unite(parts, calibration=[(inputs("plain"), torch.zeros(1))])
    with pytest.raises(BadConfig, match="do not say how to build"):
        unite(parts)
    other = component(
        "plain", share_plan(traced("plain")[1], 0.5, seed=1, logits=[0]), ml.Preprocessing((0.5,), (1.0,))
    )
    with pytest.raises(IncompatibleComponents, match="in another way"):
        unite([parts[0], other], model)


class Bare(nn.Module):
    """Layers without a bias, with a normalisation in front of them, or with none: the repair gives them one."""

    def __init__(self, kind):
        super().__init__()
        norms = [nn.BatchNorm2d(8) if kind == "normed" else nn.Identity() for _ in range(2)]
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=kind == "half")
        self.body = nn.Sequential(norms[0], nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.body(self.first(x)).mean((2, 3)))


@pytest.mark.parametrize("kind", ["plain", "normed", "half"])
def test_what_the_repair_gave_is_not_lost_in_silence(kind):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        source, x = Bare(kind).eval(), torch.randn(64, 3, 8, 8)
    data = [(x, source(x).argmax(1))]
    label = int(data[0][1].mode().values)
    part = ml.disassemble(source, data, classes=[label], thresholds=ml.Thresholds())
    assert part.origin.settings["repair"]["given_biases"]
    with pytest.raises(BadConfig, match="the repair gave part 1 what the uncut network has not"):
        unite([part], factory=lambda: Bare(kind))
    united = unite([part], source, calibration=data)
    with torch.no_grad():
        assert united(x).shape == part(x).shape
