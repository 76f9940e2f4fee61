"""Taking networks apart: plan, cut, repair, and disassemble, which does all three."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Unpack

from torch import Tensor, nn

from model_lego.attribution import ContributionStats, locate
from model_lego.budgets.search import within_budget
from model_lego.budgets.settings import CutSettings
from model_lego.calling.options import refuse_unknown, value_of
from model_lego.cutting.canonizing import plain_layers
from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import kept_positions, slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.data.batching import Batches
from model_lego.digest import digest_of
from model_lego.disassembly.judging import Images, images_for, needs_twin, verdict_on
from model_lego.disassembly.request import PlanOptions, Request, ask
from model_lego.disassembly.timing import predicted, record_measured
from model_lego.graph import ChannelGraph, ChannelSelection, keep_all
from model_lego.graph.cost import cost_of
from model_lego.graph.modules import first_parameter
from model_lego.graph.selection import keeps_all
from model_lego.parts.class_names import Classes, ClassNames, source_names
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder, Origin
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.verdict import Verdict
from model_lego.parts.wrappers import unwrapped
from model_lego.repairing.refitting import refitted
from model_lego.verdicts.judging import warn_of


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What would be cut: the graph, the statistics it was located from (if it was), and the channels to keep."""

    graph: ChannelGraph
    stats: ContributionStats | None
    selection: ChannelSelection
    classes: tuple[str, ...]
    labels: tuple[int, ...]
    source_classes: tuple[str, ...]
    settings: Mapping[str, Any]
    example: Tensor
    verdict: Verdict | None = None

    def rows(self) -> list[tuple[str, str, int, int, int, int]]:
        """For each layer: name, operator, kept and all input channels, kept and all output channels."""
        keep = self.selection.kept
        return [
            (
                layer.name,
                _short(layer.op),
                keep(layer.inputs),
                len(layer.inputs),
                keep(layer.outputs),
                len(layer.outputs),
            )
            for layer in self.graph.layers
        ]

    def __str__(self) -> str:
        lines = [f"Plan({', '.join(self.classes)})"]
        lines += [f"  {n:40} {op:10} in {ki}/{i}, out {ko}/{o}" for n, op, ki, i, ko, o in self.rows()]
        lines += [f"  kept whole: {freeze.reason} (layer '{freeze.where}')" for freeze in self.graph.freezes]
        return "\n".join(lines)


def plan(
    model: nn.Module,
    batches: Batches,
    *,
    classes: Classes,
    class_names: ClassNames | None = None,
    **options: Unpack[PlanOptions],
) -> Plan:
    """Locate the channels of a component for some classes, without cutting anything.

    `classes` are names (with `class_names`, the source's) or label numbers; `options` are those of `disassemble`. A
    `graph` and `stats` that exist already are used. The channels are those that a `criterion` ("reconstruction" by
    default) finds best within the `budget`, on images of `calibration` (by default of `batches`); an accuracy drop is
    that after `repair`. With `thresholds`, or anything else about statistics, they are those of the paper. The
    processes of a `group` share the work. Raises BadConfig (statistics of another network, a budget that cannot be
    met), UnknownClass, EmptySelection, BadBatches, ShapeMismatch, RefusedError, UnsupportedOpError, TraceFailed.
    """
    refuse_unknown("plan", options, PlanOptions)
    return planned_for(ask(model, batches, classes, class_names, value_of(CutSettings, options), options))


def planned_for(request: Request) -> Plan:
    """Locate the channels that a request is for."""
    settings = request.settings
    verdict = None
    if settings.aim is not None:
        request.refuse_unreachable(settings.aim)
    stats = request.statistics()
    if settings.aim is not None:
        found, record = within_budget(request.trials(), settings.aim, stats)
        selection, verdict = found.selection, found.verdict
    else:
        assert stats is not None
        selection = locate(
            request.graph, stats, classes=request.labels, thresholds=settings.alpha_beta, multiple=settings.multiple
        )
        record = {"thresholds": asdict(settings.alpha_beta)}
    if request.times is not None:
        record["latency"] = predicted(request.times, selection)
    if stats is not None:
        record |= {"sampling": stats.sampling, "samples": list(stats.counts), "fallbacks": list(stats.fallbacks)}
    return Plan(
        graph=request.graph,
        stats=stats,
        selection=selection,
        classes=request.classes,
        labels=request.labels,
        source_classes=request.names,
        settings=record | {name: getattr(settings, name) for name in ("per_class", "multiple", "seed")},
        example=request.example,
        verdict=verdict,
    )


def cut(
    model: nn.Module,
    planned: Plan,
    *,
    preprocessing: Preprocessing | None = None,
    builder: Builder | None = None,
) -> Component:
    """Cut a network as planned: a smaller network of the same class; the source is left as it is.

    The result is checked against the plan and against the masked source. Raises CutMismatch.
    """
    return _cut(unwrapped(model), planned, preprocessing, builder)[0]


def _cut(
    model: nn.Module, planned: Plan, preprocessing: Preprocessing | None, builder: Builder | None
) -> tuple[Component, Cut]:
    graph, selection = planned.graph, planned.selection
    sliced = slice_model(model, graph, selection)
    made = check_cut(sliced.module, model, graph, selection, planned.example.to(first_parameter(model)))
    settings = dict(planned.settings) | {"repair": {"method": "none"}}
    if plain := plain_layers(model):
        settings["plain_layers"] = plain
    if sliced.dropped:
        settings["dropped_modules"] = list(sliced.dropped)
    if sliced.left:
        settings["left_uncut"] = list(sliced.left)
    if graph.program.taken:
        settings["logits"] = f"output{graph.program.taken}"
    if sliced.stale:
        settings["stale_attributes"] = list(sliced.stale)
    if graph.freezes:
        settings["kept_whole"] = [f"{freeze.reason} (layer '{freeze.where}')" for freeze in graph.freezes]
    origin = Origin(
        builder=builder,
        source_digest=digest_of(model),
        source_classes=planned.source_classes,
        input_shape=graph.program.image_shape,
        kept_outputs={layer.name: _kept(layer.outputs, selection) for layer in graph.layers},
        kept_inputs={layer.name: _kept(layer.inputs, selection) for layer in graph.layers},
        attributes=sliced.attributes,
        settings=settings,
        cost_before=cost_of(model, graph.program, rules=graph.rules),
        cost_after=made.cost(),
    )
    component = Component(
        made.module, classes=planned.classes, labels=planned.labels, origin=origin, preprocessing=preprocessing
    )
    component.training = model.training
    return component, made


def disassemble(
    model: nn.Module,
    batches: Batches,
    *,
    classes: Classes,
    class_names: ClassNames | None = None,
    builder: Builder | None = None,
    **options: Unpack[PlanOptions],
) -> Component:
    """Take the component for some classes out of a trained network.

    Args:
        model: a classifier; it is never changed.
        batches: re-iterable of (images B x C x H x W, labels B int64), labels being the source's.
        classes: names (with `class_names`) or label numbers, in the order in which the component shall give them.
        class_names: names of all classes of the source.
        builder: how to build the uncut network again, for the saved file.
        options: the keyword arguments below.

    Keyword Args:
        calibration: images for the repair; by default up to 1,000 seeded ones of the classes, from `batches`.
        budget: limits of size, time and lost accuracy; by default the smallest component that loses at most one point
            against the source over the same classes, on images held out for that (`.verdict.search`).
        thresholds: alpha and beta of equations (5) and (8): channels are chosen as in the paper, whatever their number.
        criterion: by which channels are chosen within a budget: "reconstruction" (by default), "count",
            "contribution", "energy", "taylor", "magnitude", "fpgm", "hrank" or "random".
        sampling: "confident", "random" or "all": what the statistics of the paper's choice are taken from; like
            `per_class` and `stats` it stands for the paper's thresholds where there is no budget.
        per_class: samples a class; 1 % and at least 50 by default.
        multiple: round kept widths up to a multiple of this.
        device: where the component is to run, "onnxruntime" or a Device: its layers are timed there once, widths are
            rounded as it takes them best, and what the component takes is in `.origin.settings["latency"]`.
        latency_table: times of another machine, which `load_latency_table` reads, in the place of a device.
        repair: "ridge", "mean", "bn", "none", "tuned", or full settings.
        seed: for the random choices.
        preprocessing: with it, images are taken scaled to 0..1 and normalised here and in the component.
        graph: a channel graph of this network, where it is at hand.
        stats: statistics of this network, where they are at hand.
        progress: called with what is being done.
        group: of torch.distributed; its processes, all of which make this call, share the work.

    Returns:
        A smaller network of the same class with its label map. Its `verdict` compares it with the source restricted to
        its classes, on images that the repair did not see; what is doubtful in it is warned of (`DoubtfulResult`).

    Raises:
        LegoError: one of its children, see `plan`, `cut` and `repair`.
    """
    refuse_unknown("disassemble", options, PlanOptions)
    return component_for(ask(model, batches, classes, class_names, value_of(CutSettings, options), options), builder)


def component_for(request: Request, builder: Builder | None) -> Component:
    """Locate, cut and repair what a request is for, and judge it beside its source."""
    made = made_for(request, builder)
    verdict = _verdict(request, made)
    warn_of(verdict)
    return made.component.with_verdict(verdict)


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A component before it is judged, its images, and, where they are few, the cut as it was before its repair.

    `verdict` is that of the trial by which its size was chosen, if there was one.
    `untuned` is its module as it was before it was tuned, where that was asked for.
    """

    component: Component
    images: Images
    unrepaired: Cut | None
    verdict: Verdict | None = None
    untuned: nn.Module | None = None


def _verdict(request: Request, made: Made) -> Verdict | None:
    """That of the trial that chose its size; where it was tuned since, one of its own, which tells of the search."""
    if made.verdict is not None and made.untuned is None:
        return made.verdict
    own = verdict_on(request, made.component, made.images, made.unrepaired, untuned=made.untuned)
    return own if own is None or made.verdict is None else replace(own, search=made.verdict.search)


def made_for(request: Request, builder: Builder | None) -> Made:
    """Locate, cut and repair what a request is for."""
    planned = planned_for(request)
    component, made = _cut(request.model, planned, request.preprocessing, builder)
    settings, images, unrepaired = request.settings.repairing, images_for(request, component), None
    verdict = planned.verdict
    uncut = request.settings.searches and keeps_all(request.graph, planned.selection)
    if settings.method != "none" and not uncut:
        unrepaired = made.copy() if needs_twin(images) else None
        component, made = refitted(
            component, made, images.fit, settings, progress=request.progress, group=request.group
        )
        verdict = verdict and replace(verdict, fitted=images.fewest(request.labels))
    record_measured(component, request.settings.place, request.model, request.graph, request.group)
    return Made(component, images, unrepaired, verdict, made.untuned)


def whole(
    model: nn.Module,
    example: Tensor,
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    builder: Builder | None = None,
) -> Component:
    """A network with all of its channels as a component; `example` is a batch as the component takes it."""
    model = unwrapped(model)
    images = (example if preprocessing is None else preprocessing(example))[:2].to(first_parameter(model))
    graph = trace(model, images)
    names = source_names(model, classes, len(graph.head))
    labels = tuple(range(len(names)))
    planned = Plan(graph, None, keep_all(graph), names, labels, names, {}, images)
    return cut(model, planned, preprocessing=preprocessing, builder=builder)


def _kept(positions: Tensor, selection: ChannelSelection) -> tuple[int, ...]:
    return tuple(kept_positions(positions, selection).tolist())


def _short(op: str) -> str:
    return op.removeprefix("aten.").removesuffix(".default")
