"""model-lego distill: train a smaller network towards a saved part, or a component towards its source."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
import typer
from torch import nn

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import data_for, open_part, open_source, parse_arguments, parse_preprocessing
from model_lego.cli.unfinished import close_checkpoint, open_checkpoint
from model_lego.data import batches, open_data
from model_lego.errors import BadConfig
from model_lego.models import build
from model_lego.parts.assembly import NONE_OF_THESE, Assembly
from model_lego.parts.component import Builder, Component, Preprocessing
from model_lego.parts.image_shapes import common_size


def distill_command(
    teacher: Annotated[str, typer.Argument(help="a saved component or assembly, or a network with --weights")],
    student: Annotated[str, typer.Argument(help="zoo:NAME, torchvision:NAME or timm:NAME, or a saved component")],
    data: o.Data, out: o.Out,
    temperature: Annotated[float, typer.Option(help="divides the logits of both")] = 2.0,
    hard: Annotated[float, typer.Option(help="share of the labels in the loss; with 0 all images of the data")] = 0.5,
    features: Annotated[float, typer.Option(help="weight of the features that the last layers read")] = 0.0,
    alone: Annotated[bool, typer.Option("--alone", help="train the student alone as well, for comparison")] = False,
    weights: o.Weights = None, argument: o.Arguments = None, source_classes: o.SourceClasses = None,
    mean: o.Mean = None, std: o.Std = None, size: o.Size = None,
    epochs: o.Epochs = 30, learning_rate: o.LearningRate = 0.05, momentum: o.Momentum = 0.9,
    weight_decay: o.WeightDecay = 5e-4, schedule: o.Schedule = "one-cycle", smoothing: o.Smoothing = 0.0,
    clip: o.Clip = 1.0, crop: o.Crop = 0, flip: o.Flip = False, ema: o.Ema = 0.0, amp: o.Amp = None,
    channels_last: o.ChannelsLast = False, compiled: o.Compiled = False, resume: o.Resume = False,
    seed: o.Seed = 0, batch_size: o.BatchSize = 128, overwrite: o.Overwrite = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Train a smaller network towards what a component, an assembly or an uncut network gives."""
    from model_lego import TrainingSettings, distill, distillation_gain, evaluate, save

    settings = TrainingSettings(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, momentum=momentum,
        weight_decay=weight_decay, schedule=schedule, smoothing=smoothing, clip=clip, crop=crop, flip=flip, ema=ema,  # type: ignore[arg-type]
        amp="auto" if amp is None else amp, channels_last=channels_last, compile=compiled, seed=seed,
    )  # fmt: skip
    checkpoint = open_checkpoint(out, overwrite=overwrite, resume=resume)
    taking = {"mean": mean, "std": std, "size": size}
    pair = _opened(teacher, student, data, weights, argument, source_classes, taking, seed, batch_size)
    names = tuple(name for name in pair.student.classes if name != NONE_OF_THESE)
    parts = [each for each in (pair.teacher, pair.student) if isinstance(each, Component | Assembly)]
    train, test = (data_for(parts, data, names, batch_size, train=which) for which in (True, False))
    common: dict[str, Any] = {
        "temperature": temperature, "hard": hard, "features": features, "class_names": names,
        "preprocessing": pair.preprocessing, "checkpoint": checkpoint, "progress": Bar(),
    }  # fmt: skip
    gain = None
    if alone:
        gain = distillation_gain(pair.teacher, pair.student, train, test, settings, **common)
        taught, report = gain.taught, gain.report
    else:
        split = open_data(data, size=common_size(*parts))
        every = batches(split.train, batch_size=batch_size) if hard == 0 else train
        taught = distill(pair.teacher, pair.student, every, settings, **common)
        report = evaluate(taught, test, class_names=names, progress=Bar())
    folder = save(taught, out, overwrite=overwrite)
    close_checkpoint(out)
    if json:
        show_json({"folder": str(folder), "points": gain and gain.points, **report.to_dict()})
        return
    show(str(gain or report))
    say(f"written to {folder}")


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    teacher: nn.Module
    student: Component | Assembly
    preprocessing: Preprocessing | None  # of a teacher that is no component or assembly


def _opened(
    teacher: str, student: str, data: str, weights: str | None, argument: list[str] | None, source_classes: str | None,
    taking: dict[str, Any], seed: int, batch_size: int,
) -> _Pair:  # fmt: skip
    """Open teacher and student; one of them at least is a folder."""
    if ":" in teacher:
        if ":" in student:
            raise BadConfig("a student by its name needs a saved component or assembly as teacher, for its classes")
        opened = open_source(
            teacher, data=data, weights=weights, arguments=argument, source_classes=source_classes,
            batch_size=batch_size, **taking,
        )  # fmt: skip
        return _Pair(opened.model, open_part(student), opened.preprocessing)
    if weights is not None or source_classes is not None:
        raise BadConfig(f"'{teacher}' is a folder, which says all by itself; leave --weights and --source-classes out")
    known = open_part(teacher)
    if ":" not in student:
        return _Pair(known, open_part(student), None)
    return _Pair(known, _untrained(known, student, data, argument, taking, seed), None)


def _untrained(
    teacher: Component | Assembly, name: str, data: str, argument: list[str] | None, taking: dict[str, Any], seed: int
) -> Component:
    """A network by its name, with a logit for each class of the teacher, whose normalisation it takes by default."""
    from model_lego.disassembly.disassembling import whole

    given = parse_arguments(argument) | {"num_classes": len(teacher.classes)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(name, **given).eval()
    inner = [teacher] if isinstance(teacher, Component) else teacher.networks()
    told = any(value is not None for value in taking.values())
    preprocessing = parse_preprocessing(**taking) if told else inner[0].preprocessing
    size = None if preprocessing is None else preprocessing.size
    example, _ = next(iter(batches(open_data(data, size=size).train, batch_size=2)))
    return whole(network, example, classes=teacher.classes, preprocessing=preprocessing, builder=Builder(name, given))
