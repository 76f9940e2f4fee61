"""Fingerprints: of a network's tensors, and of the bytes of a file."""

import hashlib

import torch
from torch import Tensor, nn


def digest_of(module: nn.Module) -> str:
    """Give the sha256 (hex) of a network's state dict: sorted names, data types, shapes and values.

    Device, memory format, training mode and the order of the layers do not count.
    """
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


def _bytes_of(tensor: Tensor) -> memoryview:
    """Give the values of a tensor in row-major order, as bytes."""
    flat = tensor.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
