"""model-lego push: put a saved part on the Hub."""

from typing import Annotated

import typer

from model_lego.cli.plain_options import Json
from model_lego.cli.render import say, show, show_json
from model_lego.names.hub_names import hub_name


def push_command(
    part: Annotated[str, typer.Argument(help="a saved component or assembly")],
    to: Annotated[str, typer.Argument(metavar="hub:USER/NAME", help="a repository, which is made if it is not there")],
    revision: Annotated[str | None, typer.Option("--revision", help="a branch; main by default")] = None,
    private: Annotated[bool, typer.Option("--private", help="make a repository that others do not see")] = False,
    message: Annotated[str | None, typer.Option("--message", "-m", help="what the commit is called")] = None,
    json: Json = False,
) -> None:
    """Put a saved part on the Hub: weights, manifest, card and recipe, in one commit."""
    from model_lego.store.sharing import push_to_hub

    pushed = push_to_hub(part, to, revision=revision, private=private, message=message)
    if json:
        name = hub_name(pushed)
        show_json({"reference": pushed, "repository": name.repository, "commit": name.revision})
    else:
        show(pushed)
        say(f"any command takes it by this name, as long as it is there: model-lego inspect {pushed}")
