"""Measure, record, and write the page and its picture."""

import json
from dataclasses import asdict
from typing import Any

from benchmarks.common import RESULTS, ROOT, record
from benchmarks.compression.figure import draw
from benchmarks.compression.measuring import TUNING, Bench, measured, open_bench
from benchmarks.compression.page import page
from benchmarks.trained import ABSENT

NETWORK = "VGG-16 with BatchNorm at half width, CIFAR-10 classes 0 to 4"
SIZES = (0.75, 0.5, 0.25, 0.125)
#: The size that is measured with every seed, and fine-tuned with the first.
HALF = (0.5,)
SEEDS = (0, 1, 2)


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    bench = open_bench()
    if bench is None:
        print(f"compression: skipped, {ABSENT}")
        return
    about, rows = _about(bench), list[dict[str, Any]]()
    for seed in SEEDS:
        first = seed == SEEDS[0]
        for row in measured(bench, SIZES if first else HALF, seed, HALF if first else ()):
            print(row)
            rows.append(row)
            record("compression", about | {"rows": rows}, show=False)  # what is done counts, also after a kill
    write()


def _about(bench: Bench) -> dict[str, Any]:
    """What is measured, and how."""
    return {
        "network": NETWORK,
        "source": bench.accuracy(bench.source),
        "test_images": len(bench.test[1]),
        "train_images": len(bench.train),
        "tuning": asdict(TUNING),
    }


def write() -> None:
    """Write docs/compression.md and its picture from the recorded result."""
    result = json.loads((RESULTS / "compression.json").read_text())
    (ROOT / "docs/compression.md").write_text(page(result))
    (ROOT / "docs/figures").mkdir(exist_ok=True)
    draw(result, ROOT / "docs/figures/compression.svg")
