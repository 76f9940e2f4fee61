"""Try one network: export it, cut it, compare it with its mask, join and save what was cut.

Random weights, float64, random norms. What a cut has to give comes from the source run with hooks that zero
(tests/support/oracles.py), not from the library.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from benchmarks.coverage.comparing import Wrong, compare, count, planned, same, saved
from benchmarks.coverage.material import enliven, images
from benchmarks.coverage.memory import Memory
from benchmarks.coverage.opinion import opinion_in_time
from model_lego import assemble, attribute, canonize, trace
from model_lego.cutting.canonizing import can_be_plain
from model_lego.cutting.slicing import slice_model
from model_lego.disassembly.disassembling import cut
from model_lego.errors import CutMismatch, IncompatibleComponents, LegoError
from model_lego.graph import ChannelGraph, select
from model_lego.graph.cost import planned_cost
from model_lego.models import build
from model_lego.parts.component import Component
from model_lego.parts.join_record import Layout
from model_lego.parts.origin import Builder
from tests.support.plans import half_plan, some_logits

CLASSES = 10
LEAST = 0.3  # share of the parameters that has to go when half of each group is asked for
JOINED = 1e-9  # largest difference of an assembly to its parts side by side, in parts of the largest logit
LAYOUTS: tuple[Layout, ...] = ("parallel", "padded")
ARGUMENTS = {"torchvision:googlenet": {"aux_logits": True}}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one network; `error` is empty where everything held."""

    name: str
    error: str = ""
    wrong: bool = False  # a wrong network, not a refusal
    side: int = 0
    parameters: int = 0
    groups: int = 0
    frozen_groups: int = 0
    reasons: tuple[str, ...] = ()
    cuttable: float = 0.0  # share of the parameters that goes when each group is cut to its least
    half: float = 0.0  # share of the parameters that goes when half of each group is asked for
    difference: float = 0.0  # to the masked source
    effect: float = 0.0  # of the mask
    padded: str = ""  # "equal", or why there is none; nothing where it was not tried
    opinion: str = ""  # Torch-Pruning's on what goes together: "agrees", or where it differs or fails
    trace_seconds: float = 0.0
    cut_seconds: float = 0.0
    memory: float = 0.0  # peak of trace and cut, in parts of the model with its activations at batch 2


def check(name: str, layouts: Sequence[Layout] = LAYOUTS) -> Result:
    """Try one network, and assemblies in these layouts; failures are in the result."""
    result = Result(name)
    try:
        return _check(result, layouts)
    except Wrong as error:
        return replace(result, error=str(error), wrong=True)
    except LegoError as error:
        return replace(result, error=f"{type(error).__name__}: {error}")


def _check(result: Result, layouts: Sequence[Layout]) -> Result:
    memory = Memory()
    builder = Builder(result.name, {"num_classes": CLASSES} | ARGUMENTS.get(result.name, {}))
    model = _built(builder)
    x = images(model)
    plain = memory.of(lambda: model(x[:2]))
    enliven(model, x)
    memory.reset()
    start = time.perf_counter()
    graph = trace(model, x[:2])
    if can_be_plain(model, graph):
        source, model = model, canonize(model, x[:2])
        same(model, source, x)
        graph = trace(model, x[:2])
    traced = time.perf_counter() - start
    first = planned(graph, half_plan(graph, seed=0, logits=some_logits(graph, seed=0)), x)
    start = time.perf_counter()
    component = cut(model, first, builder=builder)
    result = replace(
        result,
        side=x.shape[-1],
        parameters=count(model),
        groups=len(graph.groups),
        frozen_groups=sum(bool(graph.frozen[group.channels].all()) for group in graph.groups),
        reasons=tuple(dict.fromkeys(freeze.reason for freeze in graph.freezes)),
        trace_seconds=round(traced, 2),
        cut_seconds=round(time.perf_counter() - start, 2),
        memory=round(memory.peak() / plain, 2),
        half=round(1 - count(component) / count(model), 3),
        cuttable=_cuttable(model, graph),
    )
    difference, effect = compare(model, component, first, x)
    if planned_cost(model, graph, first.selection) != component.origin.cost_after:
        raise Wrong("the cut network does not cost what was counted before")
    second = planned(graph, half_plan(graph, seed=1, logits=_others(first.selection.logits)), x)
    other = cut(model, second, builder=builder)
    difference = max(difference, compare(model, other, second, x)[0])
    _attributed(model, graph, x)
    padded = _joined([component, other], x, layouts)
    saved(component, x)
    result = replace(
        result, difference=difference, effect=effect, padded=padded, opinion=opinion_in_time(model, graph, x)
    )
    if result.half < LEAST:
        result = replace(result, error=f"half of each group is {100 * result.half:.0f} % of the parameters only")
    return result


def _built(builder: Builder) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(builder.name, **builder.arguments).double().eval()


def enlivened(name: str) -> tuple[nn.Module, Tensor]:
    """A network by its name, as it is tried, and images for it."""
    model = _built(Builder(name, {"num_classes": CLASSES} | ARGUMENTS.get(name, {})))
    x = images(model)
    enliven(model, x)
    return model, x


def _others(logits: Sequence[int]) -> list[int]:
    return [number for number in reversed(range(CLASSES)) if number not in logits]


def _cuttable(model: nn.Module, graph: ChannelGraph) -> float:
    """Share of the parameters that goes when each group is cut to its least; the logits stay."""
    nothing = torch.zeros(graph.width, dtype=torch.bool)
    scores = torch.arange(graph.width, 0, -1, dtype=torch.float64)
    least = select(graph, nothing, logits=range(CLASSES), scores=scores)
    return round(1 - count(slice_model(model, graph, least).module) / count(model), 3)


def _attributed(model: nn.Module, graph: ChannelGraph, x: Tensor) -> None:
    """Contributions come out finite, for each layer that mixes channels."""
    stats = attribute(model, [(x, torch.tensor([0, 1, 0]))], graph=graph, classes=[0, 1], sampling="all")
    for layer in stats.layers:
        if not bool(torch.isfinite(stats.mean(layer, 1)).all()):
            raise Wrong(f"the contributions of layer {layer} are not finite")


def _joined(parts: list[Component], x: Tensor, layouts: Sequence[Layout]) -> str:
    """An assembly gives its parts' logits side by side, in each layout."""
    with torch.no_grad():
        expected = torch.cat([part(x) for part in parts], 1)
    for layout in layouts:
        try:
            whole = assemble(parts, layout=layout)
        except (IncompatibleComponents, CutMismatch) as error:  # refused, or noticed by its own check
            if layout == "parallel":
                raise
            return str(error)
        with torch.no_grad():
            difference = float((whole(x) - expected).abs().max() / expected.abs().max())
        if not difference <= JOINED:
            raise Wrong(f"the {layout} assembly differs from its parts by {difference:.2g} of a logit")
    return "equal" if "padded" in layouts else ""
