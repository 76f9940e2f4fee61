"""How many calibration images a repair holds at each operator: few where maps are large, more as they shrink."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from model_lego.graph.program import Program

#: The part of the memory, at most, that images take which run from the start to where the others are.
JOINING = 8


@dataclass(frozen=True, slots=True)
class Holding:
    """So many images run at once, and so many such chunks are held at each operator, never fewer than before it."""

    chunk: int
    chunks: tuple[int, ...]


def holding(
    needs: Sequence[int], fits: Callable[[float], Sequence[int]], images: int, *, memory: int, chunk: int
) -> Holding:
    """Hold as many images as the memory has room for: at each operator no more than at any later one, at least a chunk.

    `needs` are bytes an image at each operator, `fits` tells those of solving for a layer there by which share of the
    images runs at once. All images are held from the start where they have room.
    """

    def room(share: float, kept_free: int = 0) -> list[int]:
        left = [max(0, memory - fit - kept_free) for fit in fits(min(1, share))]
        each = [free // max(need, 1) for need, free in zip(needs, left, strict=True)]
        return list(accumulate(reversed(each), min))[::-1]

    rooms = room(chunk / images)
    if rooms[0] < images:
        chunk = max(1, min(chunk, memory // JOINING // max(needs)))
        rooms = room(max(chunk / images, 2 / JOINING), chunk * max(needs))
    every = math.ceil(images / chunk)
    return Holding(chunk, tuple(every if some >= images else max(1, some // chunk) for some in rooms))


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


def _bytes(node: fx.Node, program: Program) -> int:
    """Bytes of an operator's result for one image; what does not depend on the images counts as nothing."""
    if node.name != program.image and not node.meta.get("by_batch", True):
        return 0
    values = [value for value in tree_leaves(node.meta.get("val")) if isinstance(value, Tensor)]
    return sum(int(value.numel()) * value.element_size() for value in values) // program.batch


def fit_bytes(groups: int, features: int, outputs: int, rows: int, at_once: int) -> int:
    """Bytes that the closed form of a layer takes, with so many rows, of which one chunk of images gives `at_once`.

    Rows are copied in single precision, and collected until they are twice as many as the features; where there are
    fewer than features, all are held, else sums of their products.
    """
    copies = 12 * groups * max(at_once, min(rows, 2 * features)) * (features + outputs)
    if rows < features:
        return copies + 8 * groups * (3 * rows * (features + outputs) + 2 * rows**2)
    return copies + 8 * groups * (5 * features**2 + 3 * features * outputs)
