"""Parts by name: `bin:NAME@DIGEST` is a folder of a parts bin, which is called so. Nothing here needs torch.

The digest is the sha256 of a part's manifest, which holds that of its weights: one name is one part, byte for byte.
"""

import hashlib
import os
import re
from difflib import get_close_matches
from pathlib import Path

from model_lego.errors import BadConfig, CorruptComponent
from model_lego.names.hub_names import is_of_cache

#: How names of parts in a bin begin, and the variable of the environment that says where it is.
PREFIX, VARIABLE = "bin:", "MODEL_LEGO_PARTS"
#: Digits of the digest in the name of a folder, and those that are shown.
DIGITS, SHOWN = 16, 12

#: Lies in a bin beside its parts.
INDEX = "parts-index.sqlite"
#: As `store` writes them.
MANIFEST, CARD = "manifest.json", "README.md"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_FOLDER = re.compile(rf"({_NAME})@([0-9a-f]{{{DIGITS}}})")
_REFERENCE = re.compile(rf"(?:{PREFIX})?({_NAME})(?:@([0-9a-f]{{1,64}}))?")
_SOME = 5
#: What is said of a folder whose manifest is not the one that its name says.
OTHER = f"is not the part that its name says (the sha256 of its {MANIFEST} differs): remove it, and add it again"


def bin_folder(folder: str | Path | None = None) -> Path:
    """Where the bin is: in the folder that is given, that MODEL_LEGO_PARTS names, or in the user's data directory."""
    if folder := folder or os.environ.get(VARIABLE):
        return Path(folder)
    from platformdirs import user_data_path

    return user_data_path("model-lego", appauthor=False) / "parts"


def is_binned(part: str | Path) -> bool:
    """Whether a part is named as one of the bin."""
    return str(part).startswith(PREFIX)


def checked_name(name: str) -> str:
    """A name that a part can have in a bin; raises BadConfig."""
    if not re.fullmatch(_NAME, name):
        raise BadConfig(
            f"'{name}' is no name for a part in a bin; give it one of at most 64 letters from a to z, digits, dots, "
            "underscores and hyphens, a letter or a digit first"
        )
    return name


def folder_name(name: str, digest: str) -> str:
    """The name of a part's folder in a bin."""
    return f"{name}@{digest[:DIGITS]}"


def name_and_digits(folder: str) -> tuple[str, str] | None:
    """The name and the first digits of a part by the name of its folder, None where that is no part's."""
    found = _FOLDER.fullmatch(folder)
    return (found[1], found[2]) if found else None


def manifest_digest(folder: Path) -> str:
    """The sha256 (hex) of the manifest in a folder; raises CorruptComponent where there is none."""
    path = folder / MANIFEST
    linked = path.is_symlink() and not is_of_cache(path)
    if folder.is_symlink() or linked or not path.is_file():
        raise CorruptComponent(f"{path} is missing, or a link: a part in a bin has files of its own")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorruptComponent(f"{path} cannot be read: {error.strerror}") from error


def parts_in(folder: Path) -> list[str]:
    """The names of the folders of all parts in a bin, sorted; of a bin that is not there yet none.

    Raises BadConfig for a folder that is no bin.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208  # of ten thousand folders as text
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:  # a file, a NUL
        raise BadConfig(f"'{folder}' is no parts bin: {getattr(error, 'strerror', error)}") from error
    found = sorted(name for name in names if _FOLDER.fullmatch(name))
    if not found and INDEX not in names and any(not name.startswith(".") for name in names):
        raise BadConfig(f"'{folder}' is no parts bin, it holds other files: give one, or an empty or new folder")
    return found


def existing_bin(folder: str | Path | None = None) -> Path:
    """Where the bin is, as `bin_folder`; raises BadConfig where a folder is given that is not there."""
    place = bin_folder(folder)
    if folder and not place.exists():
        raise BadConfig(f"there is no parts bin '{place}'; the first part that is added makes it")
    return place


def folder_of(part: str, folder: str | Path | None = None) -> Path:
    """The folder of a part in the bin, by `bin:NAME` or `bin:NAME@DIGEST` (its first digits will do).

    Raises:
        BadConfig: the bin has no such part, or several.
        CorruptComponent: the folder holds another part than its name says.
    """
    there = found_in(existing_bin(folder), part)
    if not manifest_digest(there).startswith(there.name.rpartition("@")[2]):
        raise CorruptComponent(f"{there} {OTHER}")
    return there


def found_in(folder: Path, reference: str, *, exactly: bool = False) -> Path:
    """The only folder in a bin that a reference can mean; `exactly`: it has to have (some digits of) the digest.

    Raises BadConfig as `folder_of`.
    """
    said = _REFERENCE.fullmatch(reference)
    if said is None:
        raise BadConfig(f"'{reference}' is no name of a part in a bin: write bin:NAME or bin:NAME@DIGEST")
    name, digits = said[1], said[2] or ""
    known = [(found, *(name_and_digits(found) or ("", ""))) for found in parts_in(folder)]
    named = [(found, its) for found, called, its in known if called == name]
    if not named:
        near = get_close_matches(name, {called for _, called, _ in known}, n=1)
        raise BadConfig(f"the bin '{folder}' has no part '{name}'{f'; did you mean {near[0]}?' if near else ''}")
    meant = [found for found, its in named if _is_meant(folder / found, its, digits)]
    if len(meant) == 1 and (digits or not exactly):
        return folder / meant[0]
    asked = f"'{name}@{digits}'" if digits else f"'{name}'"
    why = f"has {'several parts' if meant else 'no part'} {asked}"
    if len(meant) == 1:
        why = f"has to be told which part {asked} is meant, by some digits of its digest"
    raise BadConfig(f"the bin '{folder}' {why}: name one of {_some(meant or [found for found, _ in named])}")


def _is_meant(folder: Path, its: str, asked: str) -> bool:
    """Whether a part's digest, of which the folder's name has the first digits, begins with those that are asked."""
    if len(asked) <= DIGITS:
        return its.startswith(asked)
    return asked.startswith(its) and manifest_digest(folder).startswith(asked)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SOME]) + (f" and {len(names) - _SOME} more" if len(names) > _SOME else "")
