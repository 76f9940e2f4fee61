"""The steps that a network takes on an image of any size, and whether the image is large enough for them."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from model_lego.store.bounded import CONVOLUTION, outlined_step


class Steps(TorchDispatchMode):
    """Operators with their settings, of a network on the meta device, and whether a tap of a kernel is `blind`.

    Such a one sees no pixel.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.taken: list[str] = []
        self.blind = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            settings = [one for one in (*args, *(kwargs or {}).values()) if not isinstance(one, Tensor)]
            self.taken.append(f"{func} {settings}")
            self.blind |= func is CONVOLUTION and not args[6] and any(_unseen(*each) for each in _windows(*args))
        return outlined_step(func, args, kwargs or {})


def _windows(images: Tensor, weight: Tensor, _: Any, *settings: Any) -> Iterator[tuple[int, ...]]:
    """Of each dimension of a convolution: pixels, taps, stride, padding and dilation."""
    return zip(images.shape[2:], weight.shape[2:], *settings[:3], strict=True)


def _unseen(pixels: int, taps: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether a tap lies beside the image at all places of its kernel."""
    outputs = (pixels + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
    for tap in range(taps):
        offset = tap * dilation - padding
        first = max(0, -(offset // stride))  # the first place at which the tap is not before the image
        if first >= outputs or first * stride + offset >= pixels:
            return True
    return False
