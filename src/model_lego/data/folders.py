"""Image folders: root/train/CLASS/*.png and root/test (or val)/CLASS/*.png."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model_lego.data.sets import DataSplit, ImageSet
from model_lego.errors import BadBatches, BadConfig, EmptySelection

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})


def open_folder(root: Path) -> DataSplit:
    """Read an image folder; classes are the folders of the training part, by name. Raises BadConfig, EmptySelection."""
    train = root / "train"
    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if not train.is_dir() or test is None:
        raise BadConfig(f"'{root}' has no folders train/CLASS and test/CLASS (or val/CLASS)")
    names = tuple(sorted(path.name for path in train.iterdir() if path.is_dir()))
    if not names:
        raise EmptySelection(f"'{train}' has no class folders")
    return DataSplit(_part(train, names), _part(test, names), names)


def _part(folder: Path, names: tuple[str, ...]) -> ImageSet:
    strange = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in names)
    if strange:
        raise BadConfig(f"'{folder}' has class '{strange[0]}', which the training part does not have")
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        inside = folder / name
        found = sorted(p for p in inside.iterdir() if p.suffix.lower() in SUFFIXES) if inside.is_dir() else []
        if not found:
            raise EmptySelection(f"class folder '{inside}' holds no image")
        paths += found
        labels += [label] * len(found)

    def image(number: int) -> Tensor:
        return _decoded(paths[number])

    return ImageSet(torch.tensor(labels), image, torch.arange(len(paths)))


def _decoded(path: Path) -> Tensor:
    """One image as float channels x height x width in 0..1: grey stays one channel, all else becomes RGB."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            deep = opened.mode in ("I;16", "I;16B", "I;16L", "I")  # 16-bit greys, which convert() would clip
            picture = opened if deep else opened.convert("L" if opened.mode in ("1", "L") else "RGB")
            pixels = torch.from_numpy(np.array(picture).astype(np.float32)) / (65535 if deep else 255)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadBatches(f"image '{path}' cannot be read: {error}") from error
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)
