"""Drawing steps that join, split, share and move; each function takes the shape that the step is to read."""

from hypothesis import strategies as st

from tests.fuzz.describing import Shape, Step, Steps, behind
from tests.fuzz.drawn_layers import Draw, act, add, groups_of, norm, numbers, one_of, pointwise, same_conv, width_of
from tests.fuzz.moving import MOVES, Blur, Counted, Extra, Move, Scale, Tokens
from tests.fuzz.wiring import Fold, Gate, Grid, Join, Shuffle, Space, Split, Tied, Twice


def keeping(draw: Draw, shape: Shape, width: int | None = None) -> Steps:
    """One to three steps that keep the maps' sizes, the last of them a convolution to `width` channels."""
    steps: list[Step] = []
    for _ in range(draw(st.integers(0, 2))):
        kind = one_of(draw, act, norm, pointwise, same_conv)
        add(steps, kind(draw, behind(steps, shape)), shape, sides=shape[1:])
    return (*steps, same_conv(draw, behind(steps, shape), width))


def join(draw: Draw, shape: Shape) -> Step:
    """Branches that are joined."""
    how = one_of(
        draw, "add", "cat", "mul", "sub", "div", "max", "where", "lerp", "addcmul", "stack", "add_", "cat_rows"
    )
    passes = draw(st.booleans())
    width = shape[0] if passes and how != "cat" else width_of(draw, shape)
    count = one_of(draw, 2, 3) if how in ("add", "cat", "stack") else 2
    branches = [() if passes else keeping(draw, shape, width)]
    branches += [keeping(draw, shape, None if how == "cat" else width) for _ in range(count - 1)]
    return Join(how, tuple(branches[::-1] if draw(st.booleans()) else branches))


def split(draw: Draw, shape: Shape) -> Step | None:
    """Blocks of channels through branches."""
    parts = groups_of(draw, shape[0])
    if parts == 1 or parts > 4:
        return None
    how = one_of(draw, "chunk", "chunk", "split", "split", "view", "slice", "stride", "sizes")
    sizes = ()
    if how == "sizes":
        parts, first = 2, draw(st.integers(1, shape[0] - 1))
        sizes = (first, shape[0] - first)
    join_by = one_of(draw, "cat", "cat", "add", "mul", "max")
    parts = parts if join_by in ("cat", "add") else 2
    if shape[0] % parts:
        return None
    widths = sizes or (shape[0] // parts,) * parts
    bare = join_by == "cat" or len(set(widths)) == 1
    branches = []
    for place, width in enumerate(widths):
        passes = bare and (place == 0 or draw(st.booleans()))
        branches.append(() if passes else keeping(draw, (width, *shape[1:]), None if join_by == "cat" else widths[0]))
    return Split(how, tuple(branches), join_by, sizes)


def twice(draw: Draw, shape: Shape) -> Step:
    """A shared layer."""
    how = one_of(draw, "chain", "add", "cat")
    return Twice(keeping(draw, shape, shape[0] if how == "chain" else None), how)


def tied(draw: Draw, shape: Shape) -> Step:
    """Two convolutions with one weight."""
    return Tied(one_of(draw, 3, 1))


def gate(draw: Draw, shape: Shape) -> Step:
    """A gate."""
    how = one_of(draw, "conv", "conv", "linear", "linear", "add", "along", "pixel", "softmax")
    return Gate(how, one_of(draw, 4, 2, 1))


def shuffle(draw: Draw, shape: Shape) -> Step:
    """A shuffle of the channels."""
    return Shuffle(groups_of(draw, shape[0]), one_of(draw, "view", "module"))


def space(draw: Draw, shape: Shape) -> Step | None:
    """Pixels to channels, or back, of pictures."""
    return Space(one_of(draw, "unshuffle", "shuffle")) if len(shape) == 3 else None


def grid(draw: Draw, shape: Shape) -> Step | None:
    """Channels viewed as a grid."""
    how = one_of(draw, "mean", "max", "softmax", "spread", "swap")
    columns = groups_of(draw, shape[0])
    return None if how == "spread" and columns == 1 else Grid(how, columns)


def scale(draw: Draw, shape: Shape) -> Step:
    """A scale and a shift."""
    return Scale(one_of(draw, "channels", "number", "pixels", "buffer", "all"))


def tokens(draw: Draw, shape: Shape) -> Step | None:
    """Pixels as tokens."""
    return Tokens(one_of(draw, "mix", "attend")) if numbers(shape[1:]) <= 64 else None


def fold(draw: Draw, shape: Shape) -> Step | None:
    """Rows in the batch."""
    if shape[1] % 2:
        return None
    return Fold(keeping(draw, (shape[0], shape[1] // 2, *shape[2:])))


def extra(draw: Draw, shape: Shape) -> Step:
    """More or fewer channels than there were."""
    return Extra(one_of(draw, "zeros", "coordinates", "drop"), one_of(draw, 1, 2))


def blur(draw: Draw, shape: Shape) -> Step:
    """A fixed kernel."""
    return Blur(one_of(draw, 3, 1))


def counted(draw: Draw, shape: Shape) -> Step:
    """A number of groups somewhere."""
    how, number = one_of(draw, "norm", "kernel"), one_of(draw, "held", "counted", "written")
    return Counted(how, number, groups_of(draw, shape[0]) if how == "norm" else 1)


def move(draw: Draw, shape: Shape) -> Step:
    """Pixels or channels at other places."""
    return Move(one_of(draw, *MOVES))
