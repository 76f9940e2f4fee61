"""Fingerprints: of a network's tensors, of the bytes of a file, of images."""

import base64
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from model_lego.errors import CorruptComponent

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Key of the settings of a component or an assembly that holds the digests of its calibration images, packed.
SEEN = "calibration_digests"
#: Bytes of an image's digest: among a million images against a million, two differing ones meet once in 10 million.
IMAGE_BYTES = 8


def digest_of(module: "nn.Module") -> str:
    """Give the sha256 (hex) of a network's state dict: sorted names, data types, shapes and values.

    Device, memory format, training mode and the order of the layers do not count.
    """
    from torch import Tensor

    digest = hashlib.sha256()
    state = {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    for name in sorted(state):
        tensor = state[name].detach()
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(_bytes_of(tensor))
    return digest.hexdigest()


def digest_of_bytes(data: bytes) -> str:
    """Give the sha256 (hex) of `data`."""
    return hashlib.sha256(data).hexdigest()


def image_digests(images: "Tensor") -> list[bytes]:
    """Give a short digest of each image, batch x channels x height x width.

    Values are taken in steps of 1/255, so that 8-bit pixels scaled to 0..1 give the same digest in every data type
    that holds them.
    """
    import torch

    steps = images.detach().cpu().float().mul(255).round_().clamp_(-2e9, 2e9)
    pixels = steps.to(torch.int32).to(torch.int16).flatten(1).numpy()  # larger values wrap around, which is as good
    shape = str(tuple(images.shape[1:])).encode()
    return [hashlib.blake2b(image.data, digest_size=IMAGE_BYTES, key=shape).digest() for image in pixels]


def packed(digests: Iterable[bytes]) -> str:
    """Put digests of images into one text (base64), sorted, each of them once."""
    return base64.b64encode(b"".join(sorted(set(digests)))).decode()


def unpacked(text: object) -> set[bytes]:
    """Give the digests of `packed` back; raises CorruptComponent for anything else."""
    try:
        joined = base64.b64decode(text, validate=True)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        joined = b"?"
    if len(joined) % IMAGE_BYTES:
        raise CorruptComponent("the digests of calibration images in the settings are damaged; make the part again")
    return {joined[first : first + IMAGE_BYTES] for first in range(0, len(joined), IMAGE_BYTES)}


def _bytes_of(tensor: "Tensor") -> memoryview:
    """Give the values of a tensor in row-major order, as bytes."""
    import torch

    flat = tensor.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
