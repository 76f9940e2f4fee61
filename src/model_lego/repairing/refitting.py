"""Repairing components: which images are used, which network is refitted, and what is noted about it."""

import copy
from dataclasses import asdict, replace
from typing import Any

from torch import nn

from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import selection_of
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import cut_of
from model_lego.data.batching import Batches, Drawn, Images, drawn
from model_lego.digest import SEEN, packed, unpacked
from model_lego.errors import EmptySelection
from model_lego.graph import ChannelGraph
from model_lego.graph.modules import first_parameter, hookless_copy
from model_lego.graph.program import export_program
from model_lego.parts.component import Component, check_source
from model_lego.parts.image_shapes import taken_by
from model_lego.parts.wrappers import unwrapped
from model_lego.processes import Group
from model_lego.progress import Progress, quiet
from model_lego.repairing.intercepts import give_biases
from model_lego.repairing.layerwise import Method, RepairSettings, as_settings, repair_model
from model_lego.repairing.tuning import parted, tune

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
    source = unwrapped(source)
    check_source(source, component)
    sample = calibration_images(calibration, component, limit=None, seed=settings.seed)
    example = sample.seen[:2].to(first_parameter(source))
    graph = graph or trace(source, example)
    module = hookless_copy(component.module).eval()
    cut = cut_of(module, source, graph, selection_of(component, graph), example)
    repaired, _ = refitted(component, cut, sample, settings, progress=progress, group=group)
    for ours, theirs in zip(repaired.modules(), component.modules(), strict=True):
        ours.training = theirs.training
    return repaired


def refitted(
    component: Component,
    cut: Cut,
    sample: Drawn,
    settings: RepairSettings,
    *,
    progress: Progress = quiet,
    group: Group = None,
) -> tuple[Component, Cut]:
    """The component of a cut, whose module is refitted in place, and the cut as it is now.

    What was done and with which images is noted.
    """
    cut, record = repair_cut(cut, sample.seen, settings, progress=progress, group=group)
    noted = dict(component.origin.settings) | {"repair": record}
    noted[SEEN] = packed({*unpacked(noted.get(SEEN, "")), *sample.digests})  # a second repair builds on the first
    repaired = Component(
        cut.module,
        classes=component.classes,
        labels=component.labels,
        origin=replace(component.origin, settings=noted, cost_after=cut.cost()),
        preprocessing=component.preprocessing,
    )
    repaired.training = component.training
    return repaired, cut


def repair_cut(
    cut: Cut, images: Images, settings: RepairSettings, *, progress: Progress = quiet, group: Group = None
) -> tuple[Cut, dict[str, Any]]:
    """Repair a cut network in place: the one way, whatever was cut; gives the cut as it is now, and how it was done.

    Layers that have no place for an intercept are given a bias, so the program may be another one now. Where it was
    tuned, the cut has the network before that as `untuned`.
    """
    given: tuple[str, ...] = ()
    if settings.method == "tuned":
        return _tuned(cut, images, settings, progress, group)
    if settings.method in ("ridge", "mean"):
        given = give_biases(cut.module, cut.graph.program, cut.graph.rules, cut.graph.layers)
    if given:
        cut = replace(cut, program=export_program(cut.module, images[:2].to(first_parameter(cut.source))))
    left = repair_model(cut, images, settings=settings, progress=progress, group=group)
    record = asdict(settings) | {"images": len(images), "left_alone": list(left), "given_biases": list(given)}
    return cut, record


def _tuned(
    cut: Cut, images: Images, settings: RepairSettings, progress: Progress, group: Group
) -> tuple[Cut, dict[str, Any]]:
    """Repair in closed form, then tune; where that gains nothing, the closed form gets all images in the end."""
    if len(images) < 2:
        raise EmptySelection(f"{len(images)} image is too few to tune a component: some are held out; give more")
    fit, held = parted(images, settings.seed)
    spare = cut.copy()
    cut, record = repair_cut(cut, fit, settings.training_free, progress=progress, group=group)
    untuned = copy.deepcopy(cut.module)
    tuning = tune(cut, fit, held, settings, progress=progress, group=group)
    if not tuning["gained"]:
        cut, _ = repair_cut(spare, images, settings.training_free, progress=progress, group=group)
        untuned = cut.module
    return replace(cut, untuned=untuned), record | asdict(settings) | {"images": len(images), "tuning": tuning}


def calibration_images(
    batches: Batches, component: Component, *, limit: int | None, seed: int = 0, progress: Progress = quiet
) -> Drawn:
    """Images of the component's classes (labels being the source's): all, or a seeded sample of at most `limit`.

    The batches are given as the component takes them. Raises EmptySelection where there are none, BadBatches,
    ShapeMismatch.
    """
    sample = drawn(
        batches,
        component.labels,
        shape=taken_by(component),
        labels=len(component.origin.source_classes),
        limit=limit,
        prepare=component.preprocessing,
        seed=seed,
        progress=progress,
    )
    if not len(sample.labels):
        raise EmptySelection(f"there is no calibration image of the classes {', '.join(component.classes)}")
    return sample
