"""Where the results of a recipe are written: the folder of its part, and the files of its exports."""

import filecmp
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from model_lego.cli.recipe import steps
from model_lego.cli.recipe.jobs import Job
from model_lego.cli.recipe.reading import Recipe
from model_lego.cli.recipe.recording import text_of
from model_lego.errors import OutputExists
from model_lego.store.files import CARD, MANIFEST, RECIPE, RECIPE_MARK, WEIGHTS
from model_lego.store.outputs import check_apart, check_file, writing
from model_lego.store.replacing import check_out, refuse_in_part, replacing
from model_lego.store.swapping import clean_up


@dataclass(frozen=True, slots=True)
class Targets:
    """The results of jobs: `last` is the one whose part is written, if it gives one, by default under its name."""

    jobs: Mapping[str, Job]
    last: Job
    out: Path | None
    overwrite: bool

    @property
    def folder(self) -> Path | None:
        """Where the part is written."""
        return None if self.last.step.gives != steps.PART else self.out or Path(self.last.step.name)

    @property
    def exports(self) -> tuple[tuple[Job, Path], ...]:
        """Those whose results are files, and where these are written."""
        return tuple((job, Path(job.step.options["to"])) for job in self.jobs.values() if job.step.gives == steps.FILE)

    def check(self, *, fresh: bool) -> None:
        """Refuse what may not be written, before any work; what is there and as it should be is in nobody's way.

        Raises CannotWrite, OutputExists.
        """
        check_apart(self.folder, *(file for _, file in self.exports))
        for job, file in self.exports:
            check_file(file)
            refuse_in_part(file)
            if file.exists() and not self.overwrite and (fresh or not _is_copy(job.out, file)):
                raise OutputExists(f"'{file}' exists already: choose another file, or pass overwrite=True")
        if self.folder is not None:
            check_out(self.folder, overwrite=self.overwrite or (not fresh and self._is_written(self.folder)))

    def write(self, recipe: Recipe) -> list[str]:
        """Write all that is not there yet: the part with its recipe, then files. Gives what was written."""
        written = []
        if self.folder is not None:
            clean_up(self.folder.resolve())  # what killed processes left, also where nothing is written
        if self.folder is not None and not self._is_written(self.folder):
            own = replace(recipe.only(self.last.step.name), made=recipe.made)
            with replacing(self.folder, overwrite=self.overwrite) as fresh:
                for name in (WEIGHTS, MANIFEST, CARD):
                    shutil.copyfile(self.last.out / name, fresh / name)
                (fresh / RECIPE).write_text(RECIPE_MARK + text_of(own), encoding="utf-8", newline="\n")
            written.append(str(self.folder))
        for job, file in self.exports:
            if not _is_copy(job.out, file):
                _copy(job.out, file)
                written.append(str(file))
        return written

    def _is_written(self, folder: Path) -> bool:
        return self.last.done and all(_is_copy(self.last.out / name, folder / name) for name in (MANIFEST, WEIGHTS))


def _is_copy(one: Path, other: Path) -> bool:
    """Whether two files are there and hold the same."""
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def _copy(made: Path, file: Path) -> None:
    """Put an exported file, and before it those that lie beside and that it refers to, in their places at once each."""
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        for each in sorted(made.parent.iterdir(), key=made.__eq__):
            fresh = file.with_name(f".{each.name}.new")
            shutil.copyfile(each, fresh)
            fresh.replace(file.with_name(each.name))
