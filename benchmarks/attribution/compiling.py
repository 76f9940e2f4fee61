"""The inner block of attribution (product, relu, sum over the samples of a class), as it is and compiled."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.attribution.timing import in_turns, median, ratio, seconds
from model_lego.attribution.summing import HELD_SAMPLES, positive_sum

#: Input channels, numbers read a channel (taps, or pixels where they are fewer), output channels: layers of VGG-16.
SHAPES = ((64, 9, 64), (128, 9, 128), (256, 9, 256), (512, 9, 512), (512, 4, 512))
CLASSES = 10


def in_one_expression(terms: Tensor, weight: Tensor) -> Tensor:
    """What positive_sum gives, as a compiler can fuse it: no product of it is ever written to memory."""
    inputs, samples, count = terms.shape
    total = terms.new_zeros(inputs, weight.shape[2])
    for sample in range(0, samples, 8):
        part = terms[:, sample : sample + 8]
        products = sum(part[:, :, k, None] * weight[:, None, k] for k in range(count))
        assert isinstance(products, Tensor)
        total = total + products.clamp(min=0).sum(1)
    return total


def compiled() -> dict[str, Any]:
    """Library calls against torch.compile of the same and of one fused expression, with its start-up."""
    torch.compiler.config.force_disable_caches = True  # what an earlier run left would hide the start-up
    works = {
        "library calls": positive_sum,
        "the same, compiled": torch.compile(positive_sum, dynamic=False),
        "one expression, compiled": torch.compile(in_one_expression, dynamic=False),
    }
    torch.manual_seed(0)
    samples = HELD_SAMPLES // CLASSES // 8 * 8
    rows = []
    for inputs, count, outputs in SHAPES:
        given = torch.randn(inputs, samples, count), torch.randn(inputs, count, outputs)
        expected = positive_sum(*given)
        calls = {name: partial(work, *given) for name, work in works.items()}
        start = {name: seconds(call) for name, call in calls.items()}
        for call in calls.values():
            torch.testing.assert_close(call(), expected)
        times = in_turns(calls)
        rows.append(
            {
                "inputs, numbers, outputs": [inputs, count, outputs],
                "ms": {name: 1e3 * median(times, name) for name in works},
                "times the library calls": {name: ratio(times, name, "library calls") for name in works},
                "seconds of the first call": start,
            }
        )
    return {"samples": samples, "layers": rows}
