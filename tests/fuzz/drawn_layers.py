"""Drawing steps that are one layer; each function takes the shape that the step is to read."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.describing import Shape, Step, behind
from tests.fuzz.layers import (
    ACTIVATIONS,
    POINTWISE,
    Act,
    Computed,
    Conv,
    Linear,
    Norm,
    Pad,
    Pointwise,
    Pool,
    Resize,
    Up,
)

Draw = Callable[[st.SearchStrategy[Any]], Any]

WIDTHS = (4, 6, 8, 12)
MOST_NUMBERS = 12_000  # of a value, of one image
MOST_CHANNELS = 32


def numbers(shape: Shape) -> int:
    """How many numbers a value of this shape has."""
    count = 1
    for size in shape:
        count *= size
    return count


def one_of(draw: Draw, *values: Any) -> Any:
    """One of these values; the first is the simplest."""
    return draw(st.sampled_from(values))


def groups_of(draw: Draw, *counts: int) -> int:
    """A number of groups that divides all of these."""
    fitting = [n for n in range(1, min(counts) + 1) if all(count % n == 0 for count in counts)]
    return one_of(draw, *fitting)


def width_of(draw: Draw, shape: Shape) -> int:
    """A number of channels to go on with."""
    return one_of(draw, *WIDTHS, shape[0])


def add(steps: list[Step], step: Step | None, shape: Shape, *, sides: Shape | None = None) -> None:
    """Put a step behind others where it runs, and what it gives is of a size to go on with."""
    if step is None:
        return
    try:
        found = behind((*steps, step), shape)
    except (RuntimeError, ValueError, IndexError, NotImplementedError):
        return
    fits = found and min(found) > 0 and numbers(found) <= MOST_NUMBERS and found[0] <= MOST_CHANNELS
    if fits and len(found) == len(shape) and sides in (None, found[1:]):
        steps.append(step)


def conv(draw: Draw, shape: Shape) -> Step:
    """A convolution of any geometry, as wide as not to leave nothing of the maps."""
    dims = len(shape) - 1

    def each(*values: int) -> tuple[int, ...]:
        return tuple(one_of(draw, *values) for _ in range(dims))

    kernel = one_of(draw, each(1), each(3), each(1, 3), each(1, 7), each(2), each(1, 2, 3, 4, 5, 7))
    dilation = one_of(draw, each(1), each(1, 2), each(3))
    same = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
    padding = one_of(draw, same, "same", 0, each(0, 1, 2), tuple(p + 1 for p in same))
    stride = 1 if padding == "same" else one_of(draw, 1, each(1, 2), 3)
    mode = one_of(draw, "zeros", "zeros", "reflect", "replicate", "circular")
    width = width_of(draw, shape)
    depthwise = draw(st.booleans()) and draw(st.booleans())
    if depthwise:
        width = shape[0] * one_of(draw, 1, 2)
    groups = shape[0] if depthwise else groups_of(draw, shape[0], width) if draw(st.booleans()) else 1
    return Conv(width, kernel, stride, padding, dilation, groups, mode, draw(st.booleans()))


def up(draw: Draw, shape: Shape) -> Step:
    """A transposed convolution."""
    dims = len(shape) - 1

    def each(*values: int) -> tuple[int, ...]:
        return tuple(one_of(draw, *values) for _ in range(dims))

    kernel = one_of(draw, each(2), each(3), each(1, 2, 3, 4))
    stride, dilation = one_of(draw, 2, 1, each(1, 2)), one_of(draw, 1, 1, each(1, 2))
    extra = one_of(draw, 0, 1) if stride == 2 else 0
    width = width_of(draw, shape)
    if draw(st.booleans()) and draw(st.booleans()):
        width = shape[0]
    groups = one_of(draw, 1, 1, groups_of(draw, shape[0], width), shape[0] if width % shape[0] == 0 else 1)
    return Up(width, kernel, stride, one_of(draw, 0, 1), extra, dilation, groups, draw(st.booleans()))


def norm(draw: Draw, shape: Shape) -> Step:
    """A normalisation."""
    how = one_of(draw, "batch", "batch", "batch", "batch", "group", "group", "instance", "pixels", "layer", "rms")
    groups = groups_of(draw, shape[0]) if how == "group" else 1
    return Norm(how, groups, one_of(draw, True, True, False), how == "instance" and draw(st.booleans()))


def act(draw: Draw, shape: Shape) -> Step:
    """An activation, a relu most often."""
    return Act(one_of(draw, "relu", "relu", "relu", *ACTIVATIONS, "prelu_each"))


def pool(draw: Draw, shape: Shape) -> Step:
    """A pool."""
    dims = len(shape) - 1
    how = one_of(draw, "max", "avg", "adaptive_max", "adaptive_avg")
    size = tuple(one_of(draw, 2, 3, 1) for _ in range(dims))
    if how.startswith("adaptive"):
        return Pool(how, size)
    padding = one_of(draw, 0, 1) if min(size) >= 2 else 0
    return Pool(how, size, one_of(draw, 2, 1, 3), padding, draw(st.booleans()))


def pad(draw: Draw, shape: Shape) -> Step:
    """Padding or cropping of the pixels."""
    how = one_of(draw, "constant", "reflect", "replicate", "circular")
    lowest = -1 if how == "constant" else 0
    amounts = tuple(draw(st.integers(lowest, 2)) for _ in range(2 * (len(shape) - 1)))
    return Pad(how, amounts, one_of(draw, None, 0.5) if how == "constant" else None)


def resize(draw: Draw, shape: Shape) -> Step:
    """Interpolation."""
    linear = {2: ("linear",), 3: ("bilinear", "bicubic"), 4: ("trilinear",)}[len(shape)]
    how = one_of(draw, "nearest", *linear)
    if draw(st.booleans()):
        return Resize(how, None, one_of(draw, 2.0, 1.5))
    return Resize(how, tuple(one_of(draw, 4, 7, 17) for _ in shape[1:]))


def pointwise(draw: Draw, shape: Shape) -> Step:
    """A function of each element, or of the channels at a pixel."""
    return Pointwise(one_of(draw, *POINTWISE))


def channel_linear(draw: Draw, shape: Shape) -> Step:
    """A linear layer over the channels of each pixel."""
    return Linear(width_of(draw, shape), draw(st.booleans()))


def computed(draw: Draw, shape: Shape) -> Step:
    """A convolution with a computed weight."""
    return Computed(width_of(draw, shape), one_of(draw, "weight_norm", "standardised"))


def same_conv(draw: Draw, shape: Shape, width: int | None = None) -> Conv:
    """A convolution that keeps the maps' sizes."""
    kernel = tuple(one_of(draw, 1, 3, 5) for _ in shape[1:])
    width = width_of(draw, shape) if width is None else width
    groups = groups_of(draw, shape[0], width) if draw(st.booleans()) else 1
    return Conv(width, kernel, padding="same", groups=groups, bias=draw(st.booleans()))
