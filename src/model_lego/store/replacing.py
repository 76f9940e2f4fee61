"""Folders of ours: written whole or not at all, and nothing of somebody else's is ever replaced."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_lego.errors import CorruptComponent, OutputExists, SchemaTooNew
from model_lego.store.files import CARD, MANIFEST, RECIPE, WEIGHTS, is_plain_file, is_recipe, read_manifest
from model_lego.store.manifest import Manifest, WeightsRecord
from model_lego.store.manifest_text import parse_manifest
from model_lego.store.outputs import check_place, writing
from model_lego.store.statistics_manifest import StatisticsManifest
from model_lego.store.swapping import all_to_disk, locked, making, put


@contextmanager
def replacing(folder: Path, *, overwrite: bool, needs: int = 0) -> Iterator[Path]:
    """Give an empty folder that becomes `folder` when the block ends well; if it does not, nothing has changed.

    Raises as `check_out`, and CannotWrite where the disk is full in the end.
    """
    check_out(folder, overwrite=overwrite, needs=needs)
    folder = folder.resolve()
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with making(folder) as fresh:
            yield fresh
            all_to_disk(fresh)
            with locked(folder.parent):
                refuse_existing(folder, overwrite=overwrite)
                put(fresh, folder)


def check_out(folder: str | Path, *, overwrite: bool, needs: int = 0) -> None:
    """Refuse a folder that cannot be written, or would replace what it may not, before any work is done.

    Raises:
        CannotWrite: the place does not allow it, or has not room for so many bytes.
        OutputExists: the folder is there and `overwrite` is not set, or its manifest does not prove that we wrote it
            and all files in it; or it would lie in a saved part, which could not be replaced any more then.
    """
    check_place(folder, needs=needs)
    refuse_in_part(folder)
    refuse_existing(Path(folder), overwrite=overwrite)


def refuse_in_part(output: str | Path) -> None:
    """Refuse an output that would lie in a saved part, which could not be replaced any more; raises OutputExists."""
    above = Path(output).resolve().parent
    if (above / MANIFEST).is_file() and (above / WEIGHTS).is_file():
        raise OutputExists(f"'{output}' would lie in '{above}', which is a saved part: put it beside")


def refuse_existing(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that is in the way, and never throw away files that this library did not write."""
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise OutputExists(f"'{folder}' exists already: choose another folder, or pass overwrite=True")
    try:
        sizes = {record.file: record.bytes for record in _written_with(folder)}
    except (CorruptComponent, SchemaTooNew) as error:
        raise OutputExists(f"'{folder}' is no saved part or statistics, so it is not overwritten: {error}") from None
    for path in sorted(folder.iterdir()):
        ours = path.name in {*sizes, MANIFEST, CARD} and is_plain_file(path)
        if path.name == RECIPE:
            ours = is_recipe(path)
        if not ours or path.stat().st_size != sizes.get(path.name, path.stat().st_size):
            raise OutputExists(f"'{folder}' holds what its {MANIFEST} does not name, '{path.name}': move it first")


def _written_with(folder: Path) -> tuple[WeightsRecord, ...]:
    """The files of tensors that a folder's manifest names; raises CorruptComponent and SchemaTooNew."""
    kinds: tuple[type[Manifest | StatisticsManifest], ...] = (Manifest, StatisticsManifest)
    found = parse_manifest(read_manifest(folder), str(folder / MANIFEST), *kinds)
    return (found.weights,) if isinstance(found, Manifest) else found.files
