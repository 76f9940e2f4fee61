"""Repairing components: which images are used, which network is refitted, and what is noted about it."""

from dataclasses import asdict, replace
from typing import Any

from torch import Tensor, nn

from model_lego.cutting.slicing import selection_of
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import program_of
from model_lego.data.batching import Batches, Drawn, drawn
from model_lego.digest import SEEN, digest_of, packed, unpacked
from model_lego.errors import BadConfig, EmptySelection
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.graph.cost import cost_of
from model_lego.graph.modules import first_parameter, hookless_copy
from model_lego.graph.program import Program, export_program
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import taken_by
from model_lego.processes import Group
from model_lego.progress import Progress, quiet
from model_lego.repairing.intercepts import give_biases
from model_lego.repairing.layerwise import Method, RepairSettings, as_settings, repair_model

#: Calibration images that are drawn from the batches where none are given.
CALIBRATION = 1000


def repair(
    component: Component,
    source: nn.Module,
    calibration: Batches,
    *,
    method: Method | RepairSettings = "ridge",
    graph: ChannelGraph | None = None,
    progress: Progress = quiet,
    group: Group = None,
) -> Component:
    """Refit a component so that it gives what its source gave; a new component, both arguments are left as they are.

    `calibration` holds images as for `disassemble`; labels are used to leave other classes' images out. The processes
    of a `group` share the images, and all get the same component. Raises BadBatches, ShapeMismatch, EmptySelection,
    BadConfig, ProcessFailed.
    """
    settings = as_settings(method)
    if digest_of(source) != component.origin.source_digest:
        raise BadConfig("the network given as source is not the one that this component was cut from")
    sample = calibration_images(calibration, component, limit=None, seed=settings.seed)
    example = sample.images[:2].to(first_parameter(source))
    graph = graph or trace(source, example)
    selection = selection_of(component, graph)
    module = hookless_copy(component.module).eval()
    program, _ = program_of(module, graph, selection, example)
    twin = Component(
        module,
        classes=component.classes,
        labels=component.labels,
        origin=component.origin,
        preprocessing=component.preprocessing,
    )
    refit(twin, program, source, graph, selection, sample, settings, progress, group)
    for ours, theirs in zip(twin.modules(), component.modules(), strict=True):
        ours.training = theirs.training
    return twin


def refit(
    component: Component,
    program: Program,
    source: nn.Module,
    graph: ChannelGraph,
    selection: ChannelSelection,
    sample: Drawn,
    settings: RepairSettings,
    progress: Progress,
    group: Group = None,
) -> None:
    """Repair a component in place and note how, and with which images."""
    program, record = refit_module(
        component.module, program, source, graph, selection, sample.images, settings, progress, group
    )  # fmt: skip
    noted = dict(component.origin.settings) | {"repair": record}
    noted[SEEN] = packed({*unpacked(noted.get(SEEN, "")), *sample.digests})  # a second repair builds on the first
    after = cost_of(component.module, program, rules=graph.rules)
    component.origin = replace(component.origin, settings=noted, cost_after=after)


def refit_module(
    module: nn.Module,
    program: Program,
    source: nn.Module,
    graph: ChannelGraph,
    selection: ChannelSelection,
    images: Tensor,
    settings: RepairSettings,
    progress: Progress,
    group: Group = None,
) -> tuple[Program, dict[str, Any]]:
    """Repair a cut network in place; gives its program, which has biases now that the repair needs, and how."""
    images = images.to(first_parameter(source))
    given = (
        give_biases(module, graph.program, graph.rules, graph.layers) if settings.method in ("ridge", "mean") else ()
    )
    if given:
        program = export_program(module, images)
    left = repair_model(
        module,
        source,
        graph=graph,
        selection=selection,
        program=program,
        images=images,
        settings=settings,
        progress=progress,
        group=group,
    )
    record = asdict(settings) | {"images": len(images), "left_alone": list(left), "given_biases": list(given)}
    return program, record


def calibration_images(
    batches: Batches, component: Component, *, limit: int | None, seed: int = 0, progress: Progress = quiet
) -> Drawn:
    """Images of the component's classes (labels being the source's): all, or a seeded sample of at most `limit`.

    The batches are given as the component takes them. Raises EmptySelection where there are none, BadBatches,
    ShapeMismatch.
    """
    origin = component.origin
    found = drawn(
        batches, component.labels, shape=taken_by(component),
        labels=len(origin.source_classes), limit=limit, prepare=component.preprocessing, seed=seed, progress=progress,
    )  # fmt: skip
    if not len(found.images):
        raise EmptySelection(f"there is no calibration image of the classes {', '.join(component.classes)}")
    return found
