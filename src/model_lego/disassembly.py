"""Taking networks apart: plan, cut, repair, and disassemble, which does all three."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.attribution import ContributionStats, Sampling, Thresholds, attribute, locate
from model_lego.batches import Batches, Mapped, checked, refuse_one_shot
from model_lego.component import Builder, Component, Origin, Preprocessing
from model_lego.errors import BadConfig, EmptySelection, UnknownClass
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.graph.cost import cost_of
from model_lego.graph.program import Program, export_program, hookless_copy
from model_lego.progress import Progress, quiet, tracked
from model_lego.store.digest import digest_of
from model_lego.surgery.probing import trace
from model_lego.surgery.repair import Method, RepairSettings, repair_model
from model_lego.surgery.slicing import kept_positions, slice_model
from model_lego.surgery.verification import check_cut

#: Calibration images that `disassemble` draws from the batches where none are given.
CALIBRATION = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What would be cut: the graph, the statistics it was located from, and the channels to keep."""

    graph: ChannelGraph
    stats: ContributionStats
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
    sampling: Sampling = "confident",
    per_class: int | None = None,
    multiple: int = 1,
    seed: int = 0,
    preprocessing: Preprocessing | None = None,
    graph: ChannelGraph | None = None,
    stats: ContributionStats | None = None,
    progress: Progress = quiet,
) -> Plan:
    """Locate the channels of a component for some classes, without cutting anything.

    `classes` are names (with `class_names`, the source's) or label numbers. A `graph` and `stats` that exist already
    are used. Raises UnknownClass, EmptySelection, BadBatches, ShapeMismatch, RefusedError, UnsupportedOpError,
    TraceFailed.
    """
    thresholds = thresholds or Thresholds()
    feed = _prepared(batches, preprocessing)
    example = _example(feed)
    graph = graph or trace(model, example.to(_first_parameter(model)))
    names = _source_names(model, class_names, len(graph.head))
    labels = label_numbers(classes, names)
    if stats is None:
        stats = attribute(
            model, feed, graph=graph, classes=labels, sampling=sampling, per_class=per_class, seed=seed,
            progress=progress,
        )  # fmt: skip
    selection = locate(graph, stats, classes=labels, thresholds=thresholds, multiple=multiple)
    return Plan(
        graph=graph,
        stats=stats,
        selection=selection,
        classes=tuple(names[label] for label in labels),
        labels=labels,
        source_classes=names,
        settings={
            "thresholds": asdict(thresholds),
            "sampling": stats.sampling,
            "samples": list(stats.counts),
            "per_class": per_class,
            "multiple": multiple,
            "seed": seed,
            "fallbacks": list(stats.fallbacks),
        },
        example=example,
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
    program = check_cut(made.module, model, graph, selection, planned.example.to(_first_parameter(model)))
    settings = dict(planned.settings) | {"repair": {"method": "none"}}
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
        cost_before=cost_of(model, graph.program),
        cost_after=cost_of(made.module, program),
    )
    component = Component(
        made.module, classes=planned.classes, labels=planned.labels, origin=origin, preprocessing=preprocessing
    )
    component.training = model.training
    return component, program


def repair(
    component: Component,
    source: nn.Module,
    calibration: Batches,
    *,
    method: Method | RepairSettings = "ridge",
    graph: ChannelGraph | None = None,
    progress: Progress = quiet,
) -> Component:
    """Refit a component so that it gives what its source gave; a new component, both arguments are left as they are.

    `calibration` holds images as for `disassemble`; labels are used to leave other classes' images out. Raises
    BadBatches, ShapeMismatch, EmptySelection, BadConfig.
    """
    settings = method if isinstance(method, RepairSettings) else RepairSettings(method=method)
    if digest_of(source) != component.origin.source_digest:
        raise BadConfig("the network given as source is not the one that this component was cut from")
    images = calibration_images(
        _prepared(calibration, component.preprocessing), component, limit=None, seed=settings.seed
    ).to(_first_parameter(source))
    graph = graph or trace(source, images[:2])
    module = hookless_copy(component.module)
    program = export_program(module, images)
    twin = Component(
        module,
        classes=component.classes,
        labels=component.labels,
        origin=component.origin,
        preprocessing=component.preprocessing,
    )
    _refit(twin, program, source, graph, selection_of(component, graph), images, settings, progress)
    for ours, theirs in zip(twin.modules(), component.modules(), strict=True):
        ours.training = theirs.training
    return twin


def disassemble(
    model: nn.Module,
    batches: Batches,
    *,
    classes: Sequence[str | int],
    class_names: Sequence[str] | None = None,
    calibration: Batches | None = None,
    thresholds: Thresholds | None = None,
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
) -> Component:
    """Take the component for some classes out of a trained network.

    Args:
        model: a classifier; it is never changed.
        batches: re-iterable of (images B x C x H x W, labels B int64), labels being the source's.
        classes: names (with `class_names`) or label numbers, in the order in which the component shall give them.
        class_names: names of all classes of the source.
        calibration: images for the repair; by default up to 1,000 seeded ones of the classes, from `batches`.
        thresholds: alpha and beta of equations (5) and (8).
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

    Returns:
        A smaller network of the same class with its label map.

    Raises:
        LegoError: one of its children, see `plan`, `cut` and `repair`.
    """
    settings = repair if isinstance(repair, RepairSettings) else RepairSettings(method=repair, seed=seed)
    for given in (batches, calibration):
        if given is not None:
            refuse_one_shot(given)
    planned = plan(
        model, batches, classes=classes, class_names=class_names, thresholds=thresholds, sampling=sampling,
        per_class=per_class, multiple=multiple, seed=seed, preprocessing=preprocessing, graph=graph, stats=stats,
        progress=progress,
    )  # fmt: skip
    component, program = _cut(model, planned, preprocessing, builder)
    if settings.method != "none":
        images = calibration_images(
            _prepared(calibration or batches, preprocessing),
            component,
            limit=CALIBRATION if calibration is None else None,
            seed=seed,
            progress=progress,
        )
        _refit(component, program, model, planned.graph, planned.selection, images, settings, progress)
    return component


def calibration_images(
    batches: Batches, component: Component, *, limit: int | None, seed: int = 0, progress: Progress = quiet
) -> Tensor:
    """Images of the component's classes (labels being the source's): all, or a seeded sample of at most `limit`.

    Raises EmptySelection where there are none, BadBatches, ShapeMismatch.
    """
    origin = component.origin
    wanted = torch.tensor(component.labels)
    kept: list[tuple[float, Tensor]] = []
    generator = torch.Generator().manual_seed(seed)
    reader = checked(batches, shape=origin.input_shape, labels=len(origin.source_classes))
    for images, labels in tracked(reader, "drawing calibration images", progress):
        tickets = torch.rand(len(images), generator=generator, dtype=torch.float64)
        mine = torch.isin(labels, wanted).nonzero().reshape(-1).tolist()
        kept += [(float(tickets[place]), images[place]) for place in mine]
        if limit is not None and len(kept) > 2 * limit:  # the smallest tickets win, so the rest can go at any time
            kept = sorted(kept, key=lambda pair: pair[0])[:limit]
    if not kept:
        raise EmptySelection(f"there is no calibration image of the classes {', '.join(component.classes)}")
    if limit is not None:
        kept = sorted(kept, key=lambda pair: pair[0])[:limit]
    return torch.stack([image for _, image in kept])


def selection_of(component: Component, graph: ChannelGraph) -> ChannelSelection:
    """The channels that a component kept, read off its origin."""
    keep = torch.zeros(graph.width, dtype=torch.bool)
    for layer in graph.layers:
        keep[layer.outputs[list(component.origin.kept_outputs[layer.name])]] = True
        keep[layer.inputs[list(component.origin.kept_inputs[layer.name])]] = True
    return ChannelSelection(keep, component.labels)


def label_numbers(classes: Sequence[str | int], names: Sequence[str]) -> tuple[int, ...]:
    """Classes given by name or number as label numbers; raises UnknownClass with the nearest names."""
    numbers = []
    for wanted in classes:
        if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < len(names):
            numbers.append(wanted)
        elif wanted in names:
            numbers.append(names.index(str(wanted)))
        else:
            near = difflib.get_close_matches(str(wanted), names, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else f"; it has {_listed(names)}"
            raise UnknownClass(f"the source has no class '{wanted}'{hint}")
    if len(set(numbers)) < len(numbers):
        raise UnknownClass(f"a class is named twice in {list(classes)}")
    if not numbers:
        raise EmptySelection("no class was chosen; name at least one")
    return tuple(numbers)


def _refit(
    component: Component,
    program: Program,
    source: nn.Module,
    graph: ChannelGraph,
    selection: ChannelSelection,
    images: Tensor,
    settings: RepairSettings,
    progress: Progress,
) -> None:
    """Repair a component in place and note how."""
    left = repair_model(
        component.module,
        source,
        graph=graph,
        selection=selection,
        program=program,
        images=images.to(_first_parameter(source)),
        settings=settings,
        progress=progress,
    )
    record = asdict(settings) | {"images": len(images), "left_alone": list(left)}
    after = cost_of(component.module, program)
    component.origin = replace(
        component.origin, settings=dict(component.origin.settings) | {"repair": record}, cost_after=after
    )


def _kept(positions: Tensor, selection: ChannelSelection) -> tuple[int, ...]:
    return tuple(kept_positions(positions, selection).tolist())


def _prepared(batches: Batches, preprocessing: Preprocessing | None) -> Batches:
    refuse_one_shot(batches)
    return batches if preprocessing is None else Mapped(batches, preprocessing)


def _example(batches: Batches) -> Tensor:
    """The first images, by which the network is traced."""
    images, _ = next(checked(batches))
    return images[:2]


def _first_parameter(model: nn.Module) -> Tensor:
    """A tensor with the data type and device of a network."""
    return next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))


def _source_names(model: nn.Module, names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Names of the source's classes; unnamed ones are told apart by the source, so that they never clash."""
    if names is None:
        short = digest_of(model)[:6]
        return tuple(f"{label}@{short}" for label in range(count))
    if len(names) != count:
        raise UnknownClass(f"{len(names)} class names were given, but the network has {count} logits")
    if len(set(names)) < count:
        raise UnknownClass("two classes of the source have the same name; give each its own")
    return tuple(names)


def _listed(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" … ({len(names)} in all)" if len(names) > most else "")


def _short(op: str) -> str:
    return op.removeprefix("aten.").removesuffix(".default")
