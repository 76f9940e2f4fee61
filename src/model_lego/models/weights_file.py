"""What a weights file holds, read without running any of it: safetensors, or what torch.save wrote of plain values."""

import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from model_lego.errors import BadWeights
from model_lego.graph.modules import first_line
from model_lego.models.file_kinds import DAMAGED, PACKED, ZIP, told
from model_lego.models.plain_values import PLAIN

#: Suffixes of weights, for the advice where a folder is given.
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")
#: Pickles in a row in a file of torch.save's older form: its magic number, version and system, and what was saved.
PICKLES = 4


def held(path: Path) -> Any:
    """Give what a weights file holds; raises BadWeights for a file that is none."""
    if path.is_dir():
        files = sorted(file.name for file in path.iterdir() if file.suffix in SUFFIXES)
        raise BadWeights(f"'{path}' is a folder; give a file of weights in it{_named(files)}")
    if not path.is_file():
        raise BadWeights(f"weights file '{path}' does not exist")
    if _is_safetensors(path):
        try:
            return load_file(path)
        except SafetensorError as error:
            raise BadWeights(f"'{path}' is no safetensors file, or is cut off: {error}") from error
    if what := told(path):
        raise BadWeights(f"'{path}' {what}")
    return _unpickled(path)


def _is_safetensors(path: Path) -> bool:
    """By its header, JSON behind its length, since people name such files otherwise as well."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _unpickled(path: Path) -> Any:
    try:
        names = list(_globals(path))
    except BadWeights:
        raise
    except Exception as error:
        raise BadWeights(f"'{path}' {DAMAGED}") from error
    if "builtins.bytearray" in names:
        raise BadWeights(f"'{path}' holds a bytearray, which may claim any memory; save model.state_dict() alone")
    try:
        with path.open("rb") as file, warnings.catch_warnings(), _only_plain():
            warnings.simplefilter("ignore")  # of old forms that it reads all the same
            return torch.load(file, map_location="cpu", weights_only=True)  # a path would be taken by its suffix
    except Exception as error:
        raise BadWeights(f"'{path}' {_why(error, names)}") from error


@contextmanager
def _only_plain() -> Iterator[None]:
    """For a while torch may make plain values, and nothing that other packages have allowed."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with torch.serialization.safe_globals(list(PLAIN)):
            yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(allowed)


def _why(error: Exception, names: list[str]) -> str:
    """Why a pickle is not read, and what to do."""
    found = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if found is None:
        return f"is neither safetensors nor a state dict that torch.save wrote, or is damaged: {first_line(error)}"
    run, opened = f"reading it would run '{found[1]}'; where you trust it", "torch.load(FILE, weights_only=False)"
    if any(name.startswith(("torch.nn.modules.", "torch.fx.")) for name in names):
        return f"is a pickle of a whole module: {run} and have its code, save {opened}.state_dict() instead"
    return f"holds more than tensors and plain values: {run}, open it by {opened} and save the state dict alone"


def _globals(path: Path) -> Iterator[str]:
    """The names of the classes and functions that a pickle asks for, in their order; nothing is run."""
    with path.open("rb") as file:
        if file.read(len(ZIP)) != ZIP:
            file.seek(0)
            yield from _asked(file)
            return
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
            raise BadWeights(f"'{path}' {PACKED}")
        for name in archive.namelist():
            if name.endswith("data.pkl"):
                with archive.open(name) as file:
                    yield from _asked(file)


def _asked(file: IO[bytes]) -> Iterator[str]:
    with suppress(Exception):  # torch says what is wrong with it, and in which words
        for _ in range(PICKLES):
            for code, name, _ in pickletools.genops(file):
                if code.name == "GLOBAL":
                    yield str(name).replace("__builtin__ ", "builtins ").replace(" ", ".")


def _named(files: list[str]) -> str:
    return f", such as '{files[0]}'" if files else ""
