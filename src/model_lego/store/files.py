"""The files of a saved folder: their names, and how they are read, only where they should be. No torch is needed."""

import hashlib
from pathlib import Path
from typing import Any

from model_lego.digest import digest_of_bytes
from model_lego.errors import CorruptComponent
from model_lego.names.hub_names import is_of_cache

WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"
CARD = "README.md"
#: How the part was made, where a command made it; and how each that we write begins.
RECIPE, RECIPE_MARK = (
    "recipe.yaml",
    "# How model-lego made the part in this folder: `model-lego make` makes it again.\n",
)
#: What manifests need: those of the deepest networks have some 10,000 lists and objects, one of 50 such parts 2 MB.
MAX_MANIFEST_BYTES, MAX_LISTS = 32 * 2**20, 150_000


def record_of(path: Path) -> dict[str, Any]:
    """What a manifest says of a file: its name, size and sha256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}


def record_of_bytes(data: bytes) -> dict[str, Any]:
    """The same of a file of weights that holds these bytes."""
    return {"file": WEIGHTS, "bytes": len(data), "sha256": digest_of_bytes(data)}


def read_manifest(folder: Path, sha256: str | None = None) -> bytes:
    """Read the manifest of a saved folder, unparsed.

    Raises:
        CorruptComponent: there is none, it is larger than any that a part needs, or it has not this sha256.
    """
    if not folder.is_dir():
        raise CorruptComponent(f"'{folder}' is not a folder: give one that this library saved")
    path = plain_file(folder / MANIFEST)
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise CorruptComponent(f"{path} is larger than {MAX_MANIFEST_BYTES:,} bytes: no part of ours needs as many")
    data = read_file(path)
    if data.count(b"[") + data.count(b"{") > MAX_LISTS:  # each takes many times its bytes as it is read
        raise CorruptComponent(f"{path} has more than {MAX_LISTS:,} lists and objects: no part of ours needs as many")
    if sha256 is not None and (found := digest_of_bytes(data)) != sha256.lower():
        raise CorruptComponent(f"{path} has sha256 {found}, not {sha256}: it is not the part that is meant")
    return data


def is_recipe(path: Path) -> bool:
    """Whether there is a recipe that we wrote."""
    if not is_plain_file(path):
        return False
    with path.open("rb") as file:
        return file.read(len(RECIPE_MARK)) == RECIPE_MARK.encode()


def is_plain_file(path: Path) -> bool:
    """Whether there is an ordinary file at exactly this place: no folder, pipe or link but those of the Hub's cache."""
    return path.is_file() and (not path.is_symlink() or is_of_cache(path))


def plain_file(path: Path) -> Path:
    """Refuse what is not an ordinary file at exactly this place."""
    if path.is_symlink() and not is_of_cache(path):
        raise CorruptComponent(f"{path} is a symbolic link: a saved folder holds its own files")
    if not path.is_file():
        raise CorruptComponent(f"{path} is missing: a saved folder holds {MANIFEST} and {WEIGHTS}")
    return path


def read_file(path: Path) -> bytes:
    """The bytes of a file; raises CorruptComponent where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptComponent(f"{path} cannot be read: {error.strerror}") from error
