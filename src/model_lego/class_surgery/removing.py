"""remove_classes: take classes out of a network, a component or an assembly."""

import copy
from collections.abc import Collection, Sequence
from itertools import chain
from typing import TypedDict, Unpack

from torch import Tensor, nn

from model_lego.attribution import Thresholds
from model_lego.budgets.budget import Budget
from model_lego.budgets.settings import CutSettings
from model_lego.calling.options import refuse_unknown, value_of
from model_lego.class_surgery.forgetting import forget as forget_concepts
from model_lego.class_surgery.head_update import (
    carried_over,
    fitted_again,
    head_inputs,
    inputs_left,
    settings_like,
    share_of_outsiders,
)
from model_lego.class_surgery.restricting import Restriction, narrowed, verdict_after
from model_lego.data.batching import Batches, Relabelled
from model_lego.disassembly.disassembling import made_for
from model_lego.disassembly.request import InputOptions, ask, traced
from model_lego.errors import BadConfig, EmptySelection
from model_lego.heads.settings import HeadKind
from model_lego.latency.device import Device
from model_lego.latency.table import LatencyTable
from model_lego.parts.assembly import NONE_OF_THESE, Assembly, Part, owned_classes, rejects, told_classes
from model_lego.parts.class_names import Classes, ClassNames, gone_places, label_numbers, names_of, source_names
from model_lego.parts.component import Component
from model_lego.parts.grouping import group_of
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.verdict import SOURCE
from model_lego.parts.wrappers import unwrapped
from model_lego.progress import Progress, quiet
from model_lego.repairing.layerwise import Method, RepairSettings


class RemoveOptions(TypedDict, total=False):
    """Keyword arguments of `remove_classes` about how a component or a network is cut, as for `disassemble`."""

    thresholds: Thresholds | None
    budget: Budget | None
    device: Device | str | None
    latency_table: LatencyTable | None
    per_class: int | None
    repair: Method | RepairSettings
    seed: int
    forget: bool  # whether images of the classes that go serve to erase these from the logits


def remove_classes(
    part: nn.Module,
    classes: Classes,
    batches: Batches | None = None,
    *,
    class_names: ClassNames | None = None,
    head: HeadKind = "auto",
    preprocessing: Preprocessing | None = None,
    builder: Builder | None = None,
    progress: Progress = quiet,
    **options: Unpack[RemoveOptions],
) -> Component | Assembly:
    """Take classes out; what is given is left as it is.

    Args:
        part: a Component, an Assembly, or a whole network (whose component for all other classes is the result).
        classes: names, or positions in `part.classes` (label numbers of a network).
        batches: images of the classes that stay. A component is then cut as `disassemble` cuts a network, from its own
            module, and refitted to what it gave before; the head of an assembly is fitted again. Without, only what
            reaches no other logit is cut, and a fitted head is restricted, which `.settings["lacks"]` says.
        class_names: names of the batches' label numbers; by default these are positions in `part.classes`. A network's
            classes are named by it.
        head: the kind of head of an assembly that is fitted again.
        preprocessing: of a network; a part has its own.
        builder: of a network, how to build it again; a part has its own.
        progress: called with what is being done.
        options: the keyword arguments below.

    Keyword Args:
        thresholds: as for `disassemble`; the paper's where there is no budget.
        budget: as for `disassemble`.
        device: as for `disassemble`.
        latency_table: as for `disassemble`.
        per_class: as for `disassemble`.
        repair: as for `disassemble`.
        forget: whether images of the classes that go, where the batches have some, serve to erase them from the
            logits, so that no linear probe on these tells them; see `.origin.settings["forgotten"]`.
        seed: for the random choices.

    Returns:
        A Component; of an assembly an Assembly, without the parts that had no other class. Where there are images, its
        `verdict` compares it with what it was, over the classes that stay.

    Raises:
        UnknownClass, EmptySelection (no class would be left), BadConfig (a network without images), and what
        `disassemble` and `assemble` raise.
    """
    refuse_unknown("remove_classes", options, RemoveOptions)
    how = Restriction(value_of(CutSettings, options).published(), options.get("forget", True), progress)
    known = None if class_names is None else names_of(class_names)
    if isinstance(part, Component | Assembly):
        if preprocessing is not None or builder is not None:
            raise BadConfig("components and assemblies have their own preprocessing and builder; leave them out")
        if isinstance(part, Assembly):
            kept = {part.classes[place] for place in _rest(classes, part.classes, "assembly", told=told_classes(part))}
            return _from_assembly(part, kept, batches, known or part.classes, head, how)
        rest = _rest(classes, part.classes, "component")
        return narrowed(part, rest, batches, known or part.classes, how)[0]
    if batches is None:
        raise BadConfig("a network is cut by what its images say; give batches of the classes that stay")
    part = unwrapped(part)
    graph = traced(part, batches, preprocessing)
    names = source_names(part, known, len(graph.head))
    rest = _rest(classes, names, "network")
    given: InputOptions = {"preprocessing": preprocessing, "graph": graph, "progress": progress}
    request = ask(part, batches, rest, names, how.cutting, given)
    made = made_for(request, builder)
    if how.forget:
        feed = Relabelled(batches, gone_places(names, rest, names))
        forget_concepts(made.component, feed, len(names) - len(rest), progress=progress)
    return made.component.with_verdict(verdict_after(request, made, made.component, SOURCE))


def _rest(classes: Classes, names: Sequence[str], owner: str, *, told: Sequence[str] | None = None) -> list[int]:
    """The positions that are left of some classes, one of them of the `told`; raises UnknownClass, EmptySelection."""
    gone = label_numbers(classes, names, owner=owner)
    rest = [place for place in range(len(names)) if place not in gone]
    if not any(told is None or names[place] in told for place in rest):
        raise EmptySelection(f"no class of the {owner} would be left; leave at least one")
    return rest


def _from_assembly(
    assembly: Assembly,
    left: Collection[str],
    batches: Batches | None,
    known: Sequence[str],
    head: HeadKind,
    how: Restriction,
) -> Assembly:
    """An assembly with the classes that are left, of images whose labels are called as is `known`."""
    owned = assembly.owned() if assembly.padded is None else [tuple(chain.from_iterable(assembly.owned()))]
    networks: list[Part] = []
    columns: list[Tensor | None] = []
    reads: list[Sequence[str]] = []
    group = group_of(assembly.groups)
    for number, (network, own) in enumerate(zip(assembly.networks(), owned, strict=True)):
        stay = [place for place, name in enumerate(own) if group.get(name, name) in left]
        reads += assembly.head.reads[number : number + 1] if stay else ()
        if len(stay) == len(own):
            networks.append(copy.deepcopy(network))
            columns.append(head_inputs(assembly)[number])
        elif not stay:
            continue
        elif isinstance(network, Assembly):
            inside = [own[place] for place in stay]
            if rejects(network):
                inside.append(NONE_OF_THESE)  # which is of no use here, and stays its own
            networks.append(_from_assembly(network, inside, None, known, head, how))
            columns.append(head_inputs(assembly)[number][stay])
        else:
            untold = [own[place] for place in stay if own[place] in group and own[place] not in known]
            # a repair would connect the parts of a padded one, and needs images of each class
            feed = None if assembly.padded is not None or untold else batches
            small, inner = narrowed(network, stay, feed, known, how)
            networks.append(small)
            columns.append(inputs_left(assembly, number, stay, inner))
    outsiders = rejects(assembly) and NONE_OF_THESE in left
    if batches is None:
        clash = assembly.record.on_clash
        return carried_over(assembly, networks, columns, on_clash=clash, outsiders=outsiders, reads=reads)
    settings = settings_like(
        assembly,
        owned_classes(networks, assembly.layout),
        head=head,
        class_names=known,
        outsiders=share_of_outsiders(assembly) if outsiders else None,
        seed=how.cutting.seed,
    )
    return fitted_again(networks, batches, settings, how.progress)
