"""Processes that save to one folder and are killed at random times: is it the old part or a new one, and whole?

`python -m benchmarks.kills [KILLS] [SECONDS]`: kills of two writers each, within so many seconds of their start.
"""

import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from model_lego.models import build
from model_lego.parts.component import Builder, Component, Cost, Origin
from model_lego.store import load, save

NAME, ARGUMENTS = "zoo:lenet5", {"width": 0.2}
WRITERS = 2


def part(name: str) -> Component:
    """A component that is told from others by the name of its first class and by the values of its weights."""
    network = build(NAME, **ARGUMENTS).eval()
    for parameter in network.parameters():
        nn.init.constant_(parameter, len(name) / 100)
    cost = Cost(parameters=0, macs=0, bytes=0)
    classes = (name, *(f"class {label}" for label in range(1, 10)))
    origin = Origin(
        builder=Builder(NAME, ARGUMENTS),
        source_digest="",
        source_classes=classes,
        input_shape=(1, 28, 28),
        kept_outputs={},
        kept_inputs={},
        attributes={},
        settings={},
        cost_before=cost,
        cost_after=cost,
    )
    return Component(network, classes=classes, labels=range(10), origin=origin)


def killed(folder: Path, parts: Sequence[Component], kills: int, seconds: float, seed: int = 0) -> Counter[str]:
    """Which of the parts a folder held after each kill of its writers, by their first classes.

    Raises CorruptComponent where it holds none, AssertionError where it holds something of several.
    """
    save(parts[0], folder, overwrite=True)
    found: Counter[str] = Counter()
    drawn = random.Random(seed)
    for _ in range(kills):
        writers = [_started(_writing, folder, one) for one in parts[:WRITERS]]
        time.sleep(drawn.uniform(0, seconds))
        for writer in writers:
            writer.kill()
        for writer in writers:
            writer.join()
        found[_whole(folder, parts)] += 1
    return found


def left(folder: Path) -> list[str]:
    """What lies beside a folder."""
    return sorted(path.name for path in folder.parent.iterdir() if path != folder)


def _started(work: Callable[..., None], *given: object) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=work, args=given)
    process.start()
    return process


def _writing(folder: Path, one: Component) -> None:
    torch.set_num_threads(1)
    while True:
        save(one, folder, overwrite=True)


def _whole(folder: Path, parts: Sequence[Component]) -> str:
    """The name of the part that lies in a folder."""
    there = load(folder)
    one = next(part for part in parts if part.classes == there.classes)
    assert all(torch.equal(mine, its) for mine, its in zip(one.parameters(), there.parameters(), strict=True))
    return there.classes[0]


def main(kills: int = 200, seconds: float = 0.5) -> None:
    """Kill, and print what was found."""
    torch.set_num_threads(1)
    parts = [part("a"), part("bb")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "part"
        found = killed(folder, parts, kills, seconds)
        before = left(folder)
        save(parts[0], folder, overwrite=True)
        print(f"{kills} kills of {WRITERS} writers each, within {seconds} s: whole each time, {dict(found)}")
        print(f"left beside it: {len(before)} folders, after the next save {len(left(folder))}")


if __name__ == "__main__":
    main(*(kind(given) for kind, given in zip((int, float), sys.argv[1:], strict=False)))
