"""All commands by name. Only the one that is run is imported: torch, which most of them need, takes seconds."""

import functools
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from model_lego.cli.groups import spread
from model_lego.cli.pinning import with_commits
from model_lego.cli.recipe.asking import asking
from model_lego.cli.render import quiet, say, show
from model_lego.cli.team import alone, speaks
from model_lego.cli.wording import in_options, options_of
from model_lego.errors import BadConfig, LegoError
from model_lego.parts.verdict import DoubtfulResult
from model_lego.version import __version__


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a command that is interrupted, if there is something at a place that its options name."""

    words: str
    place: str

    def of(self, options: Mapping[str, Any]) -> str:
        """What is left, in words."""
        paths = {name: Path(value) for name, value in options.items() if isinstance(value, str)}
        return self.words if Path(self.place.format_map(paths)).exists() else NOTHING


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it does in a line, its module, what is left of it, whether processes can share its work."""

    name: str
    help: str
    module: str
    left: Left | None = None
    shared: bool = False


#: Commands of two words, by the first: what they are about.
FAMILIES = {"parts": "Keep saved parts in a bin, and find them: any command takes bin:NAME@DIGEST as a part."}

NOTHING = "nothing was written"
UNFINISHED = "{out}.unfinished"
LAST_EPOCH, LAST_MINUTE = (
    f"--resume goes on {where}"
    for where in ("after the last epoch that was finished", "from where it was a minute ago at the most")
)

COMMANDS = (
    Command(
        "demo",
        "Train two classifiers on real digits (0-4, 5-9); take {1, 3} and {7, 8, 9} out; join them.",
        "demo",
        left=Left("parts that were saved until then are in their folder", "{out}"),
    ),
    Command(
        "train",
        "Train a classifier; the weights are then taken apart with `disassemble`.",
        "train",
        left=Left(LAST_EPOCH, "{out}/checkpoint.pt"),
    ),
    Command(
        "attribute",
        "Sum up what each channel adds to each other, class by class, for any number of components.",
        "attribute",
        left=Left(LAST_MINUTE, UNFINISHED),
        shared=True,
    ),
    Command(
        "plan", "Show which channels a component would keep, without cutting anything.", "disassemble", shared=True
    ),
    Command("disassemble", "Take the component for some classes out of a trained network.", "disassemble", shared=True),
    Command(
        "compress",
        "Make a trained network smaller, within a budget, and keep all of its classes.",
        "compress",
        shared=True,
    ),
    Command("assemble", "Build one classifier from components, without training.", "assemble"),
    Command(
        "unite",
        "Put components of one source together as one component, in which what they share is there once.",
        "unite",
    ),
    Command("remove", "Take classes out of a component, an assembly or a network; the others stay.", "remove"),
    Command("add", "Join a component to a saved component or assembly, without training.", "add"),
    Command("replace", "Put another component in the place of a part of a saved assembly, without training.", "add"),
    Command(
        "finetune",
        "Train a saved component or assembly a little further, all of it together.",
        "finetune",
        left=Left(LAST_EPOCH, UNFINISHED),
    ),
    Command(
        "distill",
        "Train a smaller network towards what a component, an assembly or an uncut network gives.",
        "distill",
        left=Left(LAST_EPOCH, UNFINISHED),
    ),
    Command(
        "evaluate",
        "Measure a saved component or assembly on the test images of its classes.",
        "evaluate",
        shared=True,
    ),
    Command("predict", "Say what photos are, with a saved component or assembly; sort them into folders.", "predict"),
    Command(
        "export",
        "Write a part as a file of another runtime (ONNX, torch.export), and compare what it gives there.",
        "export",
    ),
    Command(
        "latency-table",
        "Time the layers of a network by width on this machine, and write the table to a file.",
        "latency_table",
    ),
    Command("latency", "Time saved parts and their uncut sources in runtimes on this machine.", "latency"),
    Command(
        "routes",
        "Show through which channels a network decides for classes and images, and what they share.",
        "routes",
    ),
    Command(
        "bench",
        "Measure the paper's tables; what has a result already is not measured again.",
        "bench",
        left=Left("rows that were measured until then are in their files", "{results}"),
    ),
    Command(
        "report",
        "Write a page about a saved component or assembly: what it is, how good, its routes, its cost and origin.",
        "report",
    ),
    Command("inspect", "Show where a saved component or assembly comes from, without reading its weights.", "inspect"),
    Command(
        "doctor",
        "Say whether a network can be taken apart, what is kept whole and why, and how much can be cut.",
        "doctor",
    ),
    Command("diff", "Show what differs between two saved parts: classes, widths, settings, costs.", "inspect"),
    Command("parts add", "Copy a saved part into the bin, and check the copy's weights.", "parts"),
    Command("parts list", "List all parts of the bin.", "parts"),
    Command("parts search", "List the parts of the bin that tell some classes, are small enough, and so on.", "parts"),
    Command("parts show", "Show what is known of a part in the bin without its weights.", "parts"),
    Command("parts verify", "Hash the weights of parts in the bin, and say which are broken.", "parts"),
    Command("parts remove", "Take parts out of the bin for good.", "parts"),
    Command("parts gc", "Remove what killed processes left in the bin.", "parts"),
    Command("push", "Put a saved part on the Hub: weights, manifest, card and recipe, in one commit.", "push"),
    Command("make", "Make a part by a recipe, commands in a file, of which those run that have something new.", "make"),
    Command("recipe", "Print the recipe of a part that a command made, or the JSON schema of recipes.", "make"),
    Command("ops", "Show the table of operator rules: how each operator carries channels.", "inspect"),
)


def run(arguments: list[str]) -> None:
    """Run a command line, and leave with its exit code."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # to look for some takes as long as to read a manifest
    debug = "--debug" in arguments
    given = [argument for argument in arguments if argument != "--debug"]
    quiet(not speaks())
    words = [word for word in given if not word.startswith("-")]
    named = " ".join(words[: 2 if words[:1] and words[0] in FAMILIES else 1])
    warnings.showwarning = functools.partial(_note, named)
    try:
        app(named)(given)
    except (LegoError, OSError) as error:
        if debug:
            traceback.print_exc()
        say(f"error: {_here(named, ' '.join(str(error).split()))}")
        sys.exit(1)


def _here(name: str, message: str) -> str:
    """A message of the library as a user of a command understands it."""
    return in_options(message, options_of(loaded(command) for command in COMMANDS if command.name == name))


def app(*names: str) -> typer.Typer:
    """The command line. Commands that are named have their options, the others a name and a line of help."""
    made = typer.Typer(
        name="model-lego",
        help="Take trained image classifiers apart and build new ones from the pieces, without training.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    made.callback()(_common)
    families = {name: typer.Typer(no_args_is_help=True, help=words) for name, words in FAMILIES.items()}
    for command in COMMANDS:
        family, _, own = command.name.rpartition(" ")
        home = families[family] if family else made
        home.command(own, help=command.help)(loaded(command) if command.name in names else _listed)
    for name, family_app in families.items():
        made.add_typer(family_app, name=name)
    return made


def _listed() -> None:
    """Stand in the list for a command that is not run."""


def loaded(command: Command) -> Callable[..., None]:
    """The function of a command, with an option for each field of its groups."""
    name = re.sub("[ -]", "_", command.name)
    function = getattr(import_module(f"model_lego.cli.{command.module}"), f"{name}_command")
    flat = spread(function)

    @functools.wraps(flat)
    def run(**options: Any) -> None:
        if not command.shared and not alone():
            raise BadConfig(f"{command.name} runs in one process; start it without torchrun")
        try:
            given = with_commits(options)
            with asking(command.name, given):
                flat(**given)
        except KeyboardInterrupt:
            say(f"interrupted; {NOTHING if command.left is None else command.left.of(options)}")
            raise typer.Exit(130) from None

    return run


def _version(asked: bool) -> None:
    if asked:
        show(f"model-lego {__version__}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show the version and exit")
    ] = False,
) -> None:
    """Options of the command line itself."""


def _note(name: str, message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any) -> None:
    """Warnings of our own as one line; those of libraries are no business of a command's user."""
    if issubclass(category, DoubtfulResult):  # a command prints it in its own words
        return
    if issubclass(category, UserWarning) and "model_lego" in filename:
        say(f"note: {_here(name, str(message))}")
