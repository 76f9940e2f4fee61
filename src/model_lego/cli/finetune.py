"""model-lego finetune: train a saved component or assembly a little further."""

from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import data_for, open_part
from model_lego.cli.unfinished import close_checkpoint, open_checkpoint
from model_lego.parts.assembly import NONE_OF_THESE


def finetune_command(
    folder: Annotated[str, typer.Argument(help="a saved component or assembly")],
    data: o.Data, out: o.Out,
    epochs: o.Epochs = 5, learning_rate: o.LearningRate = 0.01, momentum: o.Momentum = 0.9,
    weight_decay: o.WeightDecay = 5e-4, schedule: o.Schedule = "cosine", smoothing: o.Smoothing = 0.0,
    clip: o.Clip = 1.0, crop: o.Crop = 0, flip: o.Flip = False, ema: o.Ema = 0.0, amp: o.Amp = None,
    channels_last: o.ChannelsLast = False, compiled: o.Compiled = False, resume: o.Resume = False,
    seed: o.Seed = 0, batch_size: o.BatchSize = 128, overwrite: o.Overwrite = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Train a saved component or assembly a little further, all of it together."""
    from model_lego import TrainingSettings, evaluate, finetune, save

    settings = TrainingSettings(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, momentum=momentum,
        weight_decay=weight_decay, schedule=schedule, smoothing=smoothing, clip=clip, crop=crop, flip=flip, ema=ema,  # type: ignore[arg-type]
        amp="auto" if amp is None else amp, channels_last=channels_last, compile=compiled, seed=seed,
    )  # fmt: skip
    checkpoint = open_checkpoint(out, overwrite=overwrite, resume=resume)
    part = open_part(folder)
    names = tuple(name for name in part.classes if name != NONE_OF_THESE)  # which no data has
    train, test = (data_for([part], data, names, batch_size, train=which) for which in (True, False))
    before = evaluate(part, test, class_names=names, progress=Bar())
    tuned = finetune(part, train, settings, class_names=names, checkpoint=checkpoint, progress=Bar())
    after = evaluate(tuned, test, class_names=names, progress=Bar())
    written = save(tuned, out, overwrite=overwrite)
    close_checkpoint(out)
    if json:
        show_json({"folder": str(written), "before": before.accuracy, "after": after.accuracy})
        return
    show(str(tuned))
    show(f"{before.accuracy:.1f} % of the test images were right, now {after.accuracy:.1f} %")
    say(f"written to {written}")
