"""Image folders: root/train/CLASS/*.png and root/test (or val)/CLASS/*.png; Tiny-ImageNet and ImageNet as published."""

from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from model_lego.data.pictures import form_of, in_colours, read_picture
from model_lego.data.sets import DataSplit, ImageSet, resized
from model_lego.errors import BadConfig, EmptySelection
from model_lego.parts.component import Preprocessing

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})

#: Side to which the shorter side of an ImageNet picture is brought, and that of the square cut out of its middle.
SHORTER, SQUARE = 256, 224


def open_folder(root: Path, *, size: tuple[int, int] | None = None) -> DataSplit:
    """Read an image folder; classes are the folders of the training part, by name.

    With a `size` (height and width) pictures that are not all alike are brought to it, and grey ones among coloured
    ones become colour; pictures of one form are left as they are, for the network to resize.

    Of Tiny-ImageNet and ImageNet, in the layouts in which they are published, the classes keep the names of their
    folders (WordNet numbers), and the validation images are the test part; ImageNet's come as 224 x 224 pixels, the
    middle of the picture with its shorter side at 256. Raises BadConfig, EmptySelection.
    """
    if (root / "wnids.txt").is_file():
        return _tiny_imagenet(root)
    if (root / "ILSVRC").is_dir():
        return _imagenet(root)
    train = root / "train"
    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if not train.is_dir() or test is None:
        raise BadConfig(f"'{root}' has no folders train/CLASS and test/CLASS (or val/CLASS)")
    names = _folders(train)
    if (train / names[0] / "images").is_dir():  # the folders of Tiny-ImageNet without its list
        raise BadConfig(f"'{root}' looks like Tiny-ImageNet, but has no wnids.txt")
    return DataSplit(_part(train, names, size), _part(test, names, size), names)


def _tiny_imagenet(root: Path) -> DataSplit:
    """train/CLASS/images/*.JPEG; val/images/*.JPEG with val/val_annotations.txt; the test images have no labels."""
    names = tuple(sorted(_lines(root / "wnids.txt")))
    notes = [line.split("\t") for line in _lines(root / "val" / "val_annotations.txt")]
    paths = {name: _images(root / "train" / name / "images") for name in names}
    held = _by_class(names, [(root / "val" / "images" / note[0], note[1]) for note in notes])
    return DataSplit(_set(paths, _coloured), _set(held, _coloured), names)


def _imagenet(root: Path) -> DataSplit:
    """ILSVRC/Data/CLS-LOC/train/CLASS/*.JPEG and val/*.JPEG, whose classes stand in LOC_val_solution.csv."""
    data = root / "ILSVRC" / "Data" / "CLS-LOC"
    names = _folders(data / "train")
    rows = [line.split(",") for line in _lines(root / "LOC_val_solution.csv")[1:]]
    held = _by_class(names, [(data / "val" / f"{row[0]}.JPEG", row[1].split()[0]) for row in rows])
    return DataSplit(
        _set({name: _images(data / "train" / name) for name in names}, _square), _set(held, _square), names
    )


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise BadConfig(f"'{file}', which says the classes of the images, cannot be read: {error}") from error


def _folders(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir())) if folder.is_dir() else ()
    if not names:
        raise EmptySelection(f"'{folder}' has no class folders")
    return names


def _by_class(names: tuple[str, ...], found: list[tuple[Path, str]]) -> dict[str, list[Path]]:
    """Files by their class, the files of a class by name; raises BadConfig for a class that is none."""
    held: dict[str, list[Path]] = {name: [] for name in names}
    for path, name in sorted(found):
        if name not in held:
            raise BadConfig(f"image '{path.name}' is of class '{name}', which the training part does not have")
        held[name].append(path)
    return held


def _part(folder: Path, names: tuple[str, ...], size: tuple[int, int] | None) -> ImageSet:
    strange = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in names)
    if strange:
        raise BadConfig(f"'{folder}' has class '{strange[0]}', which the training part does not have")
    found = {name: _images(folder / name) for name in names}
    forms = set() if size is None else _forms(chain.from_iterable(found.values()))
    if size is None or len(forms) == 1:  # as they were given, so that a part knows its calibration images again
        return _set(found, read_picture)
    return resized(_set(found, _coloured if any(coloured for coloured, _ in forms) else read_picture), size)


def _forms(paths: Iterable[Path]) -> set[tuple[bool, tuple[int, int]]]:
    """Whether pictures are coloured, and their sizes; no further than there is colour and variety."""
    forms: set[tuple[bool, tuple[int, int]]] = set()
    for path in paths:
        forms.add(form_of(path))
        if len(forms) > 1 and any(coloured for coloured, _ in forms):
            break
    return forms


def _images(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not found:
        raise EmptySelection(f"class folder '{folder}' holds no image")
    return found


def _set(found: dict[str, list[Path]], read: Callable[[Path], Tensor]) -> ImageSet:
    """Images of each class in turn; they are read when they are asked for."""
    paths = [path for some in found.values() for path in some]
    labels = [label for label, some in enumerate(found.values()) for _ in some]

    def image(number: int) -> Tensor:
        return read(paths[number])

    return ImageSet(torch.tensor(labels, dtype=torch.int64), image, torch.arange(len(paths)))


def _coloured(path: Path) -> Tensor:
    """A picture of a colour set, of which a few are grey: 3 x height x width."""
    return in_colours(read_picture(path), 3)


def _square(path: Path) -> Tensor:
    """The middle of a colour picture, its shorter side brought to 256 pixels: 3 x 224 x 224."""
    picture = _coloured(path)
    height, width = picture.shape[1:]
    scale = SHORTER / min(height, width)
    size = (max(SHORTER, round(height * scale)), max(SHORTER, round(width * scale)))
    picture = Preprocessing(size=size)(picture[None])[0]
    top, left = (size[0] - SQUARE) // 2, (size[1] - SQUARE) // 2
    return picture[:, top : top + SQUARE, left : left + SQUARE]
