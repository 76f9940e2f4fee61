"""model-lego routes: through which channels a network decides, as a table, as pictures, and as a page to look into."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from torch import Tensor

from model_lego.attribution import Thresholds
from model_lego.cli import options as o
from model_lego.cli.images import as_taken, image_names, read_files
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import Source, chosen, named, open_source
from model_lego.errors import BadConfig
from model_lego.parts.class_names import split_list
from model_lego.routes import ContributionMaps, DecisionRoutes

SomeClasses = Annotated[
    str | None, typer.Option("--classes", "-c", help="classes whose routes are found; all, where no --image is given")
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        help="image whose own route is found: number of a test image where it is digits only, else a PNG or JPEG file "
        "(./7 is a file called 7); several times",
    ),
]
Draw = Annotated[str | None, typer.Option("--draw", help="draw the routes into a .png or .svg file")]
Html = Annotated[str | None, typer.Option("--html", help="write a page to look into the routes, one .html file")]
Overlap = Annotated[
    str | None, typer.Option("--overlap", help="draw how alike the routes are into a .png or .svg file")
]
Maps = Annotated[
    str | None, typer.Option("--maps", help="draw contributions, class and sample x channel, into a .png or .svg file")
]
Samples = Annotated[int, typer.Option("--samples", help="single training images a class in the maps")]
Layers = Annotated[
    str | None, typer.Option("--layers", help="layers of the maps, and first and last of the drawn routes")
]


def routes_command(
    model: o.Model, data: o.Data, classes: SomeClasses = None, image: Images = None, weights: o.Weights = None,
    argument: o.Arguments = None, source_classes: o.SourceClasses = None, mean: o.Mean = None, std: o.Std = None,
    size: o.Size = None, draw: Draw = None, html: Html = None, overlap: Overlap = None, maps: Maps = None,
    samples: Samples = 4, layers: Layers = None, alpha: o.Alpha = 0.3, beta: o.Beta = 0.2,
    linear_alpha: o.LinearAlpha = 0.4, linear_beta: o.LinearBeta = 0.3, sampling: o.SamplingOpt = "confident",
    per_class: o.PerClass = None, stats: o.Stats = None, seed: o.Seed = 0, batch_size: o.BatchSize = 128,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Show through which channels a network decides for classes and images, and what they share."""
    _check(draw, html, overlap, maps, samples)
    thresholds = Thresholds(alpha, beta, linear_alpha, linear_beta)
    pictures = read_files(image or [])
    source = open_source(
        model, data=data, weights=weights, arguments=argument, source_classes=source_classes, mean=mean, std=std,
        size=size, batch_size=batch_size,
    )  # fmt: skip
    names = source.class_names
    wanted = named(chosen(classes), names) if classes else ([] if image else list(names))
    images = as_taken(source, image or [], pictures)
    called = image_names(image or [])
    _check_number(len(wanted) + len(image or []), draw, html, overlap)
    found, mapped = _found(
        source, wanted, (images, called), stats, samples if maps else None, thresholds=thresholds, seed=seed,
        sampling=sampling, per_class=per_class,
    )  # fmt: skip
    chosen_layers = _layers(found, layers)
    _write(found, mapped, draw, html, overlap, maps, chosen_layers)
    if json:
        show_json(found.to_dict() | ({"maps": mapped.to_dict()} if mapped else {}))
        return
    show(str(found))
    if mapped:
        show(f"\n{mapped}")


def _check(draw: str | None, html: str | None, overlap: str | None, maps: str | None, samples: int) -> None:
    """Refuse what cannot be written before any work is done."""
    from model_lego.drawing import check_picture
    from model_lego.report import check_page

    for picture in (draw, overlap, maps):
        if picture is not None:
            check_picture(picture)
    if html is not None:
        check_page(html)
    if samples < 1:
        raise BadConfig(f"--samples {samples} gives no map; give at least 1")


def _check_number(subjects: int, draw: str | None, html: str | None, overlap: str | None) -> None:
    """Refuse more classes and images than can be shown, or fewer than can be compared."""
    from model_lego.drawing.canvas import MOST_STYLES
    from model_lego.report.routes import MOST_SUBJECTS

    if overlap and subjects < 2:
        raise BadConfig("--overlap compares classes or images; name two or more")
    if (draw and subjects > MOST_STYLES) or (html and subjects > MOST_SUBJECTS):
        raise BadConfig(
            f"{subjects} classes and images are too many for a picture ({MOST_STYLES}) or a page ({MOST_SUBJECTS}); "
            "name fewer with --classes"
        )


def _layers(found: DecisionRoutes, layers: str | None) -> list[str]:
    """The layers that are named, none if there are no names; raises BadConfig."""
    names = split_list(layers) if layers else []
    known = [layer.name for layer in found.layers]
    if unknown := [name for name in names if name not in known]:
        raise BadConfig(f"--layers '{unknown[0]}' is no layer that has routes; there are {', '.join(known)}")
    return names


def _found(
    source: Source, wanted: Sequence[str | int], images: tuple[Tensor | None, Sequence[str]], folder: str | None,
    samples: int | None, *, thresholds: Thresholds, seed: int, **sampled: Any,
) -> tuple[DecisionRoutes, ContributionMaps | None]:  # fmt: skip
    """The routes, and the maps if samples are wanted; both from the same statistics."""
    from model_lego import attribute, contribution_maps, decision_routes, load_statistics
    from model_lego.data.batching import prepared
    from model_lego.parts.class_names import label_numbers

    common: dict[str, Any] = {"graph": source.graph, "class_names": source.class_names}
    feed = prepared(source.train, source.preprocessing)
    stats = None
    if wanted:
        labels = label_numbers(wanted, source.class_names)
        stats = (
            attribute(source.model, feed, classes=labels, seed=seed, progress=Bar(), **common, **sampled)
            if folder is None
            else load_statistics(folder)
        )
    found = decision_routes(
        source.model, stats, wanted, images=images[0], image_names=images[1], thresholds=thresholds, **common
    )
    if samples is None:
        return found, None
    if stats is None:
        raise BadConfig("--maps compares classes; name them with --classes")
    mapped = contribution_maps(
        source.model, feed, wanted, stats=stats, samples=samples, thresholds=thresholds, seed=seed, progress=Bar(),
        **common,
    )  # fmt: skip
    return found, mapped


def _write(
    found: DecisionRoutes, mapped: ContributionMaps | None, draw: str | None, html: str | None, overlap: str | None,
    maps: str | None, layers: Sequence[str],
) -> None:  # fmt: skip
    from model_lego.drawing import draw_maps, draw_overlap, draw_routes
    from model_lego.report import write_routes

    if draw is not None:
        draw_routes(found, draw, layers=layers)
    if overlap is not None:
        draw_overlap(found, overlap)
    if maps is not None and mapped is not None:
        draw_maps(mapped, maps, layers=layers)
    if html is not None:
        write_routes(found, html)
    for file in (draw, overlap, maps, html):
        if file is not None:
            say(f"written to {file}")
