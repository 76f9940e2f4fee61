"""model-lego report: one page about a saved component or assembly."""

from typing import Annotated, Any

import typer

from model_lego.cli import options as o
from model_lego.cli.evaluate import SourceOpt, images_of
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import data_for, open_part
from model_lego.component import Component
from model_lego.routes import DecisionRoutes

SomeData = Annotated[
    str | None,
    typer.Option("--data", "-d", help="measure on these test images, and show routes of these training images"),
]
Page = Annotated[str, typer.Option("--html", help="the page to write, one .html file")]


def report_command(
    folder: Annotated[str, typer.Argument(help="a saved component or assembly")],
    html: Page, data: SomeData = None, source: SourceOpt = None, weights: o.Weights = None,
    argument: o.Arguments = None, source_classes: o.SourceClasses = None, mean: o.Mean = None, std: o.Std = None,
    size: o.Size = None, batch_size: o.BatchSize = 128, json: o.Json = False,
) -> None:  # fmt: skip
    """Write a page about a saved component or assembly: what it is, how good, its routes, its cost and origin."""
    from model_lego import evaluate
    from model_lego.errors import BadConfig
    from model_lego.report import check_page, confusion, write_report
    from model_lego.store import inspect

    check_page(html)
    if source is not None and data is None:
        raise BadConfig("--source is for baselines, which are measured on images; give --data as well")
    part, manifest = open_part(folder), inspect(folder)
    given: dict[str, Any] = {}
    if data is not None:
        test, names, contenders = images_of(
            part, data, source, weights=weights, arguments=argument, source_classes=source_classes, mean=mean, std=std,
            size=size, batch_size=batch_size,
        )  # fmt: skip
        given["measured"] = evaluate(part, test, class_names=names, baselines=contenders, progress=Bar())
        given["confused"] = confusion(part, test, class_names=names, progress=Bar())
        given["routes"] = _routes(part, data, batch_size)
    file = {"file": f"{manifest.weights.file}, {manifest.weights.bytes:,} bytes", "sha256": manifest.weights.sha256}
    versions = {"written with": ", ".join(f"{name} {number}" for name, number in sorted(manifest.versions.items()))}
    write_report(part, html, provenance=file | versions, **given)
    if json:
        show_json({"page": html, "measured": given["measured"].to_dict() if given else None})
    else:
        show(str(given.get("measured", part)))
    say(f"written to {html}")


def _routes(part: Any, data: str, batch_size: int) -> DecisionRoutes | None:
    """The routes of a component; an assembly and a single class have none."""
    from model_lego import attribute, decision_routes, trace
    from model_lego.batches import checked
    from model_lego.refitting import prepared
    from model_lego.report.routes import MOST_SUBJECTS

    if not isinstance(part, Component) or len(part.classes) < 2:
        return None
    feed = prepared(data_for(data, part.classes, batch_size, train=True), part.preprocessing)
    graph = trace(part.module, next(checked(feed))[0][:2])
    classes = range(min(len(part.classes), MOST_SUBJECTS))
    stats = attribute(part.module, feed, graph=graph, classes=classes, class_names=part.classes, progress=Bar())
    return decision_routes(part.module, stats, classes, graph=graph, class_names=part.classes)
