"""How many calibration images a repair holds at each operator: few where maps are large, more as they shrink."""

import math
from collections.abc import Mapping, Sequence
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


def holding(needs: Sequence[int], fits: Sequence[int], images: int, *, memory: int, chunk: int) -> Holding:
    """Hold as many images as the memory has room for: at each operator no more than at any later one, at least a chunk.

    `needs` are bytes an image at each operator, `fits` those of solving for a layer there. All images are held from the
    start where they have room.
    """

    def room(kept_free: int) -> list[int]:
        each = [max(0, memory - fit - kept_free) // max(need, 1) for need, fit in zip(needs, fits, strict=True)]
        return list(accumulate(reversed(each), min))[::-1]

    rooms = room(0)
    if rooms[0] < images:
        chunk = max(1, min(chunk, memory // JOINING // max(needs)))
        rooms = room(chunk * max(needs))
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


def fit_bytes(groups: int, features: int, outputs: int, rows: int) -> int:
    """Bytes that the closed form of a layer takes: of the rows where they are fewer than the features, else of sums."""
    if rows < features:
        return 8 * groups * (3 * rows * (features + outputs) + 2 * rows**2)
    return 8 * groups * (5 * features**2 + 3 * features * outputs)
