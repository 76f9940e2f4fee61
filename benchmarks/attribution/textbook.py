"""The textbook form: every hidden map is built (unfold, einsum to B x O x I x H x W), summed and clamped."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import model_lego as ml
from benchmarks.attribution.forward import CLASSES, material
from benchmarks.attribution.timing import median, seconds
from benchmarks.coverage.memory import Memory

#: Bytes that the hidden maps of the widest layer may take.
ROOM = 6 << 30


def textbook(model: nn.Module, images: Tensor, labels: Tensor, batch: int) -> dict[str, Tensor]:
    """Sums of s+ for each class and layer, classes x out_channels x in_channels, while the network runs."""
    sums: dict[str, Tensor] = {}
    one_hot = torch.empty(0)

    def listen(name: str) -> Any:
        def hook(module: Any, arguments: tuple[Tensor], output: Tensor) -> None:
            x, weight = arguments[0], module.weight
            if isinstance(module, nn.Conv2d):
                padding, taps = module.padding, weight[0, 0].numel()
                columns = F.unfold(x, module.kernel_size, padding=padding, stride=module.stride)  # type: ignore[arg-type]
                columns = columns.reshape(len(x), x.shape[1], taps, -1)
                hidden = torch.einsum("bikp,oik->boip", columns, weight.flatten(2))  # B x O x I x (H x W)
                s = hidden.sum(3)
            else:
                s = x[:, None, :] * weight
            found = torch.einsum("cb,boi->coi", one_hot, s.clamp(min=0))
            sums[name] = sums[name] + found if name in sums else found

        return hook

    hooks = [
        m.register_forward_hook(listen(n)) for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    try:
        with torch.no_grad():
            for some, numbers in zip(images.split(batch), labels.split(batch), strict=True):
                one_hot = F.one_hot(numbers, CLASSES).T.float()
                model(some)
    finally:
        for hook in hooks:
            hook.remove()
    return sums


def largest_batch(graph: ml.ChannelGraph) -> int:
    """How many images fit: the hidden maps of the widest layer, float32."""
    shapes = {
        node.name: node.meta["val"].shape for node in graph.program.nodes if hasattr(node.meta.get("val"), "shape")
    }
    widest = max(4 * len(layer.inputs) * shapes[layer.node][1:].numel() for layer in graph.layers)
    return int(max(1, ROOM // widest))


def against_the_textbook() -> dict[str, Any]:
    """VGG-16 on 32 x 32 images: seconds for each image, and that both give the same sums."""
    model, images, labels = material("zoo:vgg16", 128, 32)
    graph = ml.trace(model, images[:2])
    batch = min(len(images), largest_batch(graph))
    few, numbers = images[:batch], labels[:batch]
    memory = Memory()
    theirs = textbook(model, few, numbers, batch)
    ours = ml.attribute(model, [(few, numbers)], graph=graph, classes=sorted(set(numbers.tolist())), sampling="all")
    differ = 0.0
    for name, layer in ours.layers.items():
        for place, label in enumerate(ours.classes):
            expected = theirs[name][label].double()
            differ = max(differ, float((layer.summed(place) - expected).abs().max() / expected.abs().max()))
    peak = memory.of(lambda: textbook(model, few, numbers, batch)) / 1024
    slow = {"textbook": [seconds(lambda: textbook(model, few, numbers, batch)) for _ in range(5)]}
    fast = {
        "ours": [
            seconds(lambda: ml.attribute(model, [(images, labels)], graph=graph, sampling="all")) for _ in range(5)
        ]
    }
    each = median(slow, "textbook") / len(few), median(fast, "ours") / len(images)
    return {
        "network": "zoo:vgg16",
        "side": 32,
        "batch of the textbook form": batch,
        "seconds for an image": {"textbook": each[0], "ours": each[1]},
        "times faster": each[0] / each[1],
        "largest relative difference": differ,
        "peak_mib of the textbook form": peak,
    }
