"""add_classes and replace_part: an assembly with one more part, or with another one in the place of a part."""

import copy
from collections.abc import Sequence

from torch import nn

from model_lego.assembly.assembling import assemble
from model_lego.class_surgery.head_update import carried_over, head_inputs, is_fitted, share_of_outsiders
from model_lego.data.batching import Batches, first_images
from model_lego.disassembly.disassembling import whole
from model_lego.errors import BadConfig, IncompatibleComponents, UnknownClass
from model_lego.heads.fitting import Clash, HeadKind
from model_lego.parts.assembly import Assembly
from model_lego.parts.class_names import label_numbers
from model_lego.parts.component import Builder, Component, Preprocessing
from model_lego.progress import Progress, quiet


def add_classes(
    part: nn.Module,
    component: Component,
    *,
    calibration: Batches | None = None,
    class_names: Sequence[str] | None = None,
    network_classes: Sequence[str] | None = None,
    head: HeadKind = "auto",
    on_clash: Clash | None = None,
    outsiders: float | None = None,
    preprocessing: Preprocessing | None = None,
    builder: Builder | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Assembly:
    """Join a component to what is there, without training; both are left as they are.

    Args:
        part: an Assembly, which gets one more part; a Component; or a whole network, taken with all its classes.
        component: brings the new classes.
        calibration: images of all classes, old and new; the head is then fitted again, as `assemble` does. Without, old
            classes are judged as they were and new ones by their own logits, which `.settings["lacks"]` says.
        class_names: names of the calibration's label numbers; by default these are positions in the result's classes.
        network_classes: names of a network's classes, in the order of its logits.
        head: the kind of head that is fitted, as for `assemble`.
        on_clash: for classes that are there already; by default as the assembly was made, else "error".
        outsiders: as for `assemble`; by default as the assembly was made.
        preprocessing: of a network; a part has its own.
        builder: of a network, how to build it again; a part has its own.
        seed: for the folds of the cross-validation.
        progress: called with what is being done.

    Raises:
        ClassClash, IncompatibleComponents, UnknownClass, BadBatches, ShapeMismatch, BadConfig.
    """
    if not isinstance(component, Component):
        raise BadConfig(f"a component can be added, not a {type(component).__name__}; name the network first")
    if not isinstance(part, Component | Assembly):
        if calibration is None:
            raise BadConfig("a whole network is traced by an image; give calibration images, or a component of it")
        example = first_images(calibration)
        part = whole(part, example, classes=network_classes, preprocessing=preprocessing, builder=builder).eval()
    elif preprocessing is not None or builder is not None or network_classes is not None:
        raise BadConfig("components and assemblies have their own classes, preprocessing and builder; leave them out")
    old = part if isinstance(part, Assembly) else assemble([part])
    share = share_of_outsiders(old) if outsiders is None else outsiders
    on_clash = on_clash or old.settings["on_clash"]
    if calibration is None and outsiders is None and is_fitted(old):
        _refuse_features(old)
        networks = [*_networks(old), copy.deepcopy(component).eval()]
        return carried_over(old, networks, [*head_inputs(old), None], on_clash=on_clash)
    return assemble(
        [*_networks(old), component], calibration=calibration, layout=old.layout,  # type: ignore[arg-type]
        scaling=old.settings["scaling"], head=head, on_clash=on_clash, class_names=class_names, outsiders=share,
        seed=seed, progress=progress,
    )  # fmt: skip


def replace_part(
    assembly: Assembly,
    old: int | str,
    new: Component,
    *,
    calibration: Batches | None = None,
    class_names: Sequence[str] | None = None,
    head: HeadKind = "auto",
    on_clash: Clash | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Assembly:
    """Put another component in the place of a part of an assembly; both are left as they are.

    `old` is the part's position in `assembly.parts`, or a class that only it has. `calibration` and the options are as
    for `add_classes`: with images of all classes the head is fitted again; without, classes of the other parts are
    judged as they were and those of the new part by its own logits. Raises UnknownClass, ClassClash, BadConfig,
    IncompatibleComponents (a padded network has no parts any more), BadBatches, ShapeMismatch.
    """
    if not isinstance(new, Component):
        raise BadConfig(f"a component can take a part's place, not a {type(new).__name__}")
    if assembly.padded is not None:
        raise IncompatibleComponents(
            "the parts of a padded assembly are one network and cannot be exchanged; assemble the parts anew"
        )
    place = _part_of(assembly, old)
    parts = _networks(assembly)
    parts[place] = copy.deepcopy(new).eval()
    on_clash = on_clash or assembly.settings["on_clash"]
    if calibration is None and is_fitted(assembly):
        _refuse_features(assembly)
        columns = [None if number == place else inputs for number, inputs in enumerate(head_inputs(assembly))]
        return carried_over(assembly, parts, columns, on_clash=on_clash)
    return assemble(
        parts, calibration=calibration, scaling=assembly.settings["scaling"], head=head, on_clash=on_clash,
        class_names=class_names, outsiders=share_of_outsiders(assembly), seed=seed, progress=progress,
    )  # fmt: skip


def _part_of(assembly: Assembly, old: int | str) -> int:
    """The position of a part that is given by position, or by a class that only it has."""
    if isinstance(old, int):
        if not 0 <= old < len(assembly.parts):
            raise BadConfig(f"there is no part {old}; the assembly has {len(assembly.parts)}, counted from 0")
        return old
    label_numbers([old], assembly.classes, owner="assembly")
    owners = [number for number, classes in enumerate(assembly.owned()) if old in classes]
    if len(owners) != 1:
        raise UnknownClass(f"class '{old}' is in {len(owners)} parts; give the position of the part that is meant")
    return owners[0]


def _networks(assembly: Assembly) -> list[Component]:
    """Copies of the components of an assembly; a padded network goes by its classes alone."""
    networks = [copy.deepcopy(network) for network in assembly.networks()]
    if assembly.padded is not None:
        names = [name for part in assembly.owned() for name in part]
        if len(set(names)) < len(names):
            raise IncompatibleComponents(
                "parts of the padded assembly share a class, and are one network now; assemble the parts anew"
            )
        networks[0].classes = tuple(names)
    return networks


def _refuse_features(assembly: Assembly) -> None:
    if assembly.head.reads:
        raise BadConfig(
            f"the head '{assembly.head.kind}' reads features, and nothing is known of the new part's; "
            "give calibration images of all classes"
        )
