"""model-lego finetune: train a saved component or assembly a little further."""

from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.recipe.recording import save_made
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import check_measured, data_for, names_in, open_part
from model_lego.cli.unfinished import close_checkpoint, open_checkpoint
from model_lego.cli.verdict import as_json, show_concerns
from model_lego.store.outputs import bytes_of, check_room
from model_lego.training.finetuning import GENTLE

DEFAULTS = o.TrainingOptions.like(GENTLE)


def finetune_command(
    *,
    part: Annotated[str, typer.Argument(help="a saved component or assembly")],
    data: o.DataOptions,
    out: o.Out,
    loading: o.LoadingOptions,
    class_map: o.ClassMap = None,
    training: o.TrainingOptions = DEFAULTS,
    run: o.RunOptions,
) -> None:
    """Train a saved component or assembly a little further, all of it together."""
    from model_lego import evaluate, finetune

    settings = training.settings(run)
    checkpoint = open_checkpoint(out, overwrite=run.overwrite, resume=training.resume)
    opened = open_part(part, loading)
    check_room(out, bytes_of(opened))
    names = names_in(opened, data, class_map)
    train, test = data_for([opened], data, names, run.batch_size, class_map=class_map)
    check_measured(data, test, names)
    before = evaluate(opened, test, class_names=names, progress=Bar())
    tuned = finetune(opened, train, settings, class_names=names, checkpoint=checkpoint, progress=Bar())
    after = evaluate(tuned, test, class_names=names, progress=Bar())
    written = save_made(tuned, out, data.data, overwrite=run.overwrite)
    close_checkpoint(out)
    if run.json:
        figures = {"before": before.accuracy, "after": after.accuracy, "verdict": as_json(tuned.verdict)}
        show_json({"folder": str(written), **figures})
        return
    show(str(tuned))
    show(f"{before.accuracy:.1f} % of the test images were right, now {after.accuracy:.1f} %")
    show_concerns(tuned.verdict)
    say(f"written to {written}")
