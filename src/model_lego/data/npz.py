"""Data sets in one .npz file with x_train, y_train, x_test, y_test and class_names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.lib.npyio import NpzFile

from model_lego.data.sets import DataSplit, ImageSet, in_memory
from model_lego.errors import BadBatches, BadConfig, LegoError, ShapeMismatch

#: What an .npz file of images has.
ARRAYS = ("x_train", "y_train", "x_test", "y_test", "class_names")
#: Numbers of channels that images usually have.
COLOURS = (1, 2, 3, 4)
#: Bytes that arrays may unpack to, whatever the size of their file, and else so many times its bytes.
UNPACKED, TIMES = 2**28, 100


def open_npz(path: Path) -> DataSplit:
    """Read a .npz: images uint8 (or float in 0..1) N x H x W x C or N x H x W, labels integers.

    Raises BadConfig, BadBatches, ShapeMismatch.
    """
    arrays = read_arrays(path, ARRAYS)
    names = _names(path, arrays["class_names"])
    train, test = (
        _images(path, part, arrays[f"x_{part}"], arrays[f"y_{part}"], len(names)) for part in ("train", "test")
    )
    return DataSplit(train, test, names)


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """The arrays of these names in an .npz file; others are not read. Raises BadConfig."""
    try:
        with path.open("rb") as file, _opened(path, file) as found:
            if missing := [name for name in names if name not in found.files]:
                raise BadConfig(f"'{path}' misses {', '.join(missing)}; it needs {' '.join(names)}")
            sizes = {entry.filename: entry.file_size for entry in (found.zip.infolist() if found.zip else ())}
            size = sum(sizes.get(f"{name}.npy", 0) for name in names)
            if size > max(UNPACKED, TIMES * path.stat().st_size):
                raise BadConfig(f"'{path}' would unpack to {size:,} bytes; save it by numpy.savez, which does not pack")
            arrays = {name: found[name] for name in names}
            if strange := [name for name, values in arrays.items() if not isinstance(values, np.ndarray)]:
                raise BadConfig(f"'{path}' has a member '{strange[0]}' that is no array; save it by numpy.savez")
            return arrays
    except LegoError:
        raise
    except Exception as error:  # of many kinds where it is damaged: BadZipFile, zlib.error, NotImplementedError …
        said = str(error) or type(error).__name__
        raise BadConfig(f"'{path}' cannot be read as .npz without pickles: {said}") from error


def _opened(path: Path, file: BinaryIO) -> NpzFile:
    found = np.load(file, allow_pickle=False)
    if not isinstance(found, NpzFile):
        raise BadConfig(f"'{path}' is one array, a .npy file; save several by numpy.savez")
    return found


def _names(path: Path, given: Any) -> tuple[str, ...]:
    try:
        return tuple(str(name) for name in given.reshape(-1))
    except (SystemError, ValueError):  # numpy of a number that no letter has
        raise BadConfig(f"names of the classes in '{path}' are no text: save them as strings") from None


def _images(path: Path, part: str, x: Any, y: Any, classes: int) -> ImageSet:
    y = y.reshape(-1)
    _check_shape(path, part, x, len(y))
    if not np.issubdtype(y.dtype, np.integer):
        raise BadBatches(f"y_{part} of '{path}' is {y.dtype}; labels have to be integers")
    if len(y) and not (y.min() >= 0 and y.max() < classes):
        raise BadBatches(
            f"labels y_{part} of '{path}' are out of range: {y.min()} to {y.max()}, but there are {classes} class names"
        )
    _check_values(path, part, x)
    if x.dtype != np.uint8:
        x = x.astype(np.float32)
    pixels = torch.from_numpy(np.ascontiguousarray(x))
    pixels = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
    return in_memory(pixels, torch.from_numpy(y.astype(np.int64)))


def _check_values(path: Path, part: str, x: Any) -> None:
    """Refuse what is neither uint8 in 0..255 nor floats in 0..1, by its type or because the values do not look it."""
    if x.dtype.kind not in "biuf":
        raise BadBatches(f"x_{part} of '{path}' is {x.dtype}; images have to be uint8 in 0..255, or float in 0..1")
    floats = np.issubdtype(x.dtype, np.floating)
    if floats and not np.isfinite(x).all():
        raise BadBatches(f"x_{part} of '{path}' contains NaN or infinite values")
    if not x.size:
        return
    low, high = x.min(), x.max()
    found = f"x_{part} of '{path}' is {x.dtype} from {low:g} to {high:g}"
    if not floats and x.dtype != np.uint8:
        raise BadBatches(f"{found}; images have to be uint8 in 0..255, or float in 0..1")
    if floats and not (low >= 0 and high <= 1):
        raise BadBatches(f"{found}; floats have to be in 0..1: divide those in 0..255 by 255")
    if 0 < high <= (1 / 255 if floats else 1):
        raise BadBatches(f"{found}, where 0 to {'1' if floats else '255'} is meant: all of it would be black")


def _check_shape(path: Path, part: str, x: Any, labels: int) -> None:
    if x.ndim not in (3, 4) or len(x) != labels:
        raise ShapeMismatch(
            f"x_{part} of '{path}' has shape {x.shape} for {labels} labels; it has to be N x H x W x C or N x H x W"
        )
    if x.ndim == 4 and x.shape[3] not in COLOURS and x.shape[1] in COLOURS:
        raise ShapeMismatch(
            f"x_{part} of '{path}' has shape {x.shape}, which looks like N x C x H x W; it has to be N x H x W x C: "
            "transpose it with .transpose(0, 2, 3, 1)"
        )
