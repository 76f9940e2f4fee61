"""Data by name: an .npz file, an image folder, `torchvision:NAME` or `digits`."""

import warnings
from pathlib import Path

from model_lego.data.digits import open_digits
from model_lego.data.folders import open_folder
from model_lego.data.npz import open_npz
from model_lego.data.sets import DataSplit
from model_lego.data.torchvision_sets import open_torchvision
from model_lego.errors import BadConfig


def open_data(
    source: str | Path, *, root: str | Path = "data", download: bool = False, size: tuple[int, int] | None = None
) -> DataSplit:
    """Open a data set; raises BadConfig and what the readers raise.

    Pictures of a folder that are not of one form are brought to a `size` (height and width) where one is given. What
    has to be said of the data, such as which files are left out, is in `.notes` and comes as warnings.
    """
    split = _opened(source, Path(root), size, download=download)
    for note in split.notes:
        warnings.warn(note, stacklevel=1)  # from one place, so that a set that is opened twice says it once
    return split


def _opened(source: str | Path, root: Path, size: tuple[int, int] | None, *, download: bool) -> DataSplit:
    text = str(source)
    if text == "digits":
        return open_digits()
    if text.startswith("torchvision:"):
        return open_torchvision(text.partition(":")[2], root=root, download=download)
    path = Path(source)
    if path.is_dir():
        return open_folder(path, size=size)
    if path.suffix == ".npz" and path.is_file():
        return open_npz(path)
    raise BadConfig(f"data '{text}' is no .npz file, image folder, torchvision:NAME or 'digits'")
