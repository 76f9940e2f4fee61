"""How many calibration images a repair holds at each stop: few where maps are large, more as they shrink."""

import ctypes
import math
import mmap
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from model_lego.graph.program import Program

#: The part of the memory, at most, that images take which run from the start to where the others are.
JOINING = 8


@dataclass(frozen=True, slots=True)
class Holding:
    """So many images run at once, and so many such chunks are held at each stop, never fewer than before it."""

    chunk: int
    chunks: tuple[int, ...]


def holding(
    needs: Sequence[int],
    fits: Callable[[int], Sequence[int]],
    images: int,
    *,
    memory: int,
    chunk: int,
    peak: int = 0,
) -> Holding:
    """Hold as many images as the memory has room for: at each stop no more than at any later one, at least a chunk.

    `needs` are bytes an image at each stop, `fits` tells those of solving for a layer there where so many images run at
    once, `peak` is what each of these takes on its way. All images are held from the start where they have room.
    """
    chunk = max(1, min(chunk, memory // JOINING // max(*needs, peak, 1)))
    left = [max(0, memory - fit - chunk * peak) for fit in fits(chunk)]
    each = [free // max(need, 1) for need, free in zip(needs, left, strict=True)]
    rooms = list(accumulate(reversed(each), min))[::-1]
    every = math.ceil(images / chunk)
    return Holding(chunk, tuple(every if some >= images else max(1, some // chunk) for some in rooms))


def resident() -> int:
    """Bytes of memory that the process has of the system; 0 where Linux does not tell."""
    told = Path("/proc/self/statm")
    return int(told.read_text().split()[1]) * mmap.PAGESIZE if told.is_file() else 0


def give_back(above: int = 0) -> None:
    """Give memory that was freed back to the system, where the allocator keeps it for later (glibc).

    Only where the process has more than so many bytes: what is given back has to be asked for again.
    """
    if resident() <= above:
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def live_bytes(program: Program, last_use: Mapping[fx.Node, Sequence[fx.Node]]) -> list[int]:
    """Bytes of the values of one image that are held behind each operator."""
    held = sum(_bytes(node, program) for node in program.nodes if node.name == program.image)
    found = []
    for node in program.nodes:
        if node.op == "call_function":
            held += _bytes(node, program)
            held -= sum(_bytes(dead, program) for dead in last_use.get(node, ()))
            found.append(held)
    return found


def peak_bytes(program: Program, live: Sequence[int]) -> int:
    """Bytes of the values of one image while an operator runs, at most, of those `live` behind each."""
    calls = [node for node in program.nodes if node.op == "call_function"]
    before = [_bytes(node, program) for node in program.nodes if node.name == program.image] + list(live)
    return max(held + _bytes(node, program) for held, node in zip(before, calls, strict=False))


def taught_bytes(source: Program, own: Program) -> int:
    """Bytes of one image on the way there and back through a cut network, towards the values of its source."""
    held = [
        sum(_bytes(node, program) for node in program.nodes if node.op == "call_function") for program in (own, source)
    ]
    return 2 * held[0] + held[1]


def _bytes(node: fx.Node, program: Program) -> int:
    """Bytes of an operator's result for one image; what does not depend on the images counts as nothing."""
    if node.name != program.image and not node.meta.get("by_batch", True):
        return 0
    values = [value for value in tree_leaves(node.meta.get("val")) if isinstance(value, Tensor)]
    return sum(int(value.numel()) * value.element_size() for value in values) // program.batch


def fit_bytes(groups: int, features: int, outputs: int, rows: int, at_once: int) -> int:
    """Bytes that the closed form of a layer takes, with so many rows, of which one chunk of images gives `at_once`.

    Rows are copied in single precision, and collected until they are twice as many as the features; where there are
    fewer than features, all are held, else sums of their products, of each half of the images and of all.
    """
    copies = 12 * groups * max(at_once, min(rows, 2 * features)) * (features + outputs)
    if rows < features:
        return copies + 8 * groups * (4 * rows * (features + outputs) + 2 * rows**2)
    return copies + 8 * groups * (7 * features**2 + 7 * features * outputs)
