"""model-lego report: one page about a saved component or assembly."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from model_lego.cli import options as o
from model_lego.cli.evaluate import SourceOpt, images_of
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import names_in, open_part, part_data
from model_lego.data import batches

SomeData = Annotated[
    str | None,
    typer.Option("--data", "-d", help="measure on these test images, and show routes of these training images"),
]
Page = Annotated[str, typer.Option("--html", help="the page to write, one .html file")]


@dataclass(frozen=True, slots=True)
class _Measured(o.CalibrationOptions):
    data: SomeData = None


def report_command(
    *,
    folder: Annotated[str, typer.Argument(help="a saved component or assembly")],
    html: Page,
    measuring: _Measured,
    source: SourceOpt = None,
    opening: o.SourceOptions,
    batch_size: o.BatchSize = 128,
    json: o.Json = False,
) -> None:
    """Write a page about a saved component or assembly: what it is, how good, its routes, its cost and origin."""
    from model_lego import evaluate
    from model_lego.errors import BadConfig
    from model_lego.report import check_page, confusion, illustrated, part_routes, write_report
    from model_lego.store.inspecting import inspect

    data = measuring.images
    check_page(html)
    if source is not None and data is None:
        raise BadConfig("--source is for baselines, which are measured on images; give --data as well")
    part, manifest = open_part(folder, opening, source=source), inspect(folder)
    given: dict[str, Any] = {}
    if data is not None:
        test, names, contenders = images_of(part, data, source, opening, batch_size)
        own = names_in(part, data, opening.class_map)
        train = batches(part_data([part], data, own, opening.class_map).train, batch_size=batch_size)
        given["measured"] = evaluate(part, test, class_names=names, baselines=contenders, progress=Bar())
        given["confused"] = confusion(part, test, class_names=names, progress=Bar())
        routes = part_routes(part, train, class_names=own, progress=Bar())
        given["routes"] = illustrated(part, routes, test, class_names=names, progress=Bar())
    file = {"file": f"{manifest.weights.file}, {manifest.weights.bytes:,} bytes", "sha256": manifest.weights.sha256}
    versions = {"written with": ", ".join(f"{name} {number}" for name, number in sorted(manifest.versions.items()))}
    write_report(part, html, provenance=file | versions, **given)
    if json:
        show_json({"page": html, "measured": given["measured"].to_dict() if given else None})
    else:
        show(str(given.get("measured", part)))
    say(f"written to {html}")
