"""What the steps of a recipe would give, without running them: classes, sizes, clashes, and what would be fetched."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import torch

from model_lego.calling.options import value_of
from model_lego.cli import options as o
from model_lego.cli.assemble import parse_groups
from model_lego.cli.budget import parse_budget
from model_lego.cli.networks import is_folder, parse_arguments
from model_lego.cli.recipe import steps
from model_lego.cli.recipe.jobs import Job, with_results
from model_lego.cli.recipe.reading import words_of
from model_lego.cli.sources import open_source
from model_lego.cutting.tracing import trace
from model_lego.errors import LegoError
from model_lego.graph.cost import cost_of
from model_lego.graph.modules import first_parameter
from model_lego.models import open_network
from model_lego.models.fetching import would_fetch
from model_lego.models.registry import image_shape
from model_lego.names.hub_names import is_on_hub
from model_lego.parts.class_names import groups_of, in_order, label_numbers, spelled
from model_lego.parts.grouping import grouped
from model_lego.parts.origin import OWN_CODE, Cost, total
from model_lego.store.hub_parts import in_cache
from model_lego.store.inspecting import inspect

Given = Mapping[str, Any]
COLUMNS = ("step", "command", "classes", "parameters", "multiply-adds", "now")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a part before it is made, None for what is not; `most` says that it may cost less."""

    classes: tuple[str, ...] | None = None
    cost: Cost | None = None
    most: bool = False
    notes: tuple[str, ...] = ()


#: Looks ahead, from the options of a step and what is known of those above it.
Foresee = Callable[[Given, Mapping[str, Known]], Known]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a step would give, and whether that is there already."""

    step: str
    command: str
    unchanged: bool
    gives: Known

    def row(self) -> tuple[str, ...]:
        """As it stands in a table."""
        classes = "?" if self.gives.classes is None else ", ".join(self.gives.classes)
        sign, cost = "at most " if self.gives.most else "", self.gives.cost
        sizes = ("?", "?") if cost is None else (f"{sign}{cost.parameters:,}", f"{sign}{cost.macs:,}")
        return (self.step, self.command, classes, *sizes, "unchanged" if self.unchanged else "to run")


def forecast(jobs: Mapping[str, Job]) -> list[Forecast]:
    """What each of some jobs would give; nothing is run, written or fetched."""
    found: dict[str, Known] = {}
    told = []
    for name, job in jobs.items():
        done = job.done
        try:
            known = _of_folder(str(job.out)) if done and job.step.gives == steps.PART else _foreseen(job, jobs, found)
        except LegoError as error:
            known = Known(notes=(f"it would be refused: {error}",))
        found[name] = known
        told.append(Forecast(name, job.step.command, done, known))
    return told


def _foreseen(job: Job, jobs: Mapping[str, Job], found: Mapping[str, Known]) -> Known:
    there = {name: each for name, each in jobs.items() if name in found and each.done}
    given = {name: with_results(name, value, there) for name, value in job.step.options.items()}
    named = [word for option in steps.TAKES for word in words_of(given.get(option)) if is_on_hub(word)]
    if lacking := [word for word in named if in_cache(word) is None]:
        return Known(notes=(f"{', '.join(lacking)} would be fetched",))
    return _FORESEEN[job.step.command](dict(steps.defaults_of(job.step.command)) | given, found)


def _part(word: str, found: Mapping[str, Known]) -> Known:
    """What is known of a part by its step, its folder or its name in the bin."""
    return found[word] if word in found else _of_folder(word)


def _of_folder(word: str) -> Known:
    manifest = inspect(word)
    classes = manifest.parts[0].classes if manifest.assembly is None else manifest.assembly.classes
    return Known(classes, total(Cost(**part.origin.cost_after.model_dump()) for part in manifest.parts))


def _cut(options: Given, found: Mapping[str, Known]) -> Known:
    """A component that is cut from a network or a part: no larger than that, and than a budget of sizes allows."""
    source = _source(options, found)
    budget = parse_budget(options.get("budget"))
    if source.cost is None or budget is None:
        return replace(source, most=True)
    limits = {name: int(budget.limit(name, source.cost)) for name in budget.counted if hasattr(source.cost, name)}
    sizes = {name: min(size, limits.get(name, size)) for name, size in asdict(source.cost).items()}
    return replace(source, cost=Cost(**sizes), most=True)


def _source(options: Given, found: Mapping[str, Known]) -> Known:
    """The network of a step, and the classes that are asked of it."""
    model, asked = options["model"], tuple(options.get("classes") or ())
    if model in found:
        return replace(found[model], classes=asked or found[model].classes)
    if model.startswith(OWN_CODE) or options.get("uncut"):
        return Known(asked or None, notes=("its network is code of your own, which is not run for this",))
    if options.get("weights") in found:
        return Known(asked or None, notes=(f"its source is trained first, by step '{options['weights']}'",))
    if options.get("pretrained") and (lacking := would_fetch(model)):
        return Known(asked or None, _untrained_cost(model, options), notes=(f"{lacking} would be fetched",))
    source = open_source(
        model, value_of(o.DataOptions, options), value_of(o.SourceOptions, options), options["batch_size"]
    )
    numbers = label_numbers(source.asked(asked), source.class_names)
    cost = cost_of(source.model, source.graph.program, rules=source.graph.rules)
    return Known(tuple(source.class_names[number] for number in numbers), cost)


def _untrained_cost(model: str, options: Given) -> Cost | None:
    """What a network costs whose weights are not here; None where it cannot be built without them."""
    try:
        opened = open_network(model, arguments=parse_arguments(options.get("argument")))
        images = torch.zeros(2, *image_shape(opened.builder, opened.model)).to(first_parameter(opened.model))
        return cost_of(opened.model, trace(opened.model, images).program)
    except LegoError:
        return None


def _assembly(options: Given, found: Mapping[str, Known]) -> Known:
    """Parts side by side; the head adds little."""
    words = options["parts"]
    parts = [_part(word, found) for word in words]
    known = [part.classes for part in parts if part.classes is not None]
    if len(known) < len(parts):
        return Known(notes=("its parts' classes are not known yet",))
    terms = list(dict.fromkeys(name for classes in known for name in classes))
    groups = groups_of(parse_groups(options.get("group") or [], terms), terms)
    classes = tuple(grouped(terms, groups)[0])
    if options.get("order"):
        classes = in_order(spelled(options["order"], classes), classes)
    return replace(_together(parts), classes=classes, notes=tuple(_clashes(words, known, options["on_clash"])))


def _clashes(words: Sequence[str], known: Sequence[Sequence[str]], on_clash: str | None) -> Iterator[str]:
    """Classes that several parts have, and what becomes of them."""
    for name in dict.fromkeys(name for classes in known for name in classes):
        holders = [word for word, classes in zip(words, known, strict=True) if name in classes]
        if len(holders) > 1:
            what = "which is refused; say on_clash: prefer or average" if on_clash in (None, "error") else on_clash
            yield f"class '{name}' clashes: {' and '.join(holders)} have it ({what})"


def _together(parts: Sequence[Known]) -> Known:
    """What several parts are together, each with all that it has."""
    costs = [part.cost for part in parts if part.cost is not None]
    named = [part.classes for part in parts if part.classes is not None]
    whole = len(costs) == len(named) == len(parts)
    classes = tuple(dict.fromkeys(name for classes in named for name in classes))
    return Known(classes, total(costs), most=any(part.most for part in parts)) if whole else Known()


def _union(options: Given, found: Mapping[str, Known]) -> Known:
    """Components of one source: what they share is there once, and what lies between them is new."""
    return replace(_together([_part(word, found) for word in options["parts"]]), cost=None)


def _addition(options: Given, found: Mapping[str, Known]) -> Known:
    words = (options["part"], options["component"])
    parts = [_part(word, found) for word in words]
    known = [part.classes for part in parts if part.classes is not None]
    clashes = _clashes(words, known, options["on_clash"]) if len(known) == len(words) else ()
    return replace(_together(parts), notes=tuple(clashes))


def _exchange(options: Given, found: Mapping[str, Known]) -> Known:
    """Which classes go is known when the assembly is opened."""
    return Known(notes=(f"'{options['old']}' of {options['assembly']} makes room for {options['new']}",))


def _rest(options: Given, found: Mapping[str, Known]) -> Known:
    """A part, or a network, without some classes."""
    word = options["part"]
    if word not in found and not is_folder(word):
        source = _source({**options, "model": word, "classes": ["all"]}, found)
    else:
        source = _part(word, found)
    if source.classes is None:
        return replace(source, most=True)
    gone = label_numbers(spelled(options["classes"], source.classes), source.classes, owner="part")
    left = tuple(name for place, name in enumerate(source.classes) if place not in gone)
    return replace(source, classes=left, most=True)


def _same(option: str) -> Foresee:
    """A part as it is, with other weights or in another format."""
    return lambda options, found: _part(options[option], found)


def _taught(options: Given, found: Mapping[str, Known]) -> Known:
    """A student, for the classes of its teacher."""
    teacher, student = options["teacher"], options["student"]
    classes = _part(teacher, found).classes if teacher in found or is_folder(teacher) else None
    cost = _part(student, found).cost if student in found or is_folder(student) else None
    return Known(classes, cost)


def _trained(options: Given, _: Mapping[str, Known]) -> Known:
    lacking = would_fetch(options["model"]) if options.get("pretrained") else ""
    notes = (f"{lacking} would be fetched",) if lacking else ()
    return Known(tuple(options["classes"]) if options.get("classes") else None, notes=notes)


_FORESEEN: Mapping[str, Foresee] = MappingProxyType(
    {
        "train": _trained,
        "attribute": _source,
        "disassemble": _cut,
        "compress": _cut,
        "assemble": _assembly,
        "unite": _union,
        "remove": _rest,
        "add": _addition,
        "replace": _exchange,
        "finetune": _same("part"),
        "distill": _taught,
        "export": _same("part"),
    }
)
