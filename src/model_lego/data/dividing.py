"""Data sets without parts: a fifth of each class is measured, always the same."""

from hashlib import sha256
from pathlib import Path

from model_lego.data.class_folders import Pictures, note_on_empty, notes_on
from model_lego.data.photo_sets import Reading
from model_lego.data.sets import DataSplit
from model_lego.pictures.left_out import first

#: Share of each class that is measured.
SHARE = 0.2


def divided(root: Path, found: Pictures, reading: Reading, seed: int) -> DataSplit:
    """Learn from some pictures of each class of a folder or list, and measure the others, which is said.

    Those are measured whose names have the smallest digests: they are the same on all machines, and a new picture or
    class moves few of the others. A `seed` other than 0 is a part of the digests. Raises EmptySelection for no picture.
    """
    names, base = tuple(found.by_class), root if root.is_dir() else root.parent
    notes = list(note_on_empty(f"'{root}'", found, base))
    train, test = {}, {}
    for name, paths in found.by_class.items():
        number = max(1, round(SHARE * len(paths))) if len(paths) > 1 else 0
        measured = set(sorted(paths, key=lambda path: _digest(path, seed))[:number])
        train[name] = [path for path in paths if path not in measured]
        test[name] = [path for path in paths if path in measured]
    held, every = (sum(map(len, part.values())) for part in (test, found.by_class))
    notes.insert(
        0,
        f"'{root}' has no parts train/ and test/: of each class a fifth of the images, chosen by the digests of their "
        f"names, is measured ({held} of {every}), and the others are learned from",
    )
    if single := [name for name, paths in found.by_class.items() if len(paths) == 1]:
        notes.append(f"classes of one image, which is learned from and not measured: {first(single)}")
    return reading.split(train, test, (*notes, *notes_on(base, names, found.left_out)))


def _digest(path: Path, seed: int) -> bytes:
    salt = f"{seed}/" if seed else ""
    return sha256(f"{salt}{path.parent.name}/{path.name}".encode(errors="surrogateescape")).digest()
