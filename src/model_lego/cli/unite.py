"""model-lego unite: components of one source as one component."""

from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, share, show, show_json
from model_lego.cli.sources import check_out, open_component, open_source
from model_lego.errors import BadConfig


def unite_command(
    parts: Annotated[list[str], typer.Argument(help="folders of saved components of one source")],
    out: o.Out,
    source: Annotated[str | None, typer.Option(help="their uncut network: cut and repair anew")] = None,
    data: Annotated[str | None, typer.Option("--data", "-d", help="where calibration images come from")] = None,
    weights: o.Weights = None, argument: o.Arguments = None, source_classes: o.SourceClasses = None,
    repair: Annotated[str, typer.Option(help="ridge, mean, bn or none")] = "ridge",
    mean: o.Mean = None, std: o.Std = None, size: o.Size = None, seed: o.Seed = 0, batch_size: o.BatchSize = 128,
    overwrite: o.Overwrite = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Put components of one source together as one component, in which what they share is there once."""
    from model_lego import RepairSettings, save, unite

    if (source is None) != (data is None):
        raise BadConfig("--source and --data go together: the images serve the repair towards the source")
    check_out(out, overwrite=overwrite)
    components = [open_component(part) for part in parts]
    if source is None or data is None:
        united = unite(components, seed=seed)
    else:
        opened = open_source(
            source, data=data, weights=weights, arguments=argument, source_classes=source_classes, mean=mean, std=std,
            size=size, batch_size=batch_size,
        )  # fmt: skip
        united = unite(
            components, opened.model, calibration=opened.train, graph=opened.graph, seed=seed, progress=Bar(),
            repair=RepairSettings(method=repair, seed=seed),  # type: ignore[arg-type]
        )  # fmt: skip
    folder = save(united, out, overwrite=overwrite)
    before, after = united.origin.cost_before, united.origin.cost_after
    apart = sum(part.origin.cost_after.parameters for part in components)
    if json:
        show_json({"folder": str(folder), "classes": united.classes, "parameters": after.parameters, "apart": apart})
        return
    show(str(united))
    show(
        f"parameters {share(after.parameters, before.parameters)}, multiply-adds {share(after.macs, before.macs)}; "
        f"the parts had {apart:,} parameters"
    )
    if source is None:
        show("weights that several parts have are averaged; with --source and --data they are cut and repaired anew")
    say(f"written to {folder}")
