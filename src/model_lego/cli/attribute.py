"""model-lego attribute: the contributions of every layer, summed once, as a file."""

from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import check_out, chosen, named, open_source

SomeClasses = Annotated[str | None, typer.Option("--classes", "-c", help="classes to sum over; all by default")]
Add = Annotated[list[str] | None, typer.Option("--add", help="saved statistics of other images, added to these")]


def attribute_command(
    model: o.Model, data: o.Data, out: o.Out, classes: SomeClasses = None, weights: o.Weights = None,
    argument: o.Arguments = None, source_classes: o.SourceClasses = None, mean: o.Mean = None, std: o.Std = None,
    size: o.Size = None, sampling: o.SamplingOpt = "confident", per_class: o.PerClass = None, add: Add = None,
    seed: o.Seed = 0, batch_size: o.BatchSize = 128, overwrite: o.Overwrite = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Sum up what each channel adds to each other, class by class, for any number of components."""
    from model_lego import attribute, load_statistics, merge, save_statistics
    from model_lego.naming import label_numbers
    from model_lego.refitting import prepared

    check_out(out, overwrite=overwrite)
    others = [load_statistics(folder) for folder in add or ()]
    source = open_source(
        model, data=data, weights=weights, arguments=argument, source_classes=source_classes, mean=mean, std=std,
        size=size, batch_size=batch_size,
    )  # fmt: skip
    asked = None if classes is None else label_numbers(named(chosen(classes), source.class_names), source.class_names)
    stats = attribute(
        source.model, prepared(source.train, source.preprocessing), graph=source.graph, classes=asked,
        sampling=sampling, per_class=per_class, seed=seed,  # type: ignore[arg-type]
        class_names=source.class_names, progress=Bar(),
    )  # fmt: skip
    for other in others:
        stats = merge(stats, other)
    folder = save_statistics(stats, out, overwrite=overwrite)
    samples = {source.class_names[label]: count for label, count in zip(stats.classes, stats.counts, strict=True)}
    if json:
        show_json({"folder": str(folder), "layers": len(stats.layers), "samples": samples})
        return
    show(f"{len(stats.layers)} layers, {len(samples)} classes")
    show(", ".join(f"{name}: {count} images" for name, count in samples.items()))
    say(f"written to {folder}")
