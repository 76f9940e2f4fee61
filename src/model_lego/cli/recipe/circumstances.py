"""What a result depends on beside its recipe: versions, the machine, and what is in files."""

import hashlib
import math
import os
import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from model_lego.cli.recipe.reading import Step, words_of
from model_lego.cli.recipe.steps import PATHS, Made
from model_lego.data.label_rows import read_rows
from model_lego.errors import BadConfig
from model_lego.names.bin_names import MANIFEST, is_binned
from model_lego.names.hub_names import hub_name, is_on_hub
from model_lego.parts.origin import OWN_CODE
from model_lego.store.located import located
from model_lego.version import __version__

#: The packages whose arithmetic, readers or networks a result can come from.
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pillow", "safetensors", "accelerate", "timm", "transformers")


def here() -> Made:
    """Versions and machine of this process."""
    versions = {"model-lego": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
    return Made(versions=versions, machine=machine)


def files_of(step: Step, above: Collection[str], *, most: float = math.inf) -> dict[str, str]:
    """The digest of each file and folder that a step names, by what it calls it; steps above are none.

    Folders of more bytes than `most` are left out. Raises BadConfig for what cannot be read.
    """
    named = [word for option in PATHS for word in words_of(step.options.get(option)) if word not in above]
    return {word: digest for word in named if (digest := _digest_of(word, most))}


def differences(made: Made, now: Made) -> list[str]:
    """What differs between two circumstances, in words; what only one of them knows does not count."""
    found = []
    for what, before, today in (
        ("", made.versions, now.versions),
        ("", made.machine, now.machine),
        ("the content of ", _short(made.files), _short(now.files)),
    ):
        found += [
            f"{what}{name} was {before[name]}, here it is {today[name]}"
            for name in before
            if name in today and before[name] != today[name]
        ]
    return found


def digest_of_tree(folder: Path, suffix: str = "", *, most: float = math.inf) -> str:
    """Of the names and the contents of all files in a folder, nothing where these have more bytes than `most`."""
    files = [path for path in _files_in(folder) if path.name.endswith(suffix)]
    return _of_several([(str(path.relative_to(folder)), path) for path in files], most)


def _short(digests: Mapping[str, str]) -> dict[str, str]:
    return {name: digest[:12] for name, digest in digests.items()}


def _digest_of(word: str, most: float) -> str:
    """The digest of what a word names, nothing where it is a name of something published, of the Hub the commit."""
    if is_on_hub(word):
        return hub_name(word).revision
    if is_binned(word):
        return _of_file(located(word) / MANIFEST)
    prefix, _, rest = word.partition(":")
    if word.startswith(OWN_CODE):
        return _digest_of(rest.rpartition(":")[0], most)
    path = Path(rest if prefix == "hf" else word)
    if not path.exists() or word == "digits":
        return ""
    try:
        if path.is_file():
            return _of_list(path, most) if path.suffix.lower() == ".csv" else _of_file(path)
        return _of_file(path / MANIFEST) if (path / MANIFEST).is_file() else digest_of_tree(path, most=most)
    except OSError as error:
        raise BadConfig(f"'{word}' cannot be read: {error.strerror}") from error


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_list(path: Path, most: float) -> str:
    """Of a list of pictures, which a class map is not, and of the pictures."""
    try:
        rows = read_rows(path)
    except BadConfig:
        return _of_file(path)
    return _of_several([("", path), *((row.path.name, row.path) for row in rows)], most)


def _of_several(files: Sequence[tuple[str, Path]], most: float) -> str:
    if sum(path.stat().st_size for _, path in files) > most:
        return ""
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(f"{name}\0{_of_file(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files_in(folder: Path) -> Iterator[Path]:
    """All ordinary files below a folder, also in folders that are links, each folder once."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        told = Path(place).stat()
        if (told.st_dev, told.st_ino) in seen:  # a link leads to it again
            folders.clear()
            continue
        seen.add((told.st_dev, told.st_ino))
        yield from (path for name in sorted(names) if (path := Path(place, name)).is_file())
