"""model-lego unite: components of one source as one component."""

from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.networks import parse_arguments
from model_lego.cli.recipe.recording import save_made
from model_lego.cli.render import Bar, say, share, show, show_json
from model_lego.cli.sources import open_component, open_source
from model_lego.errors import BadConfig
from model_lego.parts.component import Component
from model_lego.store.named import named_factory
from model_lego.store.outputs import bytes_of, check_room
from model_lego.store.rebuild import Factory
from model_lego.store.replacing import check_out


def unite_command(
    *,
    parts: Annotated[list[str], typer.Argument(help="folders of saved components of one source")],
    out: o.Out,
    source: Annotated[str | None, typer.Option(help="their uncut network: cut and repair anew")] = None,
    calibrating: o.CalibrationOptions,
    network: o.NetworkOptions,
    repairing: o.RepairOptions,
    taking: o.PreprocessingOptions,
    run: o.RunOptions,
) -> None:
    """Put components of one source together as one component, in which what they share is there once."""
    from model_lego import unite

    data = calibrating.images
    if (source is None) != (data is None):
        raise BadConfig("--source and --data go together: the images serve the repair towards the source")
    check_out(out, overwrite=run.overwrite)
    components = [open_component(part, network, source=source) for part in parts]
    check_room(out, bytes_of(*components))
    if source is None or data is None:
        united = unite(components, factory=_factory(components[0], network), seed=run.seed)
    else:
        like = components[0].preprocessing
        opened = open_source(source, data, o.SourceOptions.of(network, taking), run.batch_size, like=like)
        united = unite(
            components,
            opened.model,
            calibration=opened.train,
            graph=opened.graph,
            seed=run.seed,
            progress=Bar(),
            repair=repairing.settings(run.seed),
        )
    folder = save_made(united, out, calibrating.data, overwrite=run.overwrite)
    before, after = united.origin.cost_before, united.origin.cost_after
    union = united.origin.settings["union"]
    apart, shared, crossing = sum(union["parts"]), union["shared"], union["crossing"]
    if run.json:
        numbers = {"parameters": after.parameters, "apart": apart, "shared": shared, "crossing": crossing}
        show_json({"folder": str(folder), "classes": united.classes} | numbers)
        return
    show(str(united))
    show(f"parameters {share(after.parameters, before.parameters)}, multiply-adds {share(after.macs, before.macs)}")
    show(
        f"the parts had {apart:,} parameters; {shared:,} of them are shared, and there once; {crossing:,} are new, "
        "between channels that no part has together"
        + ("; they are zero: with --source and --data they are refitted" if source is None and crossing else "")
    )
    if source is None:
        show("weights that several parts have are averaged; with --source and --data they are cut and repaired anew")
    say(f"written to {folder}")


def _factory(part: Component, options: o.LoadingOptions) -> Factory | None:
    """What builds the uncut network of a part that was cut from code of the user's own."""
    if not options.uncut:
        return None
    return named_factory("the part", part.origin.builder, options.uncut, parse_arguments(options.argument))
