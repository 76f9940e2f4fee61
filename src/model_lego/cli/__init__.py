"""The command line: each command parses, makes one library call, and prints."""

import functools
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import typer

from model_lego.cli.add import add_command, replace_command
from model_lego.cli.assemble import assemble_command
from model_lego.cli.attribute import attribute_command
from model_lego.cli.bench import bench_command
from model_lego.cli.compress import compress_command
from model_lego.cli.demo import demo_command
from model_lego.cli.disassemble import disassemble_command, plan_command
from model_lego.cli.distill import distill_command
from model_lego.cli.doctor import doctor_command
from model_lego.cli.evaluate import evaluate_command
from model_lego.cli.finetune import finetune_command
from model_lego.cli.groups import spread
from model_lego.cli.inspect import inspect_command, ops_command
from model_lego.cli.remove import remove_command
from model_lego.cli.render import quiet, say
from model_lego.cli.report import report_command
from model_lego.cli.routes import routes_command
from model_lego.cli.team import alone, speaks
from model_lego.cli.train import train_command
from model_lego.cli.unite import unite_command
from model_lego.cli.wording import in_options, options_of
from model_lego.errors import BadConfig, LegoError

GOES_ON = "--resume goes on after the last epoch that was finished"


def _command(command: Callable[..., None], *, left: str = "nothing was written", shared: bool = False) -> None:
    """Register a command: what is `left` of it when it is interrupted, whether processes can share its work."""
    name = command.__name__.removesuffix("_command")
    flat = spread(command)

    @functools.wraps(flat)
    def run(**options: Any) -> None:
        if not shared and not alone():
            raise BadConfig(f"{name} runs in one process; start it without torchrun")
        try:
            flat(**options)
        except KeyboardInterrupt:
            say(f"interrupted; {left}")
            raise typer.Exit(130) from None

    app.command(name)(run)


app = typer.Typer(
    name="model-lego",
    help="Take trained image classifiers apart and build new ones from the pieces, without training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_command(demo_command, left="parts that were saved until then are in their folder")
_command(train_command, left=GOES_ON)
_command(attribute_command, left="--resume goes on from where it was a minute ago at the most", shared=True)
_command(plan_command, shared=True)
_command(disassemble_command, shared=True)
_command(compress_command, shared=True)
_command(assemble_command)
_command(unite_command)
_command(remove_command)
_command(add_command)
_command(replace_command)
_command(finetune_command, left=GOES_ON)
_command(distill_command, left=GOES_ON)
_command(evaluate_command, shared=True)
_command(routes_command)
_command(bench_command, left="rows that were measured until then are in their files")
_command(report_command)
_command(inspect_command)
_command(doctor_command)
_command(ops_command)


@app.callback()
def _common() -> None:
    """Take trained image classifiers apart and build new ones from the pieces, without training."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: exit code 0 ok, 1 for an error that is said in one line, 2 for wrong usage.

    `--debug` anywhere shows the traceback.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    quiet(not speaks())
    warnings.showwarning = _note  # type: ignore[assignment]
    try:
        app([argument for argument in given if argument != "--debug"])
    except (LegoError, OSError) as error:
        if debug:
            traceback.print_exc()
        say(f"error: {_here(' '.join(str(error).split()))}")
        sys.exit(1)


def _here(message: str) -> str:
    """A message of the library as a user of the command line understands it."""
    return in_options(message, options_of(each.callback for each in app.registered_commands if each.callback))


def _note(message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any) -> None:
    """Warnings of our own as one line; those of libraries are no business of a command's user."""
    if issubclass(category, UserWarning) and "model_lego" in filename:
        say(f"note: {_here(str(message))}")
