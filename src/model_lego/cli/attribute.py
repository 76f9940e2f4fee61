"""model-lego attribute: the contributions of every layer, summed once, as a file."""

from functools import reduce
from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import open_source
from model_lego.cli.team import speaks, team
from model_lego.digest import digest_of
from model_lego.errors import BadConfig
from model_lego.store.replacing import check_out

SomeClasses = Annotated[list[str] | None, typer.Option("--classes", "-c", help="classes to sum over; all by default")]
Add = Annotated[list[str] | None, typer.Option("--add", help="saved statistics of other images, added to these")]

Memory = Annotated[int, typer.Option("--memory", help="MiB of sums held at once; more classes are taken in turns")]
Resume = Annotated[bool, typer.Option("--resume", help="go on where an interrupted run stopped")]


def attribute_command(
    *,
    model: o.Model,
    data: o.DataOptions,
    out: o.Out,
    classes: SomeClasses = None,
    opening: o.SourceOptions,
    sampling: o.SamplingOpt = "confident",
    per_class: o.PerClass = None,
    add: Add = None,
    memory: Memory = 256,
    resume: Resume = False,
    run: o.RunOptions,
) -> None:
    """Sum up what each channel adds to each other, class by class, for any number of components."""
    from model_lego import collect, load_statistics, merge, save_statistics
    from model_lego.data.batching import prepared
    from model_lego.parts.class_names import label_numbers

    check_out(out, overwrite=run.overwrite)
    if memory < 1:
        raise BadConfig(f"--memory {memory} holds no sums; give at least 1 (MiB)")
    others = [load_statistics(folder) for folder in add or ()]
    source = open_source(model, data, opening, run.batch_size)
    for other in others:
        if (other.source, other.sampling) != (digest_of(source.model), sampling):
            raise BadConfig("statistics to add have to be of this network, and sampled in the same way")
    asked = label_numbers(source.asked(classes), source.class_names)
    with team() as group:
        stats = collect(
            source.model,
            prepared(source.train, source.preprocessing),
            out,
            graph=source.graph,
            classes=asked,
            progress=Bar(),
            group=group,
            sampling=sampling,  # type: ignore[arg-type]
            per_class=per_class,
            seed=run.seed,
            class_names=source.class_names,
            memory=memory << 20,
            resume=resume,
            overwrite=run.overwrite,
        )
        if others and speaks():
            stats = reduce(merge, others, stats)
            save_statistics(stats, out, overwrite=True)
    samples = {source.class_names[label]: count for label, count in zip(stats.classes, stats.counts, strict=True)}
    if run.json:
        show_json({"folder": out, "layers": len(stats.layers), "samples": samples})
        return
    show(f"{len(stats.layers)} layers, {len(samples)} classes")
    show(", ".join(f"{name}: {count} images" for name, count in samples.items()))
    say(f"written to {out}")
