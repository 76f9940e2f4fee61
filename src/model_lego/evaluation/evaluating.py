"""Measuring components and assemblies beside their baselines: evaluate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model_lego.data.batching import Batches, checked
from model_lego.errors import BadConfig, EmptySelection
from model_lego.evaluation.baselines import Contender
from model_lego.evaluation.costs import part_cost
from model_lego.evaluation.counting import Member, Tally
from model_lego.evaluation.leakage import overlap_with
from model_lego.evaluation.results import Report
from model_lego.evaluation.timing import Stopwatch
from model_lego.parts.answers import evaluating
from model_lego.parts.assembly import Assembly, aliases_in, rejects, told_classes
from model_lego.parts.class_names import ClassNames, names_for, names_of, places_of
from model_lego.parts.component import Component
from model_lego.parts.grouping import counted_as, grouped
from model_lego.parts.image_shapes import Shape, taken_by
from model_lego.processes import Group, add_up, in_all, place_in
from model_lego.progress import Progress, quiet, tracked

LONE = (
    "the component has a single class, so that every sample of it is right whatever the network does; look at the "
    "AUROC, which needs samples of other classes (name them with class_names)"
)


@torch.no_grad()
def evaluate(
    part: Component | Assembly,
    batches: Batches,
    *,
    class_names: ClassNames | None = None,
    baselines: Sequence[Contender] = (),
    timing: bool = False,
    progress: Progress = quiet,
    group: Group = None,
) -> Report:
    """Measure a part and its baselines in one pass over the batches; all of them are left as they are.

    Labels are positions in `part.classes`, unless `class_names` names the label numbers (for a component on the data
    of its source: `component.origin.source_classes`); samples of classes that the part does not have are then used as
    such, for an assembly with outsiders as of its class "none of these". Images are given as the part takes them. With
    `timing` the report says what a photo takes each of them on this machine. The processes of a `group` share the
    batches, and all get the same report. Raises EmptySelection, BadBatches, ShapeMismatch, UnknownClass, BadConfig,
    CorruptComponent, ProcessFailed.
    """
    subject, overlap = _subject(part, class_names), overlap_with(part)
    names = names_for(part, class_names)
    places = places_of(part.classes, names, rejecting=rejects(part))
    contenders = (subject.contender, *baselines)
    tallies = [Tally(contender, len(part.classes), subject.scored, rejects(part)) for contender in contenders]
    reference = next((tally for tally in tallies if tally.contender.reference), None)
    counts = torch.zeros(len(part.classes) + 1, dtype=torch.int64)  # the last one of all other classes
    seen = torch.zeros(len(places), dtype=torch.int64)  # samples of each label
    watch = Stopwatch(contenders, timing)

    def count() -> None:
        with evaluating(*(contender.model for contender in contenders)):
            reader = checked(batches, shape=subject.shape, labels=len(places), share=place_in(group))
            for images, labels in tracked(reader, "evaluating", progress):
                where = places[labels]
                overlap.add(images)
                seen.add_(torch.bincount(labels, minlength=len(seen)))
                counts.add_(torch.bincount(where % len(counts), minlength=len(counts)))
                logits = _run(contenders, images)
                watch.add(images)
                for tally, given in zip(tallies, logits, strict=True):
                    tally.add(given, where)
                for tally in tallies:
                    tally.compare(tallies[0], reference)
                for member in subject.members:
                    member.add(logits[0], where, labels)

    in_all(count, group)
    add_up([counts, seen, *(tally.right for tally in tallies), *(member.counts for member in subject.members)], group)
    add_up([tally.against for tally in tallies], group)
    for tally in tallies:
        tally.gather(group)
    overlap.gather(group)
    watch.gather(group)
    counts, others = counts[:-1], int(counts[-1])
    if not int(counts.sum()):
        raise EmptySelection(
            f"there is no sample of the classes {', '.join(part.classes[:10])} among {others} samples; class_names has "
            "to name the label numbers"
        )
    first, *beside = (
        tally.row(counts, compared=reference is not None, milliseconds=taken)
        for tally, taken in zip(tallies, watch.milliseconds, strict=True)
    )
    return Report(
        kind=type(part).__name__,
        classes=part.classes,
        rows=(replace(first, difference=(0.0, 0.0)), *beside),  # from itself it does not differ
        reference="" if reference is None else reference.contender.name,
        counts=tuple(counts.tolist()),
        others=others,
        parts=tuple(member.row() for member in subject.members),
        outsiders=tallies[0].outsiders(),
        rejecting=rejects(part),
        notes=((LONE,) if subject.scored and len(part.classes) == 1 else ()) + overlap.notes(),
        overlap=overlap.images,
        other_classes=() if class_names is None else _others(part.classes, names, seen),
    )


def _others(classes: Sequence[str], names: Sequence[str], seen: Tensor) -> tuple[str, ...]:
    """The names of classes that are not the part's and of which there were samples."""
    return tuple(name for name, count in zip(names, seen.tolist(), strict=True) if count and name not in classes)


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """The part that is evaluated: itself as a contender, its image shape, the members of an assembly."""

    contender: Contender
    shape: Shape
    members: tuple["Member", ...]
    scored: bool  # whether its classes' separation is measured


class _WithOwn(nn.Module):
    """Gives an assembly's logits and, behind them, its parts' own."""

    def __init__(self, assembly: Assembly) -> None:
        super().__init__()
        self.assembly = assembly

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat(self.assembly.both(images), 1)


def _subject(part: Component | Assembly, class_names: ClassNames | None) -> _Subject:
    if isinstance(part, Component):
        return _Subject(_itself(part, part), taken_by(part), (), True)
    if isinstance(part, Assembly):
        names = part.classes if class_names is None else names_of(class_names)
        return _Subject(_itself(part, _WithOwn(part)), taken_by(part), _members(part, names), False)
    raise BadConfig(f"evaluate takes a component or an assembly, not a {type(part).__name__}")


def _itself(part: Component | Assembly, model: nn.Module) -> Contender:
    return Contender(type(part).__name__.lower(), model, tuple(range(len(part.classes))), True, part_cost(part))


def _members(assembly: Assembly, names: Sequence[str]) -> tuple[Member, ...]:
    """The parts of an assembly, on images of their own classes, which the label numbers stand for as these `names`."""
    members, first = [], len(assembly.classes)
    known = counted_as(names, aliases_in(assembly.networks(), assembly.terms))
    for number, owned in enumerate(assembly.owned(), 1):
        classes, columns = grouped(owned, assembly.groups)
        spots = torch.tensor([classes.index(name) if name in classes else -1 for name in assembly.classes])
        spots[len(told_classes(assembly)) :] = -2  # "none of these" is of no other part either
        theirs = torch.tensor([name in owned or name in classes for name in known])
        title = f"{number} ({', '.join(classes)})"
        members.append(Member(title, classes, slice(first, first + len(owned)), columns, spots, theirs))
        first += len(owned)
    return tuple(members)


def _run(contenders: Sequence[Contender], images: Tensor) -> list[Tensor]:
    """All outputs of each contender on a batch; a network that several share runs once."""
    done: dict[object, Tensor] = {}
    keys = [(id(contender.model), contender.preprocessing) for contender in contenders]
    for key, contender in zip(keys, contenders, strict=True):
        if key not in done:
            done[key] = contender.logits(images).cpu()
    return [done[key] for key in keys]
