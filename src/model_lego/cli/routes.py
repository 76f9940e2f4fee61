"""model-lego routes: through which channels a network decides, as a table, as pictures, and as a page to look into."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from torch import Tensor

from model_lego.attribution import ContributionStats, Thresholds
from model_lego.cli import options as o
from model_lego.cli.images import answers, as_taken, check_files, image_names
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import Source, open_source
from model_lego.data.batching import prepared
from model_lego.errors import BadConfig
from model_lego.routes import ContributionMaps, DecisionRoutes

SomeClasses = Annotated[
    list[str] | None,
    typer.Option("--classes", "-c", help="classes whose routes are found; all, where no --image is given"),
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
Photos = Annotated[
    int,
    typer.Option(
        "--photos",
        help="test images out of which the page shows, for each channel, those that it answers to most; 0 for none",
    ),
]
Layers = Annotated[
    str | None, typer.Option("--layers", help="layers of the maps, and first and last of the drawn routes")
]


@dataclass(frozen=True, slots=True)
class RouteFiles:
    """Files that routes are drawn and written into."""

    draw: Draw = None
    html: Html = None
    overlap: Overlap = None
    maps: Maps = None


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """Classes and images whose routes are found."""

    classes: Sequence[str | int]
    images: Tensor | None
    image_names: Sequence[str]


def routes_command(
    *,
    model: o.Model,
    data: o.DataOptions,
    classes: SomeClasses = None,
    image: Images = None,
    opening: o.SourceOptions,
    files: RouteFiles,
    samples: Samples = 4,
    photos: Photos = 500,
    layers: Layers = None,
    thresholds: o.ThresholdOptions,
    statistics: o.StatisticsOptions,
    seed: o.Seed = 0,
    batch_size: o.BatchSize = 128,
    json: o.Json = False,
) -> None:
    """Show through which channels a network decides for classes and images, and what they share."""
    _check(files, samples)
    if photos < 0:
        raise BadConfig(f"--photos {photos} is no number of images; give 0 for none")
    limits = thresholds.thresholds() or Thresholds()
    check_files(image or [])
    source = open_source(model, data, opening, batch_size)
    wanted = [] if image and not classes else source.asked(classes)
    shown = _Shown(wanted, as_taken(source, image or []), image_names(image or []))
    _check_number(len(wanted) + len(image or []), files)
    answered = [] if shown.images is None else answers(source, image or [], shown.images)
    stats = _statistics(source, wanted, statistics, seed)
    routes = _routes(source, shown, stats, limits)
    if files.html:
        routes = _illustrated(source, routes, photos, seed)
    mapped = _maps(source, wanted, stats, limits, samples, seed) if files.maps else None
    _write(routes, mapped, files, _layers(routes, layers))
    if json:
        told = {"answers": [asdict(answer) for answer in answered]} if answered else {}
        show_json(routes.to_dict() | told | ({"maps": mapped.to_dict()} if mapped else {}))
        return
    for answer in answered:
        show(str(answer))
    show(str(routes))
    if mapped:
        show(f"\n{mapped}")


def _check(files: RouteFiles, samples: int) -> None:
    """Refuse what cannot be written before any work is done."""
    from model_lego.drawing import check_picture
    from model_lego.report import check_page
    from model_lego.store.outputs import check_apart

    for picture in (files.draw, files.overlap, files.maps):
        if picture is not None:
            check_picture(picture)
    if files.html is not None:
        check_page(files.html)
    check_apart(files.draw, files.html, files.overlap, files.maps)
    if samples < 1:
        raise BadConfig(f"--samples {samples} gives no map; give at least 1")


def _check_number(subjects: int, files: RouteFiles) -> None:
    """Refuse more classes and images than can be shown, or fewer than can be compared."""
    from model_lego.drawing.canvas import MOST_STYLES
    from model_lego.report.routes import MOST_SUBJECTS

    if files.overlap and subjects < 2:
        raise BadConfig("--overlap compares classes or images; name two or more")
    if (files.draw and subjects > MOST_STYLES) or (files.html and subjects > MOST_SUBJECTS):
        raise BadConfig(
            f"{subjects} classes and images are too many for a picture ({MOST_STYLES}) or a page ({MOST_SUBJECTS}); "
            "name fewer with --classes"
        )


def _layers(routes: DecisionRoutes, layers: str | None) -> list[str]:
    """The layers that are named, none if there are no names; raises BadConfig."""
    names = [name.strip() for name in (layers or "").split(",") if name.strip()]
    known = [layer.name for layer in routes.layers]
    if unknown := [name for name in names if name not in known]:
        raise BadConfig(f"--layers '{unknown[0]}' is no layer that has routes; there are {', '.join(known)}")
    return names


def _statistics(
    source: Source, wanted: Sequence[str | int], options: o.StatisticsOptions, seed: int
) -> ContributionStats | None:
    """The statistics of the classes that are wanted, summed up or loaded; None for no class."""
    from model_lego import attribute, load_statistics
    from model_lego.parts.class_names import label_numbers

    if not wanted:
        return None
    labels = label_numbers(wanted, source.class_names)
    if options.stats is not None:
        return load_statistics(options.stats)
    return attribute(
        source.model,
        prepared(source.train, source.preprocessing),
        graph=source.graph,
        classes=labels,
        progress=Bar(),
        sampling=options.sampling,  # type: ignore[arg-type]
        per_class=options.per_class,
        seed=seed,
        class_names=source.class_names,
    )


def _routes(source: Source, shown: _Shown, stats: ContributionStats | None, thresholds: Thresholds) -> DecisionRoutes:
    from model_lego import decision_routes

    return decision_routes(
        source.model,
        stats,
        shown.classes,
        graph=source.graph,
        images=shown.images,
        image_names=shown.image_names,
        class_names=source.class_names,
        thresholds=thresholds,
    )


def _illustrated(source: Source, routes: DecisionRoutes, photos: int, seed: int) -> DecisionRoutes:
    """The routes with the test images that their channels answer to most, where these are pictures."""
    from model_lego import top_images
    from model_lego.data.thumbnails import can_be_shown

    if not photos or not can_be_shown(source.graph.program.image_shape):
        return routes
    if not len(source.test):
        say("note: the data has no test images, of which the page would show those that channels answer to most")
        return routes
    found = top_images(
        source.model,
        source.test,
        graph=source.graph,
        class_names=source.class_names,
        preprocessing=source.preprocessing,
        progress=Bar(),
        images=photos,
        seed=seed,
    )
    return routes.with_top_images(found)


def _maps(
    source: Source,
    wanted: Sequence[str | int],
    stats: ContributionStats | None,
    thresholds: Thresholds,
    samples: int,
    seed: int,
) -> ContributionMaps:
    """The maps, from the same statistics as the routes."""
    from model_lego import contribution_maps

    if stats is None:
        raise BadConfig("--maps compares classes; name them with --classes")
    return contribution_maps(
        source.model,
        prepared(source.train, source.preprocessing),
        wanted,
        graph=source.graph,
        stats=stats,
        class_names=source.class_names,
        thresholds=thresholds,
        progress=Bar(),
        samples=samples,
        seed=seed,
    )


def _write(routes: DecisionRoutes, mapped: ContributionMaps | None, files: RouteFiles, layers: Sequence[str]) -> None:
    from model_lego.drawing import draw_maps, draw_overlap, draw_routes
    from model_lego.report import write_routes

    if files.draw is not None:
        draw_routes(routes, files.draw, layers=layers)
    if files.overlap is not None:
        draw_overlap(routes, files.overlap)
    if files.maps is not None and mapped is not None:
        draw_maps(mapped, files.maps, layers=layers)
    if files.html is not None:
        write_routes(routes, files.html)
    for file in (files.draw, files.overlap, files.maps, files.html):
        if file is not None:
            say(f"written to {file}")
