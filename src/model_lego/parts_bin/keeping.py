"""Parts are put into a bin, found there, checked, taken out, and what killed processes left is removed."""

import shutil
import warnings
from pathlib import Path

from model_lego.errors import CorruptComponent, OutputExists
from model_lego.names.bin_names import (
    CARD,
    MANIFEST,
    bin_folder,
    checked_name,
    existing_bin,
    folder_name,
    found_in,
    manifest_digest,
    parts_in,
)
from model_lego.names.hub_names import hub_name, is_on_hub
from model_lego.parts_bin.binned import BinnedPart
from model_lego.parts_bin.index import rows_without_folder, stamp, write
from model_lego.parts_bin.reading import card_text, read_part, with_licence
from model_lego.progress import Progress, quiet, tracked
from model_lego.store.files import RECIPE, WEIGHTS, is_plain_file
from model_lego.store.inspecting import inspect
from model_lego.store.located import located
from model_lego.store.outputs import writing
from model_lego.store.replacing import replacing
from model_lego.store.swapping import clean_up, locked, making

#: What a folder in a bin holds.
FILES = (MANIFEST, WEIGHTS, CARD, RECIPE)


def bin_add(
    part: str | Path, *, name: str | None = None, licence: str | None = None, folder: str | Path | None = None
) -> BinnedPart:
    """Copy a saved part into the bin, all or nothing, and check the copy's weights; the part itself stays as it is.

    The same part under the same name is there once, however often it is added; another one under that name has
    another digest. A `licence` is written into the copy's card.

    Args:
        part: the folder of a saved part, or its name in the bin or on the Hub.
        name: what it is called in the bin; the name of its folder, or on the Hub of its repository, by default.
        licence: an SPDX name such as "apache-2.0"; what the card says by default.
        folder: of the bin; by default what MODEL_LEGO_PARTS names, or one in the user's data directory.

    Raises:
        CorruptComponent: the part is damaged.
        BadConfig: the name is none, or the folder is no bin.
        CannotWrite: the bin does not allow it, or its disk has no room for it.
    """
    source, target = located(part, folder), bin_folder(folder)
    parts_in(target)  # refuses what is no bin
    needs = inspect(source).weights.bytes
    own = (
        hub_name(str(part)).repository.partition("/")[2] if is_on_hub(part) else source.resolve().name.partition("@")[0]
    )
    there = target / folder_name(checked_name(own if name is None else name), manifest_digest(source))
    try:
        with replacing(there, overwrite=False, needs=needs) as fresh:
            _copy(source, fresh)
            inspect(fresh, check_weights=True)
            if not manifest_digest(fresh).startswith(there.name.rpartition("@")[2]):
                raise CorruptComponent(f"{source} was written to while it was copied: add it again")
            if licence is not None:
                _license(fresh, fresh, licence)
    except OutputExists:
        if not there.is_dir():
            raise
        if broken := read_part(there, check_weights=True).broken:
            raise CorruptComponent(f"the bin has this part already, and broken; remove it first: {broken}") from None
        if licence is not None:
            with writing(there), making(there) as aside:
                _license(there, aside, licence)
    mark, added = stamp(there), read_part(there)
    write(target, [(mark, added)])
    return added


def _copy(source: Path, fresh: Path) -> None:
    """Copy what a saved part consists of, and say what else is there."""
    others = sorted(path.name for path in source.iterdir() if path.name not in FILES)
    if others:
        warnings.warn(f"{source} holds what is of no part and is not copied: {', '.join(others)}", stacklevel=3)
    for path in [source / name for name in FILES]:
        if is_plain_file(path):
            shutil.copyfile(path, fresh / path.name)


def _license(part: Path, aside: Path, licence: str) -> None:
    """Write a licence into a part's card, in one step."""
    text = with_licence(card_text(part), licence)
    (aside / f"{CARD}.new").write_text(text, encoding="utf-8", newline="\n")
    (aside / f"{CARD}.new").replace(part / CARD)


def bin_verify(*parts: str, folder: str | Path | None = None, progress: Progress = quiet) -> tuple[BinnedPart, ...]:
    """Hash manifests and weights of parts in the bin (by their names, all by default); `.broken` says what is wrong.

    Raises BadConfig for a part that is not there, and for a folder that is no bin.
    """
    place = existing_bin(folder)
    names = [found_in(place, part).name for part in parts] or parts_in(place)
    return tuple(read_part(place / name, check_weights=True) for name in tracked(names, "verifying parts", progress))


def bin_remove(part: str, *, folder: str | Path | None = None) -> BinnedPart:
    """Take a part out of the bin for good, by its name and (the first digits of) its digest; what it was.

    Assemblies hold what they were made of, so none of them needs the part.

    Raises:
        BadConfig: there is no such part, or several.
        OutputExists: its folder holds other files, which would be lost.
        CannotWrite: the bin does not allow it.
    """
    place = existing_bin(folder)
    there = found_in(place, part, exactly=True)
    removed = read_part(there)
    for path in sorted(there.iterdir()):
        if path.name not in FILES or not is_plain_file(path):
            raise OutputExists(f"'{there}' holds what is of no part, '{path.name}': move it first")
    with writing(there), making(there) as aside, locked(place):
        aside.rmdir()
        there.rename(aside)  # in one step; what is left of it, also by a kill, is removed as what saves leave
    write(place, (), [there.name])
    return removed


def bin_gc(*, folder: str | Path | None = None, dry_run: bool = False) -> tuple[str, ...]:
    """Remove what killed processes left in the bin, and rows of its index without a folder; their names.

    With `dry_run` they are named only. Raises BadConfig for a folder that is no bin.
    """
    place = existing_bin(folder)
    rows = rows_without_folder(place)
    left = [path for path in sorted(place.glob(".*@*.saving-????????")) if _is_nobodys(path)]
    if not dry_run:
        for path in left:
            with writing(place):
                clean_up(place / path.name[1:].partition(".saving-")[0])
        if rows:
            write(place, (), rows)
    return (*(path.name for path in left), *rows)


def _is_nobodys(path: Path) -> bool:
    with locked(path, patience=0) as nobodys:
        return nobodys
