"""How random networks are drawn: hypothesis strategies for descriptions, so that a failure shrinks to a small one.

The sizes lie on both sides of every threshold between two code paths of the library:

- `attribution/contribution.py`: maps above FEW_PIXELS = 256 pixels are summed one dimension after the other; kernels of
  one number, kernels of one row or column among the dimensions; fewer pixels than taps (the pixels themselves are
  taken); taps that read padding only; a single term a channel (two vectors are summed instead of a matrix).
- `graph/channels_last.py`: float32 over images runs channels-last; float64, sequences and volumes do not.
- `graph/runner.py`: activations above CACHED_BYTES make portions of a batch. `attribution/summing.py`: HELD_SAMPLES
  that are summed together, BLOCK_ELEMENTS of a block of input channels. `tight` networks are tried with all of them
  lowered.
- `attribution/summing.py`: as many groups as channels are left out, fewer are not; positions that lie in the batch.
- `cutting/verification.py`: networks without numbers in their forward are narrowed, others are exported anew;
  `cutting/tracing.py`: all suspect lines hold, some, or none.
- `graph/balancing.py`: blocks that lie apart are filled up, those that overlap are an integer program.
- `graph/ops/movement.py`, `graph/ops/norms.py`: one group, some, as many as channels; grids of one and of several rows.
- `repairing/`: layers with fewer rows than features; with a bias, with a norm behind them, with neither.
"""

from collections.abc import Callable
from contextlib import suppress

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import drawn_layers as layers
from tests.fuzz import drawn_wiring as wiring
from tests.fuzz.describing import Network, Shape, Step, Steps, behind
from tests.fuzz.drawn_layers import WIDTHS, Draw, act, add, numbers, one_of, same_conv
from tests.fuzz.layers import Conv, Linear, Norm, Pool
from tests.fuzz.moving import ENDS, FLATTENING, End, Flat

#: Sides of images: of few pixels, of 255 to 272 pixels, of more.
SIDES: dict[int, list[Shape]] = {
    1: [(24,), (5,), (255,), (256,), (257,)],
    2: [(8, 8), (12, 12), (3, 5), (15, 17), (16, 16), (17, 16), (13, 20), (4, 70), (24, 24)],
    3: [(3, 5, 6), (4, 8, 8), (5, 7, 8)],
}
MOST_FEATURES = 1200  # that a linear layer reads

#: What is drawn how often, beside convolutions.
PLAIN = (layers.conv, layers.conv, layers.norm, act, layers.pool)
OTHERS = (
    *(layers.up, layers.pad, layers.resize, layers.pointwise, layers.channel_linear, layers.computed),
    *(wiring.join, wiring.join, wiring.join, wiring.split, wiring.split, wiring.twice, wiring.twice, wiring.tied),
    *(wiring.gate, wiring.gate, wiring.shuffle, wiring.space, wiring.grid, wiring.scale, wiring.tokens, wiring.fold),
    *(wiring.extra, wiring.blur, wiring.counted, wiring.move),
)


def body(draw: Draw, image: Shape) -> Steps:
    """Up to eight steps from images to maps, the first and the last a convolution most often."""
    steps: list[Step] = []
    if one_of(draw, True, True, True, False):
        add(steps, same_conv(draw, image, one_of(draw, *WIDTHS)), image)
    for _ in range(draw(st.integers(1, 5))):
        kind = one_of(draw, *(PLAIN if one_of(draw, True, False, False) else OTHERS))
        add(steps, kind(draw, behind(steps, image)), image)
    if one_of(draw, True, False, True):
        add(steps, same_conv(draw, behind(steps, image), one_of(draw, *WIDTHS)), image)
        add(steps, act(draw, image), image)
    return tuple(steps)


def head(draw: Draw, shape: Shape) -> Steps:
    """Features of the maps, layers on them, and the logits."""
    classes = one_of(draw, 4, 3, 2, 6)
    steps: list[Step] = []
    if one_of(draw, False, False, False, True):  # a convolution gives the logits
        kernel = one_of(draw, tuple(1 for _ in shape[1:]), shape[1:])
        steps += [Conv(classes, kernel, bias=draw(st.booleans())), Flat(one_of(draw, "mean", "max"))]
    else:
        how = one_of(draw, "flatten", "mean", *FLATTENING, "written")
        if numbers(shape) > MOST_FEATURES:
            steps.append(Pool("adaptive_avg", tuple(2 for _ in shape[1:])))
        steps.append(Flat(how))
        for _ in range(draw(st.integers(0, 2))):
            width = one_of(draw, 8, 6, 16)
            steps += [Linear(width, draw(st.booleans()))]
            steps += (*one_of(draw, (), (Norm("batch"),), (Norm("layer"),)), act(draw, (width,)))
        steps.append(Linear(classes, one_of(draw, True, True, False)))
    if one_of(draw, False, False, False, True):
        steps.append(End(one_of(draw, *ENDS)))
    return tuple(steps)


def network(seed: int, number: int) -> Network:
    """The network of this number."""
    drawn: list[Network] = []

    def note(network: Network) -> None:
        drawn.append(network)

    _run(seed, number, note, Phase.generate)
    return drawn[-1]  # the first is always the simplest of all


def smallest(seed: int, number: int, fails: Callable[[Network], bool]) -> Network:
    """The smallest network that hypothesis finds from the one of this number on, which fails as that did."""
    failing: list[Network] = []

    def attempt(network: Network) -> None:
        if fails(network):
            failing.append(network)
            raise AssertionError

    with suppress(AssertionError):
        _run(seed, number, attempt, Phase.generate, Phase.shrink)
    return failing[-1]


def _run(seed: int, number: int, body: Callable[[Network], None], *phases: Phase) -> None:
    options = settings(
        max_examples=2, phases=phases, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    hypothesis.seed(1_000_003 * seed + number)(options(given(networks())(body)))()


@st.composite
def networks(draw: Draw) -> Network:
    """Small classifiers: some run on a sequence or a volume, most on a picture."""
    dims = one_of(draw, 2, 2, 2, 2, 1, 3)
    image = (one_of(draw, 3, 1, 4), *one_of(draw, *SIDES[dims]))
    steps = body(draw, image)
    return Network(
        image,
        steps,
        head(draw, behind(steps, image)),
        draw(st.booleans()),
        one_of(draw, "contiguous", "contiguous", "channels_last") if dims == 2 else "contiguous",
        draw(st.booleans()),
    )
