"""Processes that save to one folder, or make recipes, and are killed at random times: is it the old part or a new one?

`python -m benchmarks.kills [KILLS] [SECONDS]`: kills of two writers each, within so many seconds of their start, of
`make` eight times as many; recorded in `benchmarks/results/kills.json`. Writers are forked with everything imported, so
that kills fall into their work.
"""

import io
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.common import record
from model_lego.cli import main
from model_lego.cli.recipe.recording import recipe_of
from model_lego.models import build
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder, Cost, Origin
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
    writers = [partial(_writing, folder, one) for one in parts[:WRITERS]]
    return Counter(_whole(folder, parts) for _ in _kills(writers, kills, seconds, seed))


def killed_makes(folder: Path, parts: Sequence[Component], kills: int, seconds: float, seed: int = 0) -> Counter[str]:
    """The same of processes that make the parts, in one order and the other, one assembly, each by a recipe of its own.

    Raises AssertionError where the folder holds neither of the two, with its own recipe.
    """
    orders = {"in order": parts, "reversed": list(reversed(parts))}
    for each in parts:
        save(each, folder.with_name(each.classes[0]))
    recipes = {name: folder.with_name(f"{name}.yaml") for name in orders}
    wanted = {}
    for name, order in orders.items():
        words = [str(folder.with_name(each.classes[0])) for each in order]
        step = {"command": "assemble", "parts": words, "on_clash": "prefer"}
        recipes[name].write_text(json.dumps({"steps": {"joined": step}}), encoding="utf-8")
        _make(recipes[name], folder)
        wanted[_told(folder)] = name
    writers = [partial(_making, recipe, folder) for recipe in recipes.values()]
    return Counter(wanted[_told(folder)] for _ in _kills(writers, kills, seconds, seed))


def _kills(writers: Sequence[Callable[[], None]], kills: int, seconds: float, seed: int) -> Iterator[int]:
    """Let processes write at once, and kill them after a random time; again and again."""
    drawn = random.Random(seed)
    for number in range(kills):
        started = [_started(writer) for writer in writers]
        time.sleep(drawn.uniform(0, seconds))
        for writer in started:
            writer.kill()
        for writer in started:
            writer.join()
        yield number


def _make(recipe: Path, folder: Path) -> None:
    """Run `model-lego make` as it is typed."""
    steps = folder.with_name("steps")
    words = ["make", str(recipe), "--out", str(folder), "--steps", str(steps), "--fresh", "--overwrite", "--json"]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), suppress(SystemExit):
        main(words)


def _making(recipe: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    while True:
        _make(recipe, folder)


def _told(folder: Path) -> tuple[str, ...]:
    """The classes of the assembly in a folder, which is whole and has the recipe that made it."""
    there = load(folder)
    (step,) = recipe_of(str(folder)).steps
    assert Path(step.options["parts"][0]).name == there.classes[0]
    return there.classes


def left(folder: Path) -> list[str]:
    """What lies beside a folder."""
    return sorted(path.name for path in folder.parent.iterdir() if path != folder)


def _started(work: Callable[[], None]) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=work)
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


def measure(kills: int = 200, seconds: float = 0.5) -> None:
    """Kill, and record what was found; a `make` takes longer than a save, and gets eight times as many seconds."""
    torch.set_num_threads(1)
    parts = [part("a"), part("bb")]
    result: dict[str, Any] = {"kills": kills, "writers": WRITERS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "part"
        found = killed(folder, parts, kills, seconds)
        before = left(folder)
        save(parts[0], folder, overwrite=True)
        result["save"] = _found(found, seconds, before, left(folder))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "joined"
        made = killed_makes(folder, parts, kills, 8 * seconds)
        before = left(folder)
        _make(folder.with_name("in order.yaml"), folder)
        result["make"] = _found(made, 8 * seconds, before, left(folder))
    record("kills", result)


def _found(whole: Counter[str], seconds: float, before: list[str], after: list[str]) -> dict[str, Any]:
    """After how many kills the folder was whole, and how many hidden folders lay beside it, also after the next run."""
    return {
        "seconds at most": seconds,
        "whole after": sum(whole.values()),
        "which": dict(whole),
        "left by killed writers": _hidden(before),
        "left after the next run": _hidden(after),
    }


def _hidden(names: list[str]) -> int:
    return sum(name.startswith(".") for name in names)


if __name__ == "__main__":
    measure(*(kind(given) for kind, given in zip((int, float), sys.argv[1:], strict=False)))
