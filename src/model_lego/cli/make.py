"""model-lego make and model-lego recipe: parts by what is written in a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from model_lego.cli import options as o
from model_lego.cli.pinning import known_commit, with_commits
from model_lego.cli.recipe import steps
from model_lego.cli.recipe.circumstances import differences
from model_lego.cli.recipe.forecast import COLUMNS, Forecast, forecast
from model_lego.cli.recipe.jobs import Job, jobs_of, made_with, perform, steps_folder
from model_lego.cli.recipe.reading import Mistakes, Recipe, read_recipe
from model_lego.cli.recipe.recording import recipe_of, text_of
from model_lego.cli.recipe.targets import Targets
from model_lego.cli.recipe.text import MAX_BYTES
from model_lego.cli.render import say, show, show_json, show_table
from model_lego.errors import BadConfig
from model_lego.names.bin_names import manifest_digest
from model_lego.store.located import is_named

Given = Annotated[str, typer.Argument(metavar="RECIPE", help="a .yaml file, or a saved part, which is made again")]
Target = Annotated[str | None, typer.Option("--out", "-o", help="folder of the result; by default its step's name")]
StepOpt = Annotated[str | None, typer.Option("--step", help="the step whose part is the result, and no more than that")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print what each step would give and cost, and make nothing")]
Keep = Annotated[
    str | None,
    typer.Option("--steps", help="where results of steps are kept: MODEL_LEGO_STEPS, or the user's cache, by default"),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="run all steps, also unchanged ones")]
Replace = Annotated[bool, typer.Option("--overwrite", help="replace a result that is ours, and files of exports")]
OfPart = Annotated[str | None, typer.Argument(metavar="PART", help="a saved part that a command made")]
Schema = Annotated[bool, typer.Option("--schema", help="print the JSON schema of recipes, for editors")]


def make_command(
    *,
    recipe: Given,
    out: Target = None,
    step: StepOpt = None,
    dry_run: DryRun = False,
    keep: Keep = None,
    fresh: Fresh = False,
    overwrite: Replace = False,
    json: o.Json = False,
) -> None:
    """Make a part by a recipe, commands in a file, of which those run that have something new."""
    wanted = _read(recipe)
    wanted = wanted if step is None else wanted.only(step)
    wanted = _at_commits(wanted, known_commit if dry_run else None)
    jobs = jobs_of(wanted, steps_folder(keep))
    if dry_run:
        _show_forecast(forecast(jobs), json=json)
        return
    targets = Targets(jobs, jobs[wanted.result], None if out is None else Path(out), overwrite=overwrite)
    targets.check(fresh=fresh)
    made = made_with(jobs)
    apart = differences(wanted.made, made)
    for words in apart:
        say(f"note: the recipe was made otherwise: {words}")
    ran = [_ran(job, jobs, as_json=json, fresh=fresh) for job in jobs.values()]
    written = targets.write(replace(wanted, made=made))
    same = None if targets.folder is None else _as_before(wanted, targets.folder)
    if json:
        show_json({"recipe": recipe, "steps": ran, "written": written, "differences": apart, "same": same})
        return
    _show_comparison(same, apart)
    if not written:
        show("unchanged: everything is there as the recipe says")
    for place in written:
        show(f"written to {place}")


def recipe_command(*, part: OfPart = None, schema: Schema = False, json: o.Json = False) -> None:
    """Print the recipe of a part that a command made, or the JSON schema of recipes."""
    if schema == (part is not None):
        raise BadConfig("give a PART, or --schema")
    if part is None:
        show_json(steps.schema())
        return
    found = recipe_of(part)
    if json:
        show_json({step.name: {"command": step.command, **step.options} for step in found.steps})
    else:
        show(text_of(found).rstrip("\n"))


def _read(given: str) -> Recipe:
    """The recipe of a file or a part; raises BadConfig, and what is wrong with it, line by line, before exit code 1."""
    try:
        if is_named(given) or Path(given).is_dir():
            return recipe_of(given, only_read=False)
        with Path(given).open("rb") as file:
            return read_recipe(file.read(MAX_BYTES + 1).decode("utf-8"), given)
    except Mistakes as error:
        for line in error.lines:
            say(f"error: {line}")
        raise typer.Exit(1) from None
    except UnicodeDecodeError as error:
        raise BadConfig(f"'{given}' is no text in UTF-8: {error}") from error
    except OSError as error:
        raise BadConfig(f"the recipe '{given}' cannot be read: {error.strerror}") from error


def _at_commits(recipe: Recipe, pin: Callable[[str], str] | None) -> Recipe:
    """A recipe that names parts on the Hub by their commits."""
    return replace(recipe, steps=tuple(replace(each, options=with_commits(each.options, pin)) for each in recipe.steps))


def _ran(job: Job, jobs: Mapping[str, Job], *, as_json: bool, fresh: bool) -> dict[str, Any]:
    """Run a step, unless its result is there; what is told of it."""
    if fresh:
        job.forget()
    unchanged = job.done
    say(f"step {job.step.name}: {'unchanged' if unchanged else job.step.command}")
    printed = None if unchanged else perform(job, jobs, as_json=as_json)
    told = {"name": job.step.name, "command": job.step.command, "unchanged": unchanged, "result": job.given}
    return told if printed is None else told | {"printed": printed}


def _as_before(recipe: Recipe, target: Path) -> bool | None:
    """Whether the result is, byte for byte, what a recipe says that it made; None where it says nothing."""
    return None if recipe.made.result is None else recipe.made.result == manifest_digest(target)


def _show_comparison(same: bool | None, apart: Sequence[str]) -> None:
    if same:
        show("the same part as the recipe's, byte for byte")
    elif same is False:
        show(f"not the same part as the recipe's: {'; '.join(apart) or 'nothing that it tells of differs'}")


def _show_forecast(found: Sequence[Forecast], *, json: bool) -> None:
    """Print what each step would give."""
    if json:
        show_json({"steps": [asdict(each) for each in found]})
        return
    show_table("What would be made", COLUMNS, [each.row() for each in found])
    for each in found:
        for note in each.gives.notes:
            show(f"{each.step}: {note}")
