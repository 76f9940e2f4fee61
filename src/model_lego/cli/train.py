"""model-lego train."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import of_data, parse_arguments, parse_preprocessing
from model_lego.data import open_data
from model_lego.errors import BadConfig, OutputExists
from model_lego.training.trained_folder import CHECKPOINT, RECORD, WEIGHTS, TrainingTask, train_into


def train_command(
    model: o.Model, data: o.Data, out: o.Out, weights: o.Weights = None, argument: o.Arguments = None,
    classes: Annotated[str | None, typer.Option("--classes", "-c", help="classes to learn, all by default")] = None,
    per_class: Annotated[int | None, typer.Option("--per-class", help="training images a class, else all")] = None,
    download: o.Download = False, mean: o.Mean = None, std: o.Std = None, size: o.Size = None,
    epochs: o.Epochs = 30, learning_rate: o.LearningRate = 0.1, momentum: o.Momentum = 0.9,
    weight_decay: o.WeightDecay = 5e-4, schedule: o.Schedule = "one-cycle", smoothing: o.Smoothing = 0.0,
    clip: o.Clip = 0.0, crop: o.Crop = 4, flip: o.Flip = True, ema: o.Ema = 0.0, amp: o.Amp = None,
    channels_last: o.ChannelsLast = False, compiled: o.Compiled = False, resume: o.Resume = False,
    seed: o.Seed = 0, batch_size: o.BatchSize = 128, overwrite: o.Overwrite = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Train a classifier; the weights are then taken apart with `disassemble`."""
    from model_lego.training import TrainingSettings

    settings = TrainingSettings(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, momentum=momentum,
        weight_decay=weight_decay, schedule=schedule, smoothing=smoothing, clip=clip, crop=crop, flip=flip, ema=ema,  # type: ignore[arg-type]
        amp="auto" if amp is None else amp, channels_last=channels_last, compile=compiled, seed=seed,
    )  # fmt: skip
    folder = _folder(out, overwrite=overwrite, resume=resume)
    preprocessing = parse_preprocessing(mean, std, size)
    split = open_data(data, download=download, size=preprocessing.size)
    names = list(of_data(classes, split.class_names))
    task = TrainingTask(model, names, settings, parse_arguments(argument), preprocessing, per_class, weights)
    record = train_into(folder, split, task, Bar())
    if json:
        show_json({"folder": str(folder), **record})
        return
    show(f"{record['test_accuracy']:.1f} % of the test images of {', '.join(names)} are right")
    say(f"written to {folder / WEIGHTS}")


def _folder(out: str, *, overwrite: bool, resume: bool) -> Path:
    """The folder to write; what of ours is in it is taken up, replaced or refused."""
    folder = Path(out)
    if resume and (folder / CHECKPOINT).is_file():
        return folder
    if resume and folder.exists():
        raise BadConfig(f"'{out}' has no {CHECKPOINT} to go on from: that training is finished, or is none of ours")
    if folder.exists() and not overwrite:
        raise OutputExists(f"'{out}' exists already; choose another --out, or give --overwrite")
    if folder.exists():
        if not folder.is_dir() or {path.name for path in folder.iterdir()} - {WEIGHTS, RECORD, CHECKPOINT}:
            raise OutputExists(f"'{out}' is no folder of a training; choose another --out")
        shutil.rmtree(folder)
    return folder
