"""add_classes and replace_part: an assembly with one more part, or with another one in the place of a part."""

import copy
from collections.abc import Sequence
from operator import index
from typing import SupportsIndex, Unpack

from torch import nn

from model_lego.assembly.assembling import assemble, assembled
from model_lego.calling.options import refuse_unknown
from model_lego.class_surgery.head_update import carried_over, head_inputs, settings_like, share_of_outsiders
from model_lego.data.batching import Batches, first_images
from model_lego.disassembly.disassembling import whole
from model_lego.errors import BadConfig, IncompatibleComponents, UnknownClass
from model_lego.heads.settings import HeadOptions
from model_lego.parts.assembly import Assembly, Part, own_classes
from model_lego.parts.class_names import ClassNames, label_numbers
from model_lego.parts.component import Component
from model_lego.parts.grouping import grouped
from model_lego.parts.join_record import Clash
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.progress import Progress, quiet


class AddOptions(HeadOptions, total=False):
    """Keyword arguments of `add_classes`: those about the head, and of a whole network that is added to."""

    network_classes: Sequence[str] | None  # names of its classes, in the order of its logits
    preprocessing: Preprocessing | None
    builder: Builder | None  # how to build it again


def add_classes(
    part: nn.Module,
    component: Part,
    *,
    calibration: Batches | None = None,
    class_names: ClassNames | None = None,
    on_clash: Clash | None = None,
    outsiders: float | None = None,
    progress: Progress = quiet,
    **options: Unpack[AddOptions],
) -> Assembly:
    """Join a component to what is there, without training; both are left as they are.

    Args:
        part: an Assembly, which gets one more part; a Component; or a whole network, taken with all its classes.
        component: brings the new classes; an assembly becomes one part, as in `assemble`.
        calibration: images of all classes, old and new; the head is then fitted again, as `assemble` does. Without, old
            classes are judged as they were and new ones by their own logits, which `.settings["lacks"]` says.
        class_names: names of the calibration's label numbers; by default these are positions in the result's classes.
        on_clash: for classes that are there already; by default as the assembly was made, else "error".
        outsiders: as for `assemble`; by default as the assembly was made.
        progress: called with what is being done.
        options: the keyword arguments below.

    Keyword Args:
        head: the kind of head that is fitted, as for `assemble`.
        seed: for the folds of the cross-validation.
        network_classes: names of a network's classes, in the order of its logits.
        preprocessing: of a network; a part has its own.
        builder: of a network, how to build it again; a part has its own.

    Raises:
        ClassClash, IncompatibleComponents, UnknownClass, BadBatches, ShapeMismatch, BadConfig.
    """
    refuse_unknown("add_classes", options, AddOptions)
    if not isinstance(component, Component | Assembly):
        raise BadConfig(f"a component can be added, not a {type(component).__name__}; name the network first")
    if not isinstance(part, Component | Assembly):
        part = _whole(part, calibration, options)
    elif any(options.get(name) is not None for name in ("network_classes", "preprocessing", "builder")):
        raise BadConfig("components and assemblies have their own classes, preprocessing and builder; leave them out")
    old = part if isinstance(part, Assembly) else assemble([part])
    if calibration is None and outsiders is None and old.record.was_fitted:
        _refuse_features(old)
        networks = [*_networks(old), copy.deepcopy(component).eval()]
        return carried_over(old, networks, [*head_inputs(old), None], on_clash=on_clash or old.record.on_clash)
    networks = [*_networks(old), component]
    settings = settings_like(
        old,
        [own_classes(network) for network in networks],
        head=options.get("head", "auto"),
        class_names=class_names,
        outsiders=share_of_outsiders(old) if outsiders is None else outsiders,
        seed=options.get("seed", 0),
        on_clash=on_clash,
    )
    return assembled(networks, calibration, settings, progress)


def _whole(model: nn.Module, calibration: Batches | None, options: AddOptions) -> Component:
    """A network with all of its classes as a component."""
    if calibration is None:
        raise BadConfig("a whole network is traced by an image; give calibration images, or a component of it")
    return whole(
        model,
        first_images(calibration),
        classes=options.get("network_classes"),
        preprocessing=options.get("preprocessing"),
        builder=options.get("builder"),
    ).eval()


def replace_part(
    assembly: Assembly,
    old: int | str,
    new: Part,
    *,
    calibration: Batches | None = None,
    class_names: ClassNames | None = None,
    on_clash: Clash | None = None,
    progress: Progress = quiet,
    **options: Unpack[HeadOptions],
) -> Assembly:
    """Put another component in the place of a part of an assembly; both are left as they are.

    `old` is the part's position in `assembly.parts`, or a class that only it has. `calibration` and the options (`head`
    and `seed`) are as for `add_classes`: with images of all classes the head is fitted again; without, classes of the
    other parts are judged as they were and those of the new part by its own logits. Raises UnknownClass, ClassClash,
    BadConfig, IncompatibleComponents (a padded network has no parts any more), BadBatches, ShapeMismatch.
    """
    refuse_unknown("replace_part", options, HeadOptions)
    if not isinstance(new, Component | Assembly):
        raise BadConfig(f"a component can take a part's place, not a {type(new).__name__}")
    if assembly.padded is not None:
        raise IncompatibleComponents(
            "the parts of a padded assembly are one network and cannot be exchanged; assemble the parts anew"
        )
    place = _part_of(assembly, old)
    parts = _networks(assembly)
    parts[place] = copy.deepcopy(new).eval()
    if calibration is None and assembly.record.was_fitted:
        _refuse_features(assembly)
        columns = [None if number == place else inputs for number, inputs in enumerate(head_inputs(assembly))]
        return carried_over(assembly, parts, columns, on_clash=on_clash or assembly.record.on_clash)
    settings = settings_like(
        assembly,
        [own_classes(each) for each in parts],
        head=options.get("head", "auto"),
        class_names=class_names,
        outsiders=share_of_outsiders(assembly),
        seed=options.get("seed", 0),
        on_clash=on_clash,
    )
    return assembled(parts, calibration, settings, progress)


def _part_of(assembly: Assembly, old: SupportsIndex | str) -> int:
    """The position of a part that is given by position, or by a class that only it has."""
    if isinstance(old, SupportsIndex):  # also a number of numpy or torch
        place = index(old)
        if not 0 <= place < len(assembly.parts):
            last = len(assembly.parts) - 1
            raise BadConfig(f"there is no part at position {place}; positions in assembly.parts go from 0 to {last}")
        return place
    label_numbers([old], assembly.classes, owner="assembly")
    owners = [number for number, owned in enumerate(assembly.owned()) if old in grouped(owned, assembly.groups)[0]]
    if len(owners) != 1:
        raise UnknownClass(f"class '{old}' is in {len(owners)} parts; give the position of the part that is meant")
    return owners[0]


def _networks(assembly: Assembly) -> list[Part]:
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
