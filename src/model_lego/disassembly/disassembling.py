"""Taking networks apart: plan, cut, repair, and disassemble, which does all three."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from model_lego.attribution import ContributionStats, Sampling, Thresholds, locate
from model_lego.budgets.budget import Budget
from model_lego.budgets.criteria import criterion as criterion_of
from model_lego.budgets.search import trials, within
from model_lego.cutting.canonizing import plain_layers
from model_lego.cutting.slicing import kept_positions, slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.data.batching import Batches, refuse_one_shot
from model_lego.digest import digest_of
from model_lego.disassembly.request import ask
from model_lego.errors import BadConfig
from model_lego.graph import ChannelGraph, ChannelSelection, keep_all
from model_lego.graph.cost import cost_of
from model_lego.graph.modules import first_parameter
from model_lego.graph.program import Program
from model_lego.parts.class_names import source_names
from model_lego.parts.component import Builder, Component, Origin, Preprocessing
from model_lego.processes import Group
from model_lego.progress import Progress, quiet
from model_lego.repairing.layerwise import Method, RepairSettings, as_settings
from model_lego.repairing.refitting import CALIBRATION, calibration_images, refit


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
    classes: Sequence[str | int],
    class_names: Sequence[str] | None = None,
    thresholds: Thresholds | None = None,
    budget: Budget | None = None,
    criterion: str | None = None,
    calibration: Batches | None = None,
    repair: Method | RepairSettings = "ridge",
    sampling: Sampling = "confident",
    per_class: int | None = None,
    multiple: int = 1,
    seed: int = 0,
    preprocessing: Preprocessing | None = None,
    graph: ChannelGraph | None = None,
    stats: ContributionStats | None = None,
    progress: Progress = quiet,
    group: Group = None,
) -> Plan:
    """Locate the channels of a component for some classes, without cutting anything.

    `classes` are names (with `class_names`, the source's) or label numbers. A `graph` and `stats` that exist already
    are used. With a `budget` the channels are those that a `criterion` ("reconstruction" by default) finds best within
    it, on images of `calibration` (by default of `batches`); an accuracy drop is that after `repair`. The processes of
    a `group` share the work. Raises BadConfig (statistics of another network, a budget that cannot be met),
    UnknownClass, EmptySelection, BadBatches, ShapeMismatch, RefusedError, UnsupportedOpError, TraceFailed.
    """
    thresholds = thresholds or Thresholds()
    settings = as_settings(repair, seed=seed)
    needs_stats = _needs_stats(budget, criterion)
    asked = ask(model, batches, classes, class_names=class_names, preprocessing=preprocessing, graph=graph)
    graph, labels = asked.graph, asked.labels
    stats = asked.statistics(
        stats, needed=needs_stats, sampling=sampling, per_class=per_class, seed=seed, progress=progress, group=group
    )
    record: dict[str, Any] = {"thresholds": asdict(thresholds)}
    if budget is not None:
        tried = trials(
            model, graph, batches if calibration is None else calibration, classes=labels, settings=settings,
            preprocessing=preprocessing, seed=seed, progress=progress, group=group,
        )  # fmt: skip
        selection, record = within(
            tried, budget, criterion=criterion, stats=stats, thresholds=thresholds, multiple=multiple, seed=seed
        )  # fmt: skip
    else:
        assert stats is not None
        selection = locate(graph, stats, classes=labels, thresholds=thresholds, multiple=multiple)
    if stats is not None:
        record |= {"sampling": stats.sampling, "samples": list(stats.counts), "fallbacks": list(stats.fallbacks)}
    return Plan(
        graph=graph,
        stats=stats,
        selection=selection,
        classes=asked.classes,
        labels=labels,
        source_classes=asked.names,
        settings=record | {"per_class": per_class, "multiple": multiple, "seed": seed},
        example=asked.example,
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
    return _cut(model, planned, preprocessing, builder)[0]


def _cut(
    model: nn.Module, planned: Plan, preprocessing: Preprocessing | None, builder: Builder | None
) -> tuple[Component, Program]:
    graph, selection = planned.graph, planned.selection
    made = slice_model(model, graph, selection)
    program = check_cut(made.module, model, graph, selection, planned.example.to(first_parameter(model)))
    settings = dict(planned.settings) | {"repair": {"method": "none"}}
    if plain := plain_layers(model):
        settings["plain_layers"] = plain
    if made.dropped:
        settings["dropped_modules"] = list(made.dropped)
    if graph.freezes:
        settings["kept_whole"] = [f"{freeze.reason} (layer '{freeze.where}')" for freeze in graph.freezes]
    origin = Origin(
        builder=builder,
        source_digest=digest_of(model),
        source_classes=planned.source_classes,
        input_shape=graph.program.image_shape,
        kept_outputs={layer.name: _kept(layer.outputs, selection) for layer in graph.layers},
        kept_inputs={layer.name: _kept(layer.inputs, selection) for layer in graph.layers},
        attributes=made.attributes,
        settings=settings,
        cost_before=cost_of(model, graph.program, rules=graph.rules),
        cost_after=cost_of(made.module, program, rules=graph.rules),
    )
    component = Component(
        made.module, classes=planned.classes, labels=planned.labels, origin=origin, preprocessing=preprocessing
    )
    component.training = model.training
    return component, program


def disassemble(
    model: nn.Module,
    batches: Batches,
    *,
    classes: Sequence[str | int],
    class_names: Sequence[str] | None = None,
    calibration: Batches | None = None,
    thresholds: Thresholds | None = None,
    budget: Budget | None = None,
    criterion: str | None = None,
    sampling: Sampling = "confident",
    per_class: int | None = None,
    multiple: int = 1,
    repair: Method | RepairSettings = "ridge",
    seed: int = 0,
    preprocessing: Preprocessing | None = None,
    builder: Builder | None = None,
    graph: ChannelGraph | None = None,
    stats: ContributionStats | None = None,
    progress: Progress = quiet,
    group: Group = None,
) -> Component:
    """Take the component for some classes out of a trained network.

    Args:
        model: a classifier; it is never changed.
        batches: re-iterable of (images B x C x H x W, labels B int64), labels being the source's.
        classes: names (with `class_names`) or label numbers, in the order in which the component shall give them.
        class_names: names of all classes of the source.
        calibration: images for the repair; by default up to 1,000 seeded ones of the classes, from `batches`.
        thresholds: alpha and beta of equations (5) and (8).
        budget: limits of size and of lost accuracy, which take the place of the thresholds.
        criterion: by which channels are chosen within a budget: "reconstruction" (by default), "count",
            "contribution", "energy", "taylor", "magnitude", "fpgm", "hrank" or "random".
        sampling: "confident", "random" or "all": what the statistics are taken from.
        per_class: samples a class; 1 % and at least 50 by default.
        multiple: round kept widths up to a multiple of this.
        repair: "ridge", "mean", "bn", "none", or full settings.
        seed: for the random choices.
        preprocessing: with it, images are taken scaled to 0..1 and normalised here and in the component.
        builder: how to build the uncut network again, for the saved file.
        graph: a channel graph of this network, where it is at hand.
        stats: statistics of this network, where they are at hand.
        progress: called with what is being done.
        group: of torch.distributed; its processes, all of which make this call, share the work.

    Returns:
        A smaller network of the same class with its label map.

    Raises:
        LegoError: one of its children, see `plan`, `cut` and `repair`.
    """
    settings = as_settings(repair, seed=seed)
    for given in (batches, calibration):
        if given is not None:
            refuse_one_shot(given)
    planned = plan(
        model, batches, classes=classes, class_names=class_names, thresholds=thresholds, budget=budget,
        criterion=criterion, calibration=calibration, repair=settings, sampling=sampling,
        per_class=per_class, multiple=multiple, seed=seed, preprocessing=preprocessing, graph=graph, stats=stats,
        progress=progress, group=group,
    )  # fmt: skip
    component, program = _cut(model, planned, preprocessing, builder)
    if settings.method != "none":
        sample = calibration_images(
            batches if calibration is None else calibration,
            component,
            limit=CALIBRATION if calibration is None else None,
            seed=seed,
            progress=progress,
        )
        refit(component, program, model, planned.graph, planned.selection, sample, settings, progress, group)
    return component


def whole(
    model: nn.Module,
    example: Tensor,
    *,
    classes: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    builder: Builder | None = None,
) -> Component:
    """A network with all of its channels as a component; `example` is a batch as the component takes it."""
    images = (example if preprocessing is None else preprocessing(example))[:2].to(first_parameter(model))
    graph = trace(model, images)
    names = source_names(model, classes, len(graph.head))
    labels = tuple(range(len(names)))
    planned = Plan(graph, None, keep_all(graph), names, labels, names, {}, images)
    return cut(model, planned, preprocessing=preprocessing, builder=builder)


def _kept(positions: Tensor, selection: ChannelSelection) -> tuple[int, ...]:
    return tuple(kept_positions(positions, selection).tolist())


def _needs_stats(budget: Budget | None, criterion: str | None) -> bool:
    """Whether contributions have to be summed; raises BadConfig for an unknown criterion, or one without a budget."""
    if budget is None and criterion is not None:
        raise BadConfig(f"criterion '{criterion}' chooses channels within a budget; give a budget as well")
    return budget is None or criterion_of(criterion or "reconstruction").needs_stats


def _short(op: str) -> str:
    return op.removeprefix("aten.").removesuffix(".default")
