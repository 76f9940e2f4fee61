"""model-lego train."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.networks import is_folder, parse_arguments, preprocessing_for, say_notes
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import check_measured, of_data, read_data
from model_lego.data import batches
from model_lego.errors import BadConfig, OutputExists
from model_lego.store.outputs import check_place
from model_lego.training import TrainingSettings
from model_lego.training.trained_folder import CHECKPOINT, WEIGHTS, TrainingTask, is_of_training, opened, train_into

DEFAULTS = o.TrainingOptions.like(TrainingSettings())


def train_command(
    *,
    model: o.Name,
    data: o.DataOptions,
    out: o.Out,
    starting: o.WeightsOptions,
    classes: Annotated[
        list[str] | None, typer.Option("--classes", "-c", help="classes to learn, all with images by default")
    ] = None,
    per_class: Annotated[int | None, typer.Option("--per-class", help="training images a class, else all")] = None,
    download: o.Download = False,
    taking: o.PreprocessingOptions,
    training: o.TrainingOptions = DEFAULTS,
    run: o.RunOptions,
) -> None:
    """Train a classifier; the weights are then taken apart with `disassemble`."""
    if is_folder(model):
        raise BadConfig(
            f"'{model}' is a folder; train builds a network by its name, finetune trains a saved part further"
        )
    settings = training.settings(run)
    folder = _folder(out, overwrite=run.overwrite, resume=training.resume)
    split = read_data(data, download=download)
    there = [split.class_names[label] for label in sorted(set(split.train.labels.tolist()))]
    names = list(of_data(classes, split.class_names)) if classes else there  # which others there are was said
    check_measured(data, batches(split.test), split.class_names, map(split.class_names.index, names))
    task = TrainingTask(
        model,
        names,
        settings,
        parse_arguments(starting.argument),
        per_class=per_class,
        pretrained=starting.pretrained,
        weights=starting.weights,
        weights_key=starting.weights_key,
    )
    network = opened(task)
    say_notes(network)
    preprocessing = preprocessing_for(taking, network)
    task = replace(task, preprocessing=preprocessing)
    split = split.taken_by(preprocessing)
    if not training.resume:  # late, when nothing is left that could be refused; a finished training stays until this is
        (folder / CHECKPOINT).unlink(missing_ok=True)
    record = train_into(folder, split, task, network.model, Bar())
    if run.json:
        show_json({"folder": str(folder), **record})
        return
    show(f"{record['test_accuracy']:.1f} % of the test images of {', '.join(names)} are right")
    say(f"written to {folder / WEIGHTS}")


def _folder(out: str, *, overwrite: bool, resume: bool) -> Path:
    """The folder to write, which nothing of somebody else's is in."""
    folder = Path(out)
    check_place(folder / CHECKPOINT)
    if resume and (folder / CHECKPOINT).is_file():
        return folder
    if resume and folder.exists():
        raise BadConfig(f"'{out}' has no {CHECKPOINT} to go on from: that training is finished, or is none of ours")
    if folder.exists() and not overwrite:
        raise OutputExists(f"'{out}' exists already; choose another --out, or give --overwrite")
    if folder.exists() and not is_of_training(folder):
        raise OutputExists(f"'{out}' is no folder of a training; choose another --out")
    return folder
