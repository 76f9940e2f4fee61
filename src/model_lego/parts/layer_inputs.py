"""What some layers of a network are given while it runs, and the same as one vector an image."""

import sys
from collections.abc import Sequence
from threading import get_ident

import torch
from torch import Tensor, nn

from model_lego.parts.logits import main_logits


def run_and_hear(module: nn.Module, paths: Sequence[str], images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a module on images: its logits, and by path what some of its layers are given, in the order of `paths`.

    Layers that are not called are left out. Only calls of the running thread are heard, and nothing stays behind. Where
    torch.compile is at work it is kept out, since what it compiled does not see hooks come and go.
    """
    run = torch.compiler.disable(_run_and_hear) if "torch._dynamo" in sys.modules else _run_and_hear
    return run(module, paths, images)


def _run_and_hear(module: nn.Module, paths: Sequence[str], images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    thread, inputs = get_ident(), {}
    handles = []
    try:
        for path in paths:

            def listen(_: nn.Module, given: tuple[Tensor, ...], path: str = path) -> None:
                if get_ident() == thread and given:
                    inputs[path] = given[0]

            handles.append(module.get_submodule(path).register_forward_pre_hook(listen))
        logits = main_logits(module(images))
    finally:
        for handle in handles:
            handle.remove()
    return logits, {path: inputs[path] for path in paths if path in inputs}


def pooled(x: Tensor, layer: nn.Module) -> Tensor:
    """What a layer is given as one vector an image: a map averaged over its pixels, unless the kernel covers it."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    if weight.dim() == 2:  # linear: channels last
        return x if x.dim() == 2 else x.flatten(1, -2).mean(1)
    return x.flatten(2).mean(2) if weight[0, 0].numel() == 1 else x.flatten(1)
