"""Routes of the planted network and of an assembly of its parts, made once: what pictures and pages are tested on."""

import functools

import model_lego as ml
from model_lego.report import part_routes
from tests.support.tiny_models import planted

NAMES = ("red", "green & blue", "<b>grey</b>", "</script>")  # names may be anything


@functools.cache
def planted_routes(images: int = 1):
    """The routes of four classes and of some images."""
    model, pixels, labels, _ = planted(4)
    graph = ml.trace(model, pixels[:2])
    stats = ml.attribute(model, [(pixels, labels)], graph=graph, sampling="all")
    return ml.decision_routes(
        model, stats, range(4), graph=graph, class_names=NAMES, images=pixels[:images] if images else None
    )


@functools.cache
def planted_top_images():
    """The images that the channels of the same network answer to most."""
    model, pixels, labels, _ = planted(4)
    return ml.top_images(model, [(pixels, labels)], graph=ml.trace(model, pixels[:2]), class_names=NAMES)


@functools.cache
def planted_maps():
    """Maps of the same classes, three samples of each."""
    model, pixels, labels, _ = planted(4)
    graph = ml.trace(model, pixels[:2])
    return ml.contribution_maps(model, [(pixels, labels)], range(4), graph=graph, samples=3, class_names=NAMES)


@functools.cache
def planted_assembly():
    """An assembly of two parts, of two classes and of three, and the routes of each."""
    model, pixels, labels, _ = planted(4)
    batches = [(pixels, labels)]
    parts = [
        ml.disassemble(model, batches, classes=classes, class_names=NAMES, repair="none", thresholds=ml.Thresholds())
        for classes in (NAMES[1::-1], (*NAMES[:1:-1], NAMES[0]))
    ]
    assembly = ml.assemble(parts, on_clash="prefer")
    return assembly, part_routes(assembly, batches, class_names=NAMES)
