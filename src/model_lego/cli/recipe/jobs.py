"""Steps that are run where something that decides their result is new; what they gave before is kept by its digest."""

import contextlib
import functools
import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import model_lego
from model_lego.cli.commands import COMMANDS, loaded
from model_lego.cli.recipe import steps
from model_lego.cli.recipe.circumstances import digest_of_tree, files_of, here
from model_lego.cli.recipe.reading import Recipe, Step
from model_lego.cli.render import say
from model_lego.errors import BadConfig, CorruptComponent, LegoError
from model_lego.store.inspecting import inspect
from model_lego.store.outputs import check_place, writing
from model_lego.store.swapping import locked
from model_lego.training.trained_folder import CHECKPOINT
from model_lego.training.trained_folder import WEIGHTS as TRAINED

#: The variable of the environment that says where results are kept.
VARIABLE = "MODEL_LEGO_STEPS"
#: In the folder of a step: its result, and what says that this is whole.
MADE, DONE = "made", "done"
#: Digits of the digest by which a step is known.
DIGITS = 20


@dataclass(frozen=True, slots=True)
class Job:
    """A step, and the folder that is its own for as long as nothing that decides its result changes."""

    step: Step
    home: Path
    files: Mapping[str, str]  # what it reads, by its digest

    @property
    def out(self) -> Path:
        """Where the command writes."""
        name = Path(self.step.options["to"]).name if self.step.gives == steps.FILE else self.step.name
        return self.home / MADE / name

    @property
    def given(self) -> str:
        """What other steps take from it."""
        return str(self.out / TRAINED if self.step.gives == steps.WEIGHTS else self.out)

    @property
    def done(self) -> bool:
        """Whether its result is there, and whole."""
        if not (self.home / DONE).is_file() or not Path(self.given).exists():
            return False
        if self.step.gives != steps.PART:
            return True
        try:
            inspect(self.out, check_weights=True)
        except CorruptComponent:
            return False
        return True

    def forget(self) -> None:
        """Let it be run, whatever is there."""
        (self.home / DONE).unlink(missing_ok=True)


def steps_folder(folder: str | None = None) -> Path:
    """Where results of steps are kept: as is said, as MODEL_LEGO_STEPS says, or in the user's cache."""
    if folder := folder or os.environ.get(VARIABLE):
        return Path(folder).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("model-lego", appauthor=False) / "steps"


def jobs_of(recipe: Recipe, keep: Path) -> dict[str, Job]:
    """A job for each step, by its name. Raises BadConfig for a file that cannot be read."""
    jobs: dict[str, Job] = {}
    now = here()
    for step in recipe.steps:
        files = files_of(step, jobs)
        options = {name: value for name, value in step.options.items() if name not in steps.ASIDE}
        decides = {
            "command": step.command,
            "options": options,
            "files": files,
            "above": {name: jobs[name].home.name for name in step.refers(jobs)},
            "circumstances": now.model_dump(),
            "code": _code(),
        }
        digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:DIGITS]
        jobs[step.name] = Job(step, keep / digest, files)
    return jobs


def made_with(jobs: Mapping[str, Job]) -> steps.Made:
    """What the results of jobs are made with and of."""
    files = {name: digest for job in jobs.values() for name, digest in job.files.items()}
    return here().model_copy(update={"files": files})


@functools.cache
def _code() -> str:
    """The digest of this library as it is, whatever its version says."""
    return digest_of_tree(Path(model_lego.__file__).parent, ".py")


def perform(job: Job, jobs: Mapping[str, Job], *, as_json: bool) -> dict[str, Any] | None:
    """Run a step's command; what it prints as JSON, where that is asked for. Raises LegoError with the step's name."""
    check_place(job.out)
    with writing(job.home):
        job.home.mkdir(parents=True, exist_ok=True)
    with locked(job.home, patience=math.inf):
        if job.done:  # by another process meanwhile
            return None
        try:
            printed = _performed(job, jobs, as_json=as_json)
        except LegoError as error:
            raise BadConfig(f"step '{job.step.name}' ({job.step.command}): {error}") from error
        with writing(job.home):
            (job.home / DONE).touch()
    return printed


def _performed(job: Job, jobs: Mapping[str, Job], *, as_json: bool) -> dict[str, Any] | None:
    if _unfinished(job).is_file():
        say(f"step {job.step.name}: going on where it was stopped")
        with contextlib.suppress(BadConfig):  # what is left is of no use
            return _called(job, jobs, as_json=as_json, resume=True)
    with writing(job.home):
        (job.home / DONE).unlink(missing_ok=True)
        shutil.rmtree(job.home / MADE, ignore_errors=True)
    return _called(job, jobs, as_json=as_json, resume=False)


def _unfinished(job: Job) -> Path:
    """The file by which an interrupted run goes on, if there is one."""
    beside = job.out.with_name(f"{job.out.name}.unfinished")
    where = {"train": job.out / CHECKPOINT, "attribute": beside / "run.json"}
    return where.get(job.step.command, beside / CHECKPOINT)


def _called(job: Job, jobs: Mapping[str, Job], *, as_json: bool, resume: bool) -> dict[str, Any] | None:
    command = next(each for each in COMMANDS if each.name == job.step.command)
    said = {"json": as_json, "overwrite": True, "resume": resume, "out": str(job.out)}
    usual = {**steps.defaults_of(command.name), "out": ""}
    options = usual | {name: with_results(name, value, jobs) for name, value in job.step.options.items()}
    options |= {name: value for name, value in said.items() if name in usual}
    if job.step.gives == steps.FILE:
        del options["out"]
        options["to"] = str(job.out)
    if not as_json:
        loaded(command)(**options)
        return None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        loaded(command)(**options)
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found


def with_results(option: str, value: Any, jobs: Mapping[str, Job]) -> Any:
    """What an option is on the command line: a step's result in the place of its name."""
    if option not in steps.TAKES:
        return value
    if isinstance(value, list):
        return [jobs[each].given if each in jobs else each for each in value]
    return jobs[value].given if value in jobs else value
