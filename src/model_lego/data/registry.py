"""Data by name: an .npz file, an image folder, a csv file of image files, `torchvision:NAME` or `digits`."""

import warnings
from pathlib import Path
from typing import Unpack

from model_lego.calling.options import refuse_unknown
from model_lego.data.class_maps import ClassMap
from model_lego.data.digits import open_digits
from model_lego.data.folders import open_folder
from model_lego.data.label_lists import open_label_list
from model_lego.data.matched import NetworkClasses, matched
from model_lego.data.npz import open_npz
from model_lego.data.photo_sets import Reading, ReadingOptions
from model_lego.data.sets import DataSplit
from model_lego.data.torchvision_sets import open_torchvision
from model_lego.errors import BadConfig


def open_data(
    source: str | Path,
    *,
    root: str | Path = "data",
    download: bool = False,
    seed: int = 0,
    classes: NetworkClasses | None = None,
    class_map: ClassMap | None = None,
    **reading: Unpack[ReadingOptions],
) -> DataSplit:
    """Open a data set; raises BadConfig and what the readers raise.

    What has to be said of the data, such as which files are left out, is in `.notes` and comes as warnings.

    Args:
        source: what to open.
        root: the folder of torchvision's sets, which `download` fetches.
        download: fetch what is not there.
        seed: which images of a set without parts are measured.
        classes: of a network: names in the order of its logits, "imagenet", or their number where they have no names.
            Labels are the network's then, of which the data may have some alone.
        class_map: which of these classes the data's are, as a mapping or its csv, json or yaml file; the others are
            found by name, WordNet number or number.
        reading: the keyword arguments below, of picture files (folders and csv files).

    Keyword Args:
        preprocessing: of a network; files are brought to its size as they are read. Its normalisation is left to it.
        channels: colours as the network takes them, 1 or 3; by default those of the preprocessing's means, else three
            where one of the files is coloured.
        cache: bytes of pictures that are kept once they were read; the others are read again each time.
    """
    refuse_unknown("open_data", reading, ReadingOptions)
    how = Reading(**{name: value for name, value in reading.items() if value is not None})  # type: ignore[arg-type]
    split = _opened(source, Path(root), how, download=download, seed=seed)
    for note in split.notes:
        warnings.warn(note, stacklevel=1)  # from one place, so that a set that is opened twice says it once
    if classes is not None:
        return matched(split, classes, class_map=class_map)
    if class_map is not None:
        raise BadConfig("a class_map says which classes of a network the data has; give its classes, too")
    return split


def _opened(source: str | Path, root: Path, reading: Reading, *, download: bool, seed: int) -> DataSplit:
    text = str(source)
    if text == "digits":
        return open_digits()
    if text.startswith("torchvision:"):
        return open_torchvision(text.partition(":")[2], root=root, download=download)
    path = Path(source)
    if path.is_dir():
        return open_folder(path, reading, seed=seed)
    if path.suffix == ".npz" and path.is_file():
        return open_npz(path)
    if path.suffix.lower() == ".csv" and path.is_file():
        return open_label_list(path, reading, seed=seed)
    raise BadConfig(f"data '{text}' is no .npz file, image folder, .csv file of images, torchvision:NAME or 'digits'")
