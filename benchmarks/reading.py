"""make bench ARGS=reading: photos decoded by one thread and by all, and what a second epoch takes."""

import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from benchmarks.attribution.timing import in_turns, median, ratio
from benchmarks.common import record
from model_lego import Preprocessing
from model_lego.data import DataSplit, batches, open_data, sets
from model_lego.parts.normalisations import NORMALISATIONS

#: Photos of the usual size of ImageNet's, and how its networks take them.
IMAGES, SIZE = 256, (500, 375)
TAKEN = Preprocessing(*NORMALISATIONS["imagenet"], size=256, crop=224)


def main() -> None:
    """Read a folder of photos in four ways, in turns, and record images a second."""
    with tempfile.TemporaryDirectory() as folder:
        _photos(Path(folder))
        kept = open_data(folder, preprocessing=TAKEN)
        _epoch(kept, sets.processors())
        ways = {
            "one thread": lambda: _epoch(open_data(folder, preprocessing=TAKEN, cache=0), 1),
            "a thread a processor": lambda: _epoch(open_data(folder, preprocessing=TAKEN, cache=0), sets.processors()),
            "second epoch": lambda: _epoch(kept, sets.processors()),
        }
        times = in_turns(ways)
    result = {
        "images": IMAGES,
        "pixels": SIZE,
        "processors": sets.processors(),
        "images a second": {name: IMAGES / median(times, name) for name in times},
        "times as fast as one thread": {name: ratio(times, "one thread", name) for name in times},
    }
    record("reading", result)


def _photos(root: Path) -> None:
    noise = np.random.default_rng(0)
    for part, count in (("train", IMAGES), ("test", 1)):
        (root / part / "a").mkdir(parents=True)
        for number in range(count):
            coarse = Image.fromarray(noise.integers(0, 256, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8))
            coarse.resize(SIZE).save(root / part / "a" / f"{number}.jpg", quality=90)


def _epoch(split: DataSplit, threads: int) -> None:
    with mock.patch.object(sets, "processors", return_value=threads):
        for _ in batches(split.train, batch_size=32):
            pass


if __name__ == "__main__":
    main()
