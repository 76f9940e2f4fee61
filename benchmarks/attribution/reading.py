"""Reading an image folder while the network runs on the batch before."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.attribution.timing import in_turns, median
from model_lego.data import batches, open_data, sets
from model_lego.models import build

IMAGES, SIDE = 256, 224


def reading_ahead() -> dict[str, Any]:
    """JPEG files of 224 x 224 through ResNet-18: reading alone, the network alone, one after the other, and ahead."""
    torch.manual_seed(0)
    model = build("torchvision:resnet18", num_classes=2).eval()
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.default_rng(0)
        for part in ("train", "test"):
            for label in ("a", "b"):
                inside = Path(folder) / part / label
                inside.mkdir(parents=True)
                for number in range(IMAGES // 2):
                    coarse = Image.fromarray(noise.integers(0, 256, (28, 28, 3), dtype=np.uint8))
                    coarse.resize((SIDE, SIDE)).save(inside / f"{number}.jpg", quality=90)
        given = batches(open_data(folder).train, batch_size=16)
        held = list(given)

        def run(some: Any) -> None:
            with torch.no_grad():
                for images, _ in some:
                    model(images)

        def one_after_the_other() -> None:
            for start in range(0, IMAGES, 16):
                run([given.read(torch.arange(start, start + 16))])

        times = in_turns(
            {
                "reading": lambda: list(given),
                "network": lambda: run(held),
                "one after the other": one_after_the_other,
                "ahead": lambda: run(given),
            }
        )
    return {
        "images": IMAGES,
        "side": SIDE,
        "batches ahead": sets.AHEAD,
        "seconds": {name: median(times, name) for name in times},
    }
