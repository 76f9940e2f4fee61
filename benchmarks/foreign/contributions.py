"""The contributions of some layers beside the slow oracle's (tests/support/oracles.py)."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.coverage.comparing import Wrong, alike, answer
from model_lego.attribution import ContributionStats
from model_lego.graph import ChannelGraph
from tests.support.oracles import hidden_maps, mean_contribution

LAYERS = 6  # compared in each network, spread over its depth
VALUES = 4_000_000  # of hidden maps that the oracle may hold at once


def contributions(model: nn.Module, graph: ChannelGraph, stats: ContributionStats, x: Tensor, label: int) -> int:
    """Compare layers that the oracle can afford on `x`, the one image of its class; gives their number.

    Raises Wrong where a layer's contributions are not the oracle's, or are not finite.
    """
    for layer in stats.layers:
        if not bool(torch.isfinite(stats.mean(layer, label)).all()):
            raise Wrong(f"the contributions of layer {layer} are not finite")
    inputs = _inputs(model, x)
    names = [layer.name for layer in graph.layers if layer.name in stats.layers and layer.name in inputs]
    able = [name for name in names if _size(model.get_submodule(name), inputs[name]) <= VALUES]
    chosen = able[:: max(1, len(able) // LAYERS)]
    for name in chosen:
        parts = _slowly(model.get_submodule(name), inputs[name])  # of an image that a forward deals out as several
        expected = mean_contribution(parts.sum(0, keepdim=True))
        found = stats.mean(name, label)
        difference = float((found - expected).abs().max())
        if not difference <= alike(x) * max(float(expected.abs().max()), 1e-30):
            raise Wrong(f"the contributions of layer {name} differ from the oracle's by {difference:.2g}")
    return len(chosen)


def _inputs(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """What each plain convolution or linear layer that is called once reads."""
    heard: dict[str, Tensor] = {}
    calls: Counter[str] = Counter()

    def hear(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            calls[name] += 1
            if arguments:
                heard[name] = arguments[0]

        return hook

    hooks = [
        module.register_forward_pre_hook(hear(name)) for name, module in model.named_modules() if _is_plain(module)
    ]
    try:
        answer(model, x)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: value for name, value in heard.items() if calls[name] == 1}


def _is_plain(module: nn.Module) -> bool:
    if type(module) is nn.Conv2d:
        return module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return type(module) is nn.Linear


def _size(module: nn.Module, x: Tensor) -> int:
    """Number of values of all hidden maps of a layer."""
    if isinstance(module, nn.Conv2d):
        pixels = x.shape[-1] * x.shape[-2] // (module.stride[0] * module.stride[1])
        return len(x) * module.out_channels * module.in_channels // module.groups * max(pixels, 1)
    assert isinstance(module, nn.Linear)
    return x[..., 0].numel() * module.out_features * module.in_features


def _slowly(module: nn.Module, x: Tensor) -> Tensor:
    """Equation (3) before s+: B x O x I/g."""
    weight = module.get_parameter("weight").detach()
    if isinstance(module, nn.Conv2d):
        assert not isinstance(module.padding, str)
        geometry: Any = {"stride": module.stride, "padding": module.padding, "dilation": module.dilation}
        maps = hidden_maps(x, weight, groups=module.groups, **geometry)
        return maps.sum((-2, -1))
    rows = x.double().reshape(len(x), -1, x.shape[-1]).sum(1)
    return rows[:, None, :] * weight.double()
