"""What a cut network has to be: its source with the dropped channels zeroed, as the oracle gives it."""

import tempfile
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from benchmarks.coverage.masking import masked_source
from model_lego import load, save
from model_lego.disassembly.disassembling import Plan
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.parts.component import Component
from tests.support.plans import kept_inputs, lost

ALIKE = 1e-8  # largest difference to the masked source, in parts of the largest logit
COARSE = 1e-3  # the same where a network takes float32 only
PARTLY = 1e-5  # the same where a forward does a part in single precision, whatever it is given
CHANGED = 1e-3  # what the mask has to change at least, in parts of the largest logit


class Wrong(Exception):
    """A network came out that is not what was planned."""


def logits_of(output: object) -> Tensor:
    """The logits of what a forward gave: a tensor, the first of a tuple, or those of a dict or an object by name."""
    if isinstance(output, Mapping):
        return logits_of(output["logits"] if "logits" in output else next(iter(output.values())))
    if isinstance(output, tuple | list):
        return logits_of(output[0])
    if isinstance(output, Tensor):
        return output
    raise TypeError(f"no logits in a {type(output).__name__}")


def answer(model: nn.Module, x: Tensor) -> Tensor:
    """What a network says of some images."""
    with torch.no_grad():
        return logits_of(model(x))


def among(answers: Tensor, labels: list[int]) -> Tensor:
    """What a network says of some classes; shares of all classes, which a softmax gives, become shares of these."""
    chosen = answers[:, labels]
    if bool((answers >= 0).all()) and torch.allclose(answers.sum(1), torch.ones_like(answers[:, 0])):
        return chosen / chosen.sum(1, keepdim=True)
    return chosen


def alike(x: Tensor, graph: ChannelGraph | None = None) -> float:
    """The largest difference that rounding may make, in parts of the largest logit, of the network of a graph."""
    if x.dtype != torch.float64:
        return COARSE
    values = () if graph is None else (node.meta.get("val") for node in graph.program.nodes)
    single = any(isinstance(value, Tensor) and value.dtype == torch.float32 for value in values)
    return PARTLY if single else ALIKE


def same(model: nn.Module, source: nn.Module, x: Tensor) -> None:
    """A network whose weights were made plain gives what it gave."""
    expected, found = answer(source, x), answer(model, x)
    if not (found - expected).abs().max() <= alike(x) * expected.abs().max():
        raise Wrong("the network with plain weights gives something else")


def planned(graph: ChannelGraph, selection: ChannelSelection, x: Tensor) -> Plan:
    """A selection as a plan, with numbers as the names of the classes."""
    names = tuple(map(str, range(len(graph.head))))
    return Plan(
        graph=graph,
        stats=None,
        selection=selection,
        classes=tuple(names[number] for number in selection.logits),
        labels=tuple(selection.logits),
        source_classes=names,
        settings={},
        example=x[:2],
    )


def compare(model: nn.Module, component: Component, plan: Plan, x: Tensor) -> tuple[float, float]:
    """Law 2: the cut network equals its source with the dropped channels zeroed, and those mattered."""
    labels = list(plan.labels)
    expected = among(logits_of(masked_source(model, x, kept_inputs(plan.graph, plan.selection))), labels)
    whole, found = among(answer(model, x), labels), answer(component, x)
    largest = float(expected.abs().max())
    difference, effect = (float((found - expected).abs().max()), float((whole - expected).abs().max()))
    if not difference <= alike(x, plan.graph) * largest:
        raise Wrong(f"the cut network differs from the masked source by {difference / largest:.2g} of a logit")
    groups = lost(plan.graph, plan.selection)
    untouched = [name for name, (count, _) in groups.items() if not count]
    if untouched:
        raise Wrong(f"group {untouched[0]} can be cut, but lost nothing")
    if groups and not effect > CHANGED * largest:
        raise Wrong(f"the mask changes nothing ({effect / largest:.2g} of a logit)")
    return difference / largest, effect / largest


def saved(component: Component, x: Tensor, factory: Callable[[], nn.Module] | None = None) -> None:
    """A component that was saved comes back as it was."""
    with tempfile.TemporaryDirectory() as folder:
        save(component, f"{folder}/part")
        twin = load(f"{folder}/part", factory=factory)
    if not torch.equal(answer(twin, x), answer(component, x)):
        raise Wrong("the saved component comes back as another one")


def count(model: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
