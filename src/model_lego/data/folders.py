"""Image folders: train/CLASS and test (or val)/CLASS, or CLASS alone; Tiny-ImageNet and ImageNet as published."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from model_lego.data.class_folders import Pictures, beside_classes, class_names, notes_on, pictures_of
from model_lego.data.sets import DataSplit, ImageSet, resized
from model_lego.errors import BadConfig, EmptySelection
from model_lego.parts.component import Preprocessing
from model_lego.pictures.reading import form_of, read_picture
from model_lego.pictures.taking import in_colours

#: Side to which the shorter side of an ImageNet picture is brought, and that of the square cut out of its middle.
SHORTER, SQUARE = 256, 224
#: What the part that is measured may be called; the first of these that has classes is.
HELD = ("test", "val", "valid", "validation")
#: Share of each class that is measured where there are no parts.
SHARE = 0.2


def open_folder(root: Path, *, size: tuple[int, int] | None = None) -> DataSplit:
    """Read an image folder; classes are the folders of the training part, by name, or by number where all are numbers.

    Without parts the folders are classes, and a fifth of each, always the same, is the test part. The notes say what
    one has to know: classes by number, parts that are not used, a division, files that are left out.

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
    names = [name for name in ("train", *HELD) if (root / name).is_dir()]
    if any(class_names(root / name) for name in names) or ("train" in names and len(names) > 1):
        return _in_parts(root, size)
    return _divided(root, size)


def _in_parts(root: Path, size: tuple[int, int] | None) -> DataSplit:
    """train/CLASS/*.png, and the same of a part that is measured."""
    train, held = root / "train", [name for name in HELD if (root / name).is_dir()]
    labelled = [name for name in held if class_names(root / name)]
    if not train.is_dir() or not labelled:
        instead = f"; with '{train}' itself a fifth of it is measured" if train.is_dir() else ""
        raise BadConfig(f"'{root}' has no folders train/CLASS and test/CLASS (or val/CLASS){instead}")
    names = _folders(train)
    if (train / names[0] / "images").is_dir():  # the folders of Tiny-ImageNet without its list
        raise BadConfig(f"'{root}' looks like Tiny-ImageNet, but has no wnids.txt")
    measured, unused = labelled[0], [f"{name}/" for name in held if name != labelled[0]]
    learned, test = _part(train, names), _part(root / measured, names)
    notes = notes_on(root, names, [*learned.left_out, *test.left_out])
    if unused:
        notes = (f"of '{root}' {measured}/ is measured; not used: {', '.join(unused)}", *notes)
    return DataSplit(_alike(learned.by_class, size), _alike(test.by_class, size), names, notes)


def _divided(root: Path, size: tuple[int, int] | None) -> DataSplit:
    """CLASS/*.png; pictures are measured whose names have the smallest digests, which are the same on all machines."""
    names = class_names(root)
    if not names:
        raise BadConfig(f"'{root}' has no folders train/CLASS and test/CLASS (or val/CLASS), nor CLASS alone")
    found = _part(root, names)
    train, test = {}, {}
    for name, paths in found.by_class.items():
        if len(paths) == 1:
            raise EmptySelection(f"class folder '{root / name}' holds one image, too few to learn from and to measure")
        measured = set(sorted(paths, key=_digest)[: max(1, round(SHARE * len(paths)))])
        train[name] = [path for path in paths if path not in measured]
        test[name] = [path for path in paths if path in measured]
    learned, held = _alike(train, size), _alike(test, size)
    note = (
        f"'{root}' has no parts train/ and test/: of each class a fifth of the images, chosen by the digests of their "
        f"names, is measured ({len(held)} of {len(held) + len(learned)}), and the others are learned from"
    )
    return DataSplit(learned, held, names, (note, *notes_on(root, names, found.left_out)))


def _digest(path: Path) -> bytes:
    return sha256(f"{path.parent.name}/{path.name}".encode(errors="surrogateescape")).digest()


def _tiny_imagenet(root: Path) -> DataSplit:
    """train/CLASS/images/*.JPEG; val/images/*.JPEG with val/val_annotations.txt; the test images have no labels."""
    names = tuple(sorted(_lines(root / "wnids.txt")))
    rows = [line.split("\t") for line in _lines(root / "val" / "val_annotations.txt")]
    train = _published({name: root / "train" / name / "images" for name in names})
    held = _by_class(names, [(root / "val" / "images" / row[0], row[1]) for row in rows])
    return DataSplit(
        _set(train.by_class, _coloured), _set(held, _coloured), names, notes_on(root, names, train.left_out)
    )


def _imagenet(root: Path) -> DataSplit:
    """ILSVRC/Data/CLS-LOC/train/CLASS/*.JPEG and val/*.JPEG, whose classes stand in LOC_val_solution.csv."""
    data = root / "ILSVRC" / "Data" / "CLS-LOC"
    names = _folders(data / "train")
    rows = [line.split(",") for line in _lines(root / "LOC_val_solution.csv")[1:]]
    held = _by_class(names, [(data / "val" / f"{row[0]}.JPEG", row[1].split()[0]) for row in rows])
    train = _published({name: data / "train" / name for name in names})
    return DataSplit(_set(train.by_class, _square), _set(held, _square), names, notes_on(root, names, train.left_out))


def _published(folders: Mapping[str, Path]) -> Pictures:
    """The pictures of classes as published, whole and too many to look at each."""
    return pictures_of(folders, wrong=lambda _: None)


def _lines(file: Path) -> list[str]:
    if not file.is_file():
        raise BadConfig(f"'{file}', which says the classes of the images, cannot be read: there is no such file")
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"'{file}', which says the classes of the images, cannot be read: {error}") from error


def _folders(folder: Path) -> tuple[str, ...]:
    names = class_names(folder) if folder.is_dir() else ()
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


def _part(folder: Path, names: tuple[str, ...]) -> Pictures:
    """The pictures of a part, which may have no further classes."""
    strange = [name for name in class_names(folder) if name not in names]
    if strange:
        raise BadConfig(f"'{folder}' has class '{strange[0]}', which the training part does not have")
    found = pictures_of({name: folder / name for name in names})
    return Pictures(found.by_class, [*found.left_out, *beside_classes(folder)])


def _alike(found: Mapping[str, Sequence[Path]], size: tuple[int, int] | None) -> ImageSet:
    """Pictures, brought to a size and to colours where they are not of one form."""
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


def _set(found: Mapping[str, Sequence[Path]], read: Callable[[Path], Tensor]) -> ImageSet:
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
