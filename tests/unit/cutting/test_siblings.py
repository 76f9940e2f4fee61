"""Networks that differ in width alone are exported once; what is read of the others is what their own export says."""

import copy

import pytest
import torch
from torch import nn

from model_lego.assembly.assembling import assemble
from model_lego.assembly.padding import place
from model_lego.cutting import siblings
from model_lego.cutting.siblings import is_sibling, program_like, read_graphs
from model_lego.graph import read_graph
from model_lego.graph.cost import cost_of
from model_lego.graph.program import export_program
from tests.support.components import tiny_part
from tests.support.plans import traced
from tests.support.tiny.streams import Head
from tests.support.tiny_models import inputs

#: Plain, added up, joined, as many groups as channels, with gates, with norms over groups, with a tensor of its own.
NAMES = ("plain", "residual", "dense", "depthwise", "se", "norm_groups", "layer_scale")


@pytest.fixture
def exported(monkeypatch):
    """The networks that are exported, by either way, once their sources are known."""
    for name in (*NAMES, "se_linear"):
        traced(name)
    found = []

    def export(model, example):
        found.append(model)
        return export_program(model, example)

    monkeypatch.setattr(siblings, "export_program", export)
    monkeypatch.setattr("model_lego.graph.coupling.export_program", export)
    return found


def two(name, **others):
    return [
        tiny_part(name, seed=1, share=0.8, names="ab").module,
        tiny_part(name, seed=2, share=0.5, names="cde", logits=(2, 0, 1), **others).module,
    ]


def said(graph):
    """All of a graph that what is built on it asks for."""
    layers = [
        (one.name, one.op, one.weight, one.bias, one.inputs.tolist(), one.outputs.tolist(), one.groups)
        for one in graph.layers
    ]
    axes = {
        name: {dim: (axis.channels.tolist(), axis.groups) for dim, axis in dims.items()}
        for name, dims in graph.axes.items()
    }
    divided = [(one.node, one.place, one.channels.tolist(), one.groups, one.attribute) for one in graph.divided]
    groups = [(one.name, one.writers, one.channels.tolist(), one.frozen) for one in graph.groups]
    return (
        layers,
        axes,
        divided,
        groups,
        graph.head.tolist(),
        graph.frozen.tolist(),
        graph.freezes,
        calls(graph.program),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_siblings_graph_is_that_of_its_own_export(name, exported):
    modules, x = two(name), inputs(name, batch=5)
    first, second = read_graphs(modules, [x, x])
    assert exported == modules[:1]
    assert said(second) == said(read_graph(modules[1], x, lone=True))
    assert said(first) != said(second)
    for graph, module in zip((first, second), modules, strict=True):
        torch.testing.assert_close(graph.program.run(module, x), module(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["plain", "depthwise", "se"])
def test_a_padded_assembly_exports_one_of_its_parts(name, exported):
    parts = [
        tiny_part(name, seed=seed, share=share, names=names) for seed, share, names in ((1, 0.8, "ab"), (2, 0.5, "cd"))
    ]
    parts += [tiny_part(name, seed=3, share=0.6, names="ef")]
    assemble(parts, layout="padded")
    assert len(exported) == 1


def test_a_head_on_the_features_of_parts_side_by_side_exports_one_of_them(exported):
    parts = [tiny_part("plain", seed=n, share=0.3 + 0.1 * n, names=[f"{n}"], logits=[n]) for n in range(4)]
    images, labels = inputs("plain", batch=40), torch.arange(40) % 4
    assert assemble(parts, calibration=[(images, labels)], head="blend").head.kind == "blend"
    assert len(exported) == 1


def calls(program):
    """Its operators, the numbers that they are given, and what they give for an image."""
    return [
        (str(node.target), [arg for arg in node.args if isinstance(arg, int | float)], shape_of(node))
        for node in program.nodes
        if node.op == "call_function"
    ]


def shape_of(node):
    return tuple(map(int, node.meta["val"].shape))[1:]


@pytest.mark.parametrize("name", [*NAMES, "grouped"])
def test_the_joint_networks_program_is_that_of_its_own_export(name, exported):
    shares = (0.5, 0.5) if name == "grouped" else (0.8, 0.5)  # its groups have to be of one width
    parts = [tiny_part(name, seed=seed, share=share).module for seed, share in enumerate(shares)]
    exported.clear()
    placed, x = place(parts, inputs(name)), inputs(name)
    assert len(exported) == 1
    again = export_program(placed.module, x)
    assert calls(placed.program) == calls(again)
    assert cost_of(placed.module, placed.program) == cost_of(placed.module, again)


def test_a_number_in_the_forward_is_looked_for_in_each_export(exported):
    modules, x = two("se_linear"), inputs("se_linear")
    graphs = read_graphs(modules, [x, x])
    assert bool(graphs[0].suspects)
    assert exported == modules


class Choosy(nn.Module):
    """Its forward depends on its width, as only a run or an export tells."""

    def __init__(self, width):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, width, 3), Head(width)

    def forward(self, x):
        x = self.stem(x)
        return self.head(x.relu() if self.stem.weight.shape[0] > 4 else x.tanh())


def test_a_forward_that_asks_for_the_width_is_exported(exported):
    modules, x = [Choosy(width).double().eval() for width in (6, 5, 4)], inputs("plain")
    graphs = read_graphs(modules, [x] * 3)
    assert is_sibling(modules[2], modules[0], graphs[0])
    assert exported == [modules[0], modules[2]]
    assert [any("tanh" in str(node.target) for node in graph.program.nodes) for graph in graphs] == [False, False, True]


def test_widths_that_the_operators_do_not_take_are_left_to_the_export(exported):
    modules, x = two("plain"), inputs("plain")
    (graph,) = read_graphs(modules[:1], [x])
    broken = copy.deepcopy(modules[1])
    broken[4].weight = nn.Parameter(broken[4].weight[:, 1:])
    with pytest.raises(Exception, match="does not run on images"):
        program_like(graph, broken, x, {})
    assert exported[1:] == [broken]


def with_other(path, attribute, value):
    def change(module):
        setattr(module.get_submodule(path), attribute, value)

    return change


def tied(module):
    module[5].running_var = module[5].running_mean


@pytest.mark.parametrize(
    "change",
    [
        with_other("5", "eps", 1e-2),
        with_other("4", "stride", (2, 2)),
        with_other("4", "padding", "same"),
        with_other("4", "noted", [torch.ones(2)]),
        with_other("4", "noted", object()),
        with_other("", "6", nn.Tanh()),
        with_other("", "extra", nn.Identity()),
        lambda module: module.register_parameter("more", nn.Parameter(torch.ones(1))),
        lambda module: module[4].float(),
        lambda module: module.train(),
        tied,
    ],
    ids=["eps", "stride", "padding", "list", "object", "other", "module", "parameter", "dtype", "training", "tied"],
)
def test_networks_of_other_settings_are_no_siblings(change):
    (first, second), x = two("plain"), inputs("plain")
    graph = read_graph(first, x, lone=True)
    assert is_sibling(second, first, graph)
    twin = copy.deepcopy(second)
    change(twin)
    assert not is_sibling(twin, first, graph)


def test_what_all_networks_note_alike_does_no_harm():
    (first, second), x = two("plain"), inputs("plain")
    for module in (first, second):
        module[4].noted = {"names": ["a", 1, (2.0, None)], "kinds": {"x"}, "call": torch.relu, "level": torch.ones(2)}
    assert is_sibling(second, first, read_graph(first, x, lone=True))
    second[4].noted["names"][2] = (2, None)
    assert not is_sibling(second, first, read_graph(first, x, lone=True))


class Holder(nn.Module):
    """Runs a layer that belongs to another module, too."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x).relu()


class Lender(nn.Module):
    """Blocks that share a layer which the network holds under a name of its own, as CoaT does."""

    def __init__(self, width):
        super().__init__()
        self.stem, self.shared = nn.Conv2d(3, width, 3), nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.blocks = nn.Sequential(Holder(self.shared), Holder(self.shared))
        self.fc = nn.Linear(width, 4)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


def test_a_layer_with_two_names_is_one_layer():
    wide, narrow, x = Lender(8).double().eval(), Lender(5).double().eval(), inputs("plain", batch=2)
    assert is_sibling(narrow, wide, read_graph(wide, x))
