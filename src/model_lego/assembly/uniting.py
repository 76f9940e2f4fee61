"""unite: components of one source as one component, in which what they share is there once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn

from model_lego.calling.options import refuse_unknown
from model_lego.cutting.slicing import folded, ranks, selection_of, sliced
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import cut_of
from model_lego.data.batching import Batches
from model_lego.disassembly.disassembling import Plan, cut
from model_lego.errors import BadConfig, IncompatibleComponents
from model_lego.graph import ChannelGraph, ChannelSelection, select
from model_lego.graph.modules import find_tensor, first_parameter, hookless_copy
from model_lego.parts.component import Component, check_source
from model_lego.parts.image_shapes import noise_of
from model_lego.parts.provenance import together
from model_lego.processes import Group
from model_lego.progress import Progress, quiet
from model_lego.repairing.layerwise import Method, RepairSettings, as_settings
from model_lego.repairing.refitting import CALIBRATION, calibration_images, refitted


class UniteOptions(TypedDict, total=False):
    """Keyword arguments of `unite`: how it repairs, and what is at hand."""

    repair: Method | RepairSettings  # "ridge" (by default), "mean", "bn", "none", "tuned", or full settings
    graph: ChannelGraph | None  # the uncut network's, where it is at hand
    seed: int  # of the sample of calibration images
    progress: Progress  # called with what is being done
    group: Group  # of torch.distributed; its processes share the repair


def unite(
    parts: Sequence[Component],
    source: nn.Module | None = None,
    *,
    calibration: Batches | None = None,
    factory: Callable[[], nn.Module] | None = None,
    **options: Unpack[UniteOptions],
) -> Component:
    """Put components of one source together: one component for all their classes, shared channels once.

    It keeps the channels that any part kept, so it is as large as the component for all these classes: it also has the
    weights between channels of different parts, which no part had. `.origin.settings["union"]` counts these
    (`crossing`) and those that parts share. With the `source` it is cut from it anew and, with `calibration` images
    (labels being the source's), repaired. Without, the weights come from the parts: their mean where several have a
    weight, zero where none has. The uncut network is then built as the parts say, or by `factory`. Of the `options`,
    `repair` and `seed` are as for `disassemble`, and `graph` is the uncut network's; `progress` and `group` as
    everywhere. The parts are left as they are. Raises IncompatibleComponents (parts of several sources), BadConfig, and
    what `cut` and `repair` raise.
    """
    refuse_unknown("unite", options, UniteOptions)
    seed, progress, graph = options.get("seed", 0), options.get("progress", quiet), options.get("graph")
    settings = as_settings(options.get("repair", "ridge"), seed=seed)
    _refuse_strangers(parts, source, calibration)
    first = parts[0]
    uncut = _skeleton(first, factory) if source is None else source
    example = noise_of(first.origin.input_shape).to(first_parameter(uncut))
    graph = graph or trace(uncut, example)
    kept = [selection_of(part, graph) for part in parts]
    if source is None:
        _fill(uncut, graph, parts, kept)
    planned = _planned(uncut, parts, graph, kept, example)
    component = cut(uncut, planned, preprocessing=first.preprocessing, builder=first.origin.builder)
    component.origin = replace(
        component.origin,
        source_digest=first.origin.source_digest,
        cost_before=first.origin.cost_before,
        provenance=together(part.origin.provenance for part in parts),
    )
    if source is not None and calibration is not None and settings.method != "none":
        sample = calibration_images(calibration, component, limit=CALIBRATION, seed=seed, progress=progress)
        made = cut_of(component.module, source, graph, planned.selection, example)
        component, _ = refitted(component, made, sample, settings, progress=progress, group=options.get("group"))
    return component.eval()


def _refuse_strangers(parts: Sequence[Component], source: nn.Module | None, calibration: Batches | None) -> None:
    if not parts:
        raise BadConfig("there is no component to unite; give at least one")
    for number, part in enumerate(parts, 1):
        if not isinstance(part, Component):
            raise BadConfig(f"part {number} is a {type(part).__name__}, not a component; unite takes components")
        if part.origin.source_digest != parts[0].origin.source_digest:
            raise IncompatibleComponents(
                f"part {number} comes from another source than part 1: nothing is shared; join them with assemble"
            )
        if part.preprocessing != parts[0].preprocessing:
            raise IncompatibleComponents(f"part {number} takes images in another way than part 1 of the same source")
    if source is not None:
        check_source(source, parts[0])
    if source is None and calibration is not None:
        raise BadConfig("calibration images serve the repair towards the source; give the source as well")


def _skeleton(part: Component, factory: Callable[[], nn.Module] | None) -> nn.Module:
    """The uncut network, with any weights."""
    from model_lego.models.registry import build_from

    if part.origin.settings.get("plain_layers"):
        raise BadConfig("the source's computed weights were made plain: give the source (canonize does it again)")
    builder = part.origin.builder
    if factory is None and (builder is None or builder.is_own_code):
        raise BadConfig("these components do not say how to build their uncut network; give the source or factory=")
    with torch.random.fork_rng(devices=[]):
        built = build_from(builder) if factory is None else factory()  # type: ignore[arg-type]
    return hookless_copy(built).to(first_parameter(part)).eval()


@torch.no_grad()
def _fill(uncut: nn.Module, graph: ChannelGraph, parts: Sequence[Component], kept: Sequence[ChannelSelection]) -> None:
    """Put the tensors of parts where they were cut from; raises BadConfig where one has no place there."""
    own = {name for name, _ in uncut.named_parameters(remove_duplicate=False)}
    for number, part in enumerate(parts, 1):
        if extra := [name for name, _ in part.module.named_parameters() if name not in own]:
            raise BadConfig(
                f"the repair gave part {number} what the uncut network has not ({', '.join(extra[:3])}), which would "
                "be lost; give the source and calibration images, so that the united component is repaired anew"
            )
    for name, axes in graph.axes.items():
        tensor = find_tensor(uncut, name)
        assert tensor is not None  # the name comes from this very network
        places = torch.arange(tensor.numel()).reshape(tensor.shape)
        where = [sliced(places, axes, each, ranks(graph, each)) for each in kept]
        values = [_unfolded(part, name, graph, each) for part, each in zip(parts, kept, strict=True)]
        tensor.copy_(_mean_at(tensor, where, values))
    for name, tensor in (*uncut.named_parameters(), *uncut.named_buffers()):
        given = find_tensor(parts[0].module, name)  # what stands for no channels is the same in all parts
        if name not in graph.axes and given is not None and given.shape == tensor.shape:
            tensor.copy_(given)


def _unfolded(part: Component, name: str, graph: ChannelGraph, kept: ChannelSelection) -> Tensor | None:
    """A tensor of a part as the uncut network has it, whose scales belong to wider queries."""
    tensor = find_tensor(part.module, name)
    axes = {dim: axis for dim, axis in graph.axes[name].items() if axis.groups == 1}
    if tensor is None or all(fold.tensor != name for fold in graph.folds):
        return tensor
    whole = torch.ones([len(axes[dim].channels) if dim in axes else 1 for dim in range(tensor.dim())]).to(tensor)
    return tensor / sliced(folded(whole, name, graph, kept), axes, kept, ranks(graph, kept))


def _mean_at(tensor: Tensor, where: Sequence[Tensor], given: Sequence[Tensor | None]) -> Tensor:
    """The mean of what was given for each place of a tensor, zero where nothing was."""
    first, change, count = (torch.zeros(tensor.numel(), dtype=torch.float64) for _ in range(3))
    for places, values in zip(where, given, strict=True):
        if values is None or values.shape != places.shape:
            raise IncompatibleComponents("a part does not have the tensors that its origin tells of")
        at, value = places.reshape(-1), values.detach().double().cpu().reshape(-1)
        first[at] = torch.where(count[at] == 0, value, first[at])
        change[at] += value - first[at]  # equal values give exactly themselves
        count[at] += 1
    return (first + change / count.clamp(min=1)).reshape(tensor.shape).to(tensor)


def _union(
    uncut: nn.Module,
    graph: ChannelGraph,
    parts: Sequence[Component],
    kept: Sequence[ChannelSelection],
    selection: ChannelSelection,
) -> dict[str, Any]:
    """How the united parameters come about: those of each part, how many are shared, how many no part has.

    `crossing` are weights between channels that no part has together; `shared` counts each further copy.
    """
    shared = crossing = 0
    for name, parameter in uncut.named_parameters():
        places = torch.arange(parameter.numel()).reshape(parameter.shape)
        key = next((key for key, names in graph.program.aliases.items() if name in names), name)
        axes = graph.axes.get(key, {})
        times = torch.zeros(parameter.numel(), dtype=torch.int64)
        for part, each in zip(parts, kept, strict=True):
            if find_tensor(part.module, name) is not None:
                times[sliced(places, axes, each, ranks(graph, each))] += 1
        if bool(times.any()):  # else it is of a module that is left out
            shared += int((times - 1).clamp(min=0).sum())
            crossing += int((times[sliced(places, axes, selection, ranks(graph, selection))] == 0).sum())
    sizes = [part.origin.cost_after.parameters for part in parts]
    return {"parts": sizes, "shared": shared, "crossing": crossing}


def _planned(
    uncut: nn.Module,
    parts: Sequence[Component],
    graph: ChannelGraph,
    kept: Sequence[ChannelSelection],
    example: Tensor,
) -> Plan:
    """What is to be cut: the channels that any part has."""
    classes = {label: name for part in parts for label, name in zip(part.labels, part.classes, strict=True)}
    keep = torch.stack([each.keep for each in kept]).any(0)
    selection = select(graph, keep, logits=tuple(classes))
    settings: Mapping[str, Any] = {
        "united": [dict(part.origin.settings) for part in parts],
        "union": _union(uncut, graph, parts, kept, selection),
    }
    return Plan(
        graph=graph,
        stats=None,
        selection=selection,
        classes=tuple(classes.values()),
        labels=tuple(classes),
        source_classes=parts[0].origin.source_classes,
        settings=settings,
        example=example,
    )
