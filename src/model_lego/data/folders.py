"""Image folders: train/CLASS and test (or val)/CLASS, or CLASS alone; Tiny-ImageNet and ImageNet as published."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from model_lego.data.class_folders import Pictures, beside_classes, class_names, note_on_empty, notes_on, pictures_of
from model_lego.data.dividing import divided
from model_lego.data.label_rows import HELD
from model_lego.data.photo_sets import Reading
from model_lego.data.sets import DataSplit
from model_lego.errors import BadConfig, EmptySelection
from model_lego.parts.preprocessing import Preprocessing

#: How ImageNet's pictures come where nothing is said of it.
PUBLISHED = Preprocessing(size=256, crop=224)


def open_folder(root: Path, reading: Reading | None = None, *, seed: int = 0) -> DataSplit:
    """Read an image folder; classes are the folders of the training part, by name, or by number where all are numbers.

    Without parts the folders are classes, and a fifth of each, by `seed` always the same, is the test part. The notes
    say what one has to know: classes by number or without pictures, parts that are not used, a division, files that are
    left out. Pictures are read as `reading` says, otherwise as they are.

    Of Tiny-ImageNet and ImageNet, in the layouts in which they are published, the classes keep the names of their
    folders (WordNet numbers), and the validation images are the test part; ImageNet's come as 224 x 224 pixels, the
    middle of the picture with its shorter side at 256, where no other size is said. Raises BadConfig, EmptySelection.
    """
    reading = reading or Reading()
    if (root / "wnids.txt").is_file():
        return _tiny_imagenet(root, reading)
    if (root / "ILSVRC").is_dir():
        return _imagenet(root, reading)
    names = [name for name in ("train", *HELD) if (root / name).is_dir()]
    if any(class_names(root / name) for name in names) or ("train" in names and len(names) > 1):
        return _in_parts(root, reading)
    classes = class_names(root)
    if not classes:
        raise BadConfig(f"'{root}' has no folders train/CLASS and test/CLASS (or val/CLASS), nor CLASS alone")
    return divided(root, _part(root, classes), reading, seed)


def _in_parts(root: Path, reading: Reading) -> DataSplit:
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
    parts = {folder: _part(folder, names) for folder in (train, root / measured)}
    notes = [note for folder, part in parts.items() for note in note_on_empty(f"'{folder}'", part, folder)]
    notes += notes_on(root, names, [each for part in parts.values() for each in part.left_out])
    if unused:
        notes = [f"of '{root}' {measured}/ is measured; not used: {', '.join(unused)}", *notes]
    learned, test = (part.by_class for part in parts.values())
    return reading.split(learned, test, notes)


def _tiny_imagenet(root: Path, reading: Reading) -> DataSplit:
    """train/CLASS/images/*.JPEG; val/images/*.JPEG with val/val_annotations.txt; the test images have no labels."""
    names = tuple(sorted(_lines(root / "wnids.txt")))
    rows = [line.split("\t") for line in _lines(root / "val" / "val_annotations.txt")]
    train = _published({name: root / "train" / name / "images" for name in names})
    held = _by_class(names, [(root / "val" / "images" / row[0], row[1]) for row in rows])
    return _of_published(root, train, held, reading)


def _imagenet(root: Path, reading: Reading) -> DataSplit:
    """ILSVRC/Data/CLS-LOC/train/CLASS/*.JPEG and val/*.JPEG, whose classes stand in LOC_val_solution.csv."""
    data = root / "ILSVRC" / "Data" / "CLS-LOC"
    names = _folders(data / "train")
    rows = [line.split(",") for line in _lines(root / "LOC_val_solution.csv")[1:]]
    held = _by_class(names, [(data / "val" / f"{row[0]}.JPEG", row[1].split()[0]) for row in rows])
    train = _published({name: data / "train" / name for name in names})
    return _of_published(root, train, held, replace(reading, unsized=PUBLISHED))


def _published(folders: Mapping[str, Path]) -> Pictures:
    """The pictures of classes as published, whole and too many to look at each."""
    return pictures_of(folders, wrong=lambda _: None)


def _of_published(root: Path, train: Pictures, held: Mapping[str, Sequence[Path]], reading: Reading) -> DataSplit:
    """A published set, which is coloured but for a few pictures."""
    notes = note_on_empty(f"the training part of '{root}'", train, root)
    notes += notes_on(root, tuple(train.by_class), train.left_out)
    return replace(reading, channels=reading.channels or 3).split(train.by_class, held, notes)


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
