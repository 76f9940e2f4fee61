"""model-lego inspect, diff and ops: look at what is there."""

import json as plain_json
from dataclasses import asdict
from typing import Annotated

import typer

from model_lego.cli.plain_options import Json
from model_lego.cli.render import show, show_json, show_table


def inspect_command(
    folder: Annotated[str, typer.Argument(help="a saved component or assembly")],
    drawn: Annotated[bool, typer.Option("--tree", help="draw what it is made of: sources, licences, data")] = False,
    check: Annotated[bool, typer.Option("--check", help="read the weights, and compare their digests")] = False,
    json: Json = False,
) -> None:
    """Show where a saved component or assembly comes from, without reading its weights."""
    from model_lego.cli.summary import summary
    from model_lego.cli.tree import tree
    from model_lego.store.files import RECIPE, is_recipe
    from model_lego.store.inspecting import inspect
    from model_lego.store.located import located
    from model_lego.store.manifest_text import to_json

    place = located(folder, weights=check)
    manifest = inspect(place, check_weights=check)
    if json:
        show_json(plain_json.loads(to_json(manifest)))
    else:
        recipe = place / RECIPE
        known = recipe if is_recipe(recipe) else None
        show(tree(manifest, known) if drawn else summary(manifest, checked=check))


def diff_command(
    one: Annotated[str, typer.Argument(help="a saved component or assembly")],
    other: Annotated[str, typer.Argument(help="another one")],
    json: Json = False,
) -> None:
    """Show what differs between two saved parts: classes, widths, settings, costs."""
    from model_lego.store.comparing import differences
    from model_lego.store.inspecting import inspect

    found = differences(inspect(one), inspect(other))
    if json:
        show_json([asdict(each) for each in found])
    elif found:
        rows = [(each.place, each.one, each.other) for each in found]
        show_table(f"Differences: {len(rows)}", ("", one, other), rows)
    else:
        show("nothing differs")


def ops_command(json: Json = False) -> None:
    """Show the table of operator rules: how each operator carries channels."""
    from model_lego.graph import RULES

    rows = [(str(operator).removeprefix("aten."), rule.route.value, rule.reason) for operator, rule in RULES.items()]
    if json:
        show_json([dict(zip(("operator", "route", "reason"), row, strict=True)) for row in rows])
        return
    show_table(f"{len(rows)} operators", ("operator", "channels", "reason"), sorted(rows))
