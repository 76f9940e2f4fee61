"""model-lego distill: train a smaller network towards a saved part, or a component towards its source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import typer
from torch import nn

from model_lego.cli import options as o
from model_lego.cli.networks import parse_arguments
from model_lego.cli.preprocessing import parse_preprocessing
from model_lego.cli.recipe.recording import save_made
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import check_measured, data_for, open_data_for, open_part, open_source, read_data, told_in
from model_lego.cli.unfinished import close_checkpoint, open_checkpoint
from model_lego.cli.verdict import as_json, show_verdict
from model_lego.data import batches
from model_lego.errors import BadConfig
from model_lego.models import open_network
from model_lego.models.registry import for_classes
from model_lego.parts.assembly import Assembly, leaves
from model_lego.parts.component import Component
from model_lego.parts.grouping import counted_as
from model_lego.parts.image_shapes import taken_by
from model_lego.parts.preprocessing import Preprocessing
from model_lego.store.outputs import bytes_of, check_room
from model_lego.training.distillation import FROM_THE_START, cast_roles
from model_lego.training.distillation_gain import GainOptions

DEFAULTS = o.TrainingOptions.like(FROM_THE_START)


def distill_command(
    *,
    teacher: Annotated[str, typer.Argument(help="a saved component or assembly, or a MODEL with its weights")],
    student: Annotated[str, typer.Argument(help=f"{o.NAMED}, or a saved component's folder")],
    data: o.DataOptions,
    out: o.Out,
    temperature: Annotated[float, typer.Option(help="divides the logits of both")] = 2.0,
    hard: Annotated[float, typer.Option(help="share of the labels in the loss; with 0 all images of the data")] = 0.5,
    features: Annotated[float, typer.Option(help="weight of the features that the last layers read")] = 0.0,
    alone: Annotated[bool, typer.Option("--alone", help="train the student alone as well, for comparison")] = False,
    opening: o.SourceOptions,
    training: o.TrainingOptions = DEFAULTS,
    run: o.RunOptions,
) -> None:
    """Train a smaller network towards what a component, an assembly or an uncut network gives."""
    from model_lego import distill, distillation_gain, evaluate

    settings = training.settings(run)
    checkpoint = open_checkpoint(out, overwrite=run.overwrite, resume=training.resume)
    pair = _opened(teacher, student, data, opening, run)
    check_room(out, bytes_of(pair.student))
    aliases = _aliases(pair)
    names = told_in(data, [pair.student], _told(pair), aliases, opening.class_map)
    parts = [each for each in (pair.teacher, pair.student) if isinstance(each, Component | Assembly)]
    train, test = data_for(parts, data, names, run.batch_size, class_map=opening.class_map)
    check_measured(data, test, names)
    counted = counted_as(names, aliases)
    how = GainOptions(
        temperature=temperature,
        hard=hard,
        features=features,
        class_names=counted,
        preprocessing=pair.preprocessing,
        checkpoint=checkpoint,
    )
    gain = None
    if alone:
        gain = distillation_gain(pair.teacher, pair.student, train, test, settings, progress=Bar(), **how)
        taught, report = gain.taught, gain.report
    else:
        split = open_data_for(parts, data)
        every = batches(split.train, batch_size=run.batch_size) if hard == 0 else train
        taught = distill(pair.teacher, pair.student, every, settings, progress=Bar(), **how)
        report = evaluate(taught, test, class_names=counted, progress=Bar())
    folder = save_made(taught, out, data.data, overwrite=run.overwrite)
    close_checkpoint(out)
    if run.json:
        figures = {"points": gain and gain.points, "verdict": as_json(taught.verdict)}
        show_json({"folder": str(folder), **figures, **report.to_dict()})
        return
    show(str(gain or report))
    show_verdict(taught.verdict)
    say(f"written to {folder}")


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    teacher: nn.Module
    student: Component | Assembly
    preprocessing: Preprocessing | None  # of a teacher that is no component or assembly


def _told(pair: _Pair) -> Sequence[str]:
    """The classes of the student that images may have: a new one has its teacher's."""
    rejecting = cast_roles(pair.teacher, pair.student, pair.preprocessing).rejecting
    return pair.student.classes[:-1] if rejecting else pair.student.classes


def _aliases(pair: _Pair) -> dict[str, str]:
    """What counts as classes of the student: the members of its groups, and of the teacher's where it has these."""
    mine = pair.student.aliases() if isinstance(pair.student, Assembly) else {}
    taught = pair.teacher.aliases() if isinstance(pair.teacher, Assembly) else {}
    classes = pair.student.classes
    return mine | {name: told for name, told in taught.items() if told in classes and name not in (*classes, *mine)}


def _opened(teacher: str, student: str, data: o.DataOptions, opening: o.SourceOptions, run: o.RunOptions) -> _Pair:
    """Open teacher and student; one of them at least is a folder."""
    if ":" in teacher:
        if ":" in student:
            raise BadConfig("a student by its name needs a saved component or assembly as teacher, for its classes")
        opened = open_source(teacher, data, opening, run.batch_size)
        return _Pair(opened.model, open_part(student, opening, source=teacher), opened.preprocessing)
    if opening.trained or opening.source_classes is not None:
        raise BadConfig(
            f"'{teacher}' is a folder, which says all by itself; leave --pretrained, --weights and --source-classes out"
        )
    if ":" not in student:
        return _Pair(open_part(teacher, opening), open_part(student, opening), None)
    known = open_part(teacher, replace(opening, argument=None))  # they are the student's
    return _Pair(known, _untrained(known, student, data, opening, run.seed), None)


def _untrained(
    teacher: Component | Assembly, name: str, data: o.DataOptions, opening: o.SourceOptions, seed: int
) -> Component:
    """A network by its name, with a logit for each class of the teacher, whose normalisation it takes by default."""
    from model_lego.disassembly.disassembling import whole

    given = for_classes(name, parse_arguments(opening.argument), len(teacher.classes))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        opened = open_network(name, arguments=given)
    preprocessing = parse_preprocessing(opening) if opening.given else next(leaves(teacher)).preprocessing
    split = read_data(data, preprocessing=preprocessing, channels=taken_by(teacher)[0])
    example, _ = next(iter(batches(split.train, batch_size=2)))
    return whole(opened.model, example, classes=teacher.classes, preprocessing=preprocessing, builder=opened.builder)
