"""Try one network: export it, cut it, compare it with its mask, join and save what was cut.

Random weights, float64, random norms. What a cut has to give comes from the source run with hooks that zero
(tests/support/oracles.py), not from the library.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from benchmarks.coverage.memory import Memory
from benchmarks.coverage.opinion import second_opinion
from model_lego import assemble, attribute, canonize, load, save, trace
from model_lego.cutting.canonizing import computes_weights
from model_lego.cutting.slicing import slice_model
from model_lego.disassembly.disassembling import Plan, cut
from model_lego.errors import CutMismatch, IncompatibleComponents, LegoError
from model_lego.graph import ChannelGraph, ChannelSelection, select
from model_lego.graph.cost import planned_cost
from model_lego.models import build
from model_lego.parts.component import Builder, Component
from model_lego.parts.join_record import Layout
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs, lost, some_logits
from tests.support.tiny_models import MIXERS, NORMS, randomize_batchnorm, strengthen

CLASSES = 10
SIDES = (64, 96, 128, 160, 192, 224, 256, 288, 320, 384)  # the first on which the network runs
ALIKE = 1e-8  # largest difference to the masked source, in parts of the largest logit
CHANGED = 1e-3  # what the mask has to change at least, in parts of the largest logit
FAINT = 1e-3  # a scale that starts at this or less is drawn anew
LEAST = 0.3  # share of the parameters that has to go when half of each group is asked for
JOINED = 1e-9  # largest difference of an assembly to its parts side by side, in parts of the largest logit
LAYOUTS: tuple[Layout, ...] = ("parallel", "padded")
ARGUMENTS = {"torchvision:googlenet": {"aux_logits": True}}


class Wrong(Exception):
    """A network came out that is not what was planned."""


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
    x = _images(model)
    plain = memory.of(lambda: model(x[:2]))
    _enliven(model, x)
    memory.reset()
    start = time.perf_counter()
    graph = trace(model, x[:2])
    if computes_weights(graph):
        source, model = model, canonize(model, x[:2])
        _same(model, source, x)
        graph = trace(model, x[:2])
    traced = time.perf_counter() - start
    first = _plan(model, graph, half_plan(graph, seed=0, logits=some_logits(graph, seed=0)), x)
    start = time.perf_counter()
    component = cut(model, first, builder=builder)
    result = replace(
        result,
        side=x.shape[-1],
        parameters=_count(model),
        groups=len(graph.groups),
        frozen_groups=sum(bool(graph.frozen[group.channels].all()) for group in graph.groups),
        reasons=tuple(dict.fromkeys(freeze.reason for freeze in graph.freezes)),
        trace_seconds=round(traced, 2),
        cut_seconds=round(time.perf_counter() - start, 2),
        memory=round(memory.peak() / plain, 2),
        half=round(1 - _count(component) / _count(model), 3),
        cuttable=_cuttable(model, graph),
    )
    difference, effect = _compare(model, component, first, x)
    if planned_cost(model, graph, first.selection) != component.origin.cost_after:
        raise Wrong("the cut network does not cost what was counted before")
    second = _plan(model, graph, half_plan(graph, seed=1, logits=_others(first.selection.logits)), x)
    other = cut(model, second, builder=builder)
    difference = max(difference, _compare(model, other, second, x)[0])
    _attributed(model, graph, x)
    padded = _joined([component, other], x, layouts)
    _saved(component, x)
    result = replace(
        result, difference=difference, effect=effect, padded=padded, opinion=second_opinion(model, graph, x)
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
    x = _images(model)
    _enliven(model, x)
    return model, x


def _same(model: nn.Module, source: nn.Module, x: Tensor) -> None:
    """A network whose weights were made plain gives what it gave."""
    with torch.no_grad():
        expected, found = source(x), model(x)
    if not (found - expected).abs().max() <= ALIKE * expected.abs().max():
        raise Wrong("the network with plain weights gives something else")


def _images(model: nn.Module) -> Tensor:
    """Random images of the smallest size that runs, each of a tint of its own."""
    generator = torch.Generator().manual_seed(0)
    for side in SIDES:
        tint = torch.randn(3, 3, 1, 1, generator=generator, dtype=torch.float64)
        x = tint + torch.randn(3, 3, side, side, generator=generator, dtype=torch.float64)
        try:
            with torch.no_grad():
                model(x)
        except (RuntimeError, ValueError, AssertionError):
            if side == SIDES[-1]:
                raise
        else:
            return x
    raise AssertionError


@torch.no_grad()
def _enliven(model: nn.Module, x: Tensor) -> None:
    """Give a network random norms, and weights with which something of the images is left at its end.

    A fresh BatchNorm is the identity, a fresh scale of a branch often next to nothing: both would hide mistakes.
    """
    generator = torch.Generator().manual_seed(1)
    randomize_batchnorm(model, generator)
    _draw_faint(model, generator)
    model.train().eval()  # what some networks keep of their weights for later is made anew
    _center(model, x, generator)
    for _ in range(8):
        logits = model(x)
        if logits.std(0).max() > 0.1 * logits.abs().max():
            return
        kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        strengthen(model)
        model.train().eval()
        if not bool(torch.isfinite(model(x)).all()):
            model.load_state_dict(kept)
            return


def _draw_faint(model: nn.Module, generator: torch.Generator) -> None:
    """Draw weights anew that start at zero, or so near that what they scale is lost."""
    for module in model.modules():
        if isinstance(module, NORMS):
            continue
        for parameter in module.parameters(recurse=False):
            if not parameter.numel() or parameter.abs().max() > FAINT:
                continue
            if not isinstance(module, MIXERS):
                parameter.copy_(0.5 + torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype))
            elif parameter.dim() > 1:
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))


def _center(model: nn.Module, x: Tensor, generator: torch.Generator) -> None:
    """Put the statistics of each BatchNorm about those of its values: random ones let a deep network explode."""

    def measure(norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        values = arguments[0].transpose(0, 1).flatten(1)
        mean, spread = values.mean(1), values.std(1)
        spread = torch.maximum(spread, 0.1 * spread.mean() + 1e-6)
        noise = torch.rand(2, len(mean), generator=generator, dtype=mean.dtype)
        norm.get_buffer("running_mean").copy_(mean + (noise[0] - 0.5) * spread)
        norm.get_buffer("running_var").copy_((spread * (0.7 + 0.7 * noise[1])).square())

    norms = [module for module in model.modules() if getattr(module, "running_var", None) is not None]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    model(x)
    for hook in hooks:
        hook.remove()


def _plan(model: nn.Module, graph: ChannelGraph, selection: ChannelSelection, x: Tensor) -> Plan:
    names = tuple(map(str, range(CLASSES)))
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


def _others(logits: Sequence[int]) -> list[int]:
    return [number for number in reversed(range(CLASSES)) if number not in logits]


def _compare(model: nn.Module, component: Component, plan: Plan, x: Tensor) -> tuple[float, float]:
    """Law 2: the cut network equals its source with the dropped channels zeroed, and those mattered."""
    expected = masked_forward(model, x, kept_inputs(plan.graph, plan.selection))[:, list(plan.labels)]
    with torch.no_grad():
        whole, found = model(x)[:, list(plan.labels)], component(x)
    largest = float(expected.abs().max())
    difference, effect = (float((found - expected).abs().max()), float((whole - expected).abs().max()))
    if not difference <= ALIKE * largest:
        raise Wrong(f"the cut network differs from the masked source by {difference / largest:.2g} of a logit")
    groups = lost(plan.graph, plan.selection)
    untouched = [name for name, (count, _) in groups.items() if not count]
    if untouched:
        raise Wrong(f"group {untouched[0]} can be cut, but lost nothing")
    if groups and not effect > CHANGED * largest:
        raise Wrong(f"the mask changes nothing ({effect / largest:.2g} of a logit)")
    return difference / largest, effect / largest


def _cuttable(model: nn.Module, graph: ChannelGraph) -> float:
    """Share of the parameters that goes when each group is cut to its least; the logits stay."""
    nothing = torch.zeros(graph.width, dtype=torch.bool)
    scores = torch.arange(graph.width, 0, -1, dtype=torch.float64)
    least = select(graph, nothing, logits=range(CLASSES), scores=scores)
    return round(1 - _count(slice_model(model, graph, least).module) / _count(model), 3)


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


def _saved(component: Component, x: Tensor) -> None:
    """A component that was saved comes back as it was."""
    with tempfile.TemporaryDirectory() as folder:
        save(component, f"{folder}/part")
        twin = load(f"{folder}/part")
    with torch.no_grad():
        if not torch.equal(twin(x), component(x)):
            raise Wrong("the saved component comes back as another one")


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
