"""model-lego attribute: the contributions of every layer, summed once, as a file."""

from functools import reduce
from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import check_out, chosen, named, open_source
from model_lego.cli.team import speaks, team
from model_lego.digest import digest_of
from model_lego.errors import BadConfig

SomeClasses = Annotated[str | None, typer.Option("--classes", "-c", help="classes to sum over; all by default")]
Add = Annotated[list[str] | None, typer.Option("--add", help="saved statistics of other images, added to these")]

Memory = Annotated[int, typer.Option("--memory", help="MiB of sums held at once; more classes are taken in turns")]
Resume = Annotated[bool, typer.Option("--resume", help="go on where an interrupted run stopped")]


def attribute_command(
    model: o.Model, data: o.Data, out: o.Out, classes: SomeClasses = None, weights: o.Weights = None,
    argument: o.Arguments = None, source_classes: o.SourceClasses = None, mean: o.Mean = None, std: o.Std = None,
    size: o.Size = None, sampling: o.SamplingOpt = "confident", per_class: o.PerClass = None, add: Add = None,
    memory: Memory = 256, resume: Resume = False, seed: o.Seed = 0, batch_size: o.BatchSize = 128,
    overwrite: o.Overwrite = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Sum up what each channel adds to each other, class by class, for any number of components."""
    from model_lego import collect, load_statistics, merge, save_statistics
    from model_lego.data.batching import prepared
    from model_lego.parts.class_names import label_numbers

    check_out(out, overwrite=overwrite)
    if memory < 1:
        raise BadConfig(f"--memory {memory} holds no sums; give at least 1 (MiB)")
    others = [load_statistics(folder) for folder in add or ()]
    source = open_source(
        model, data=data, weights=weights, arguments=argument, source_classes=source_classes, mean=mean, std=std,
        size=size, batch_size=batch_size,
    )  # fmt: skip
    for other in others:
        if (other.source, other.sampling) != (digest_of(source.model), sampling):
            raise BadConfig("statistics to add have to be of this network, and sampled in the same way")
    asked = None if classes is None else label_numbers(named(chosen(classes), source.class_names), source.class_names)
    with team() as group:
        stats = collect(
            source.model, prepared(source.train, source.preprocessing), out, graph=source.graph, classes=asked,
            sampling=sampling, per_class=per_class, seed=seed, memory=memory << 20,  # type: ignore[arg-type]
            class_names=source.class_names, resume=resume, overwrite=overwrite, progress=Bar(), group=group,
        )  # fmt: skip
        if others and speaks():
            stats = reduce(merge, others, stats)
            save_statistics(stats, out, overwrite=True)
    samples = {source.class_names[label]: count for label, count in zip(stats.classes, stats.counts, strict=True)}
    if json:
        show_json({"folder": out, "layers": len(stats.layers), "samples": samples})
        return
    show(f"{len(stats.layers)} layers, {len(samples)} classes")
    show(", ".join(f"{name}: {count} images" for name, count in samples.items()))
    say(f"written to {out}")
