"""Trained networks of several kinds, with images to choose and repair by, and test images that serve nothing else."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks import lite
from benchmarks.trained import FIRST, opened
from model_lego.data import batches
from model_lego.data.batching import Batches, prepared

#: Images that run at once.
AT_ONCE = 50


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A trained network, as it takes images: `train` and `test` are images and labels, `labels` its classes here."""

    name: str
    model: nn.Module
    graph: ml.ChannelGraph
    labels: tuple[int, ...]
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    def logits(self, module: nn.Module, images: Tensor) -> Tensor:
        """Logits of the classes that are here, of the source as of a cut network."""
        with torch.no_grad():
            logits = torch.cat([module.eval()(some) for some in images.split(AT_ONCE)])
        return logits[:, list(self.labels)] if logits.shape[1] > len(self.labels) else logits

    def places(self, labels: Tensor) -> Tensor:
        """Labels as places among the classes that are here."""
        return (labels[:, None] == torch.tensor(self.labels)).int().argmax(1)

    def of(self, labels: tuple[int, ...]) -> "Network":
        """The same with images of these of its classes only."""
        train, test = (
            (images[known], answers[known])
            for images, answers in (self.train, self.test)
            for known in (torch.isin(answers, torch.tensor(labels)),)
        )
        return replace(self, labels=labels, train=train, test=test)

    def accuracy(self, module: nn.Module) -> float:
        """Accuracy in % on the test images, among the classes that are here."""
        images, labels = self.test
        return 100 * float((self.logits(module, images).argmax(1) == self.places(labels)).double().mean())


def networks() -> Iterator[Network]:
    """Convolutional ones that are here; the others are left out, and said."""
    return _here(
        {
            "VGG-16, half width, CIFAR-10 classes 0 to 4": partial(_cifar, FIRST),
            "ResNet-20, CIFAR-10": partial(_cifar, "resnet20-cifar10-akamaster"),
            "GoogLeNet, quarter width, CIFAR-10": partial(_cifar, "googlenet-quarter-cifar10"),
            "MobileNetV2, half width, CIFAR-10": partial(_cifar, "mobilenetv2-half-cifar10"),
            "EfficientNet-Lite0, ten ImageNet classes": _lite,
        }
    )


def token_networks() -> Iterator[Network]:
    """Networks with norms over channels, and with attention."""
    return _here(
        {
            "ConvNeXt, CIFAR-10": partial(_cifar, "convnext-cifar10"),
            "ViT, CIFAR-10": partial(_cifar, "vit-cifar10"),
        }
    )


def _here(makers: Mapping[str, Callable[[str], Network | None]]) -> Iterator[Network]:
    for name, make in makers.items():
        made = make(name)
        if made is None:
            print(f"{name}: left out, it is not here", flush=True)
        else:
            yield made


def _cifar(source_name: str, name: str) -> Network | None:
    source = opened(source_name)
    if source is None:
        return None
    train, test = (
        _whole(prepared(batches(images, batch_size=250), source.preprocessing))
        for images in (source.split.train, source.split.test)
    )
    return Network(name, source.model.eval(), source.graph, tuple(range(len(source.names))), train, test)


def _lite(name: str) -> Network | None:
    found = lite.opened()
    if found is None:
        return None
    train, test = (
        _whole(prepared(batches(images, batch_size=AT_ONCE), lite.TAKING))
        for images in (found.split.train, found.split.test)
    )
    return Network(name, found.model, ml.trace(found.model, train[0][:2]), found.labels, train, test)


def _whole(feed: Batches) -> tuple[Tensor, Tensor]:
    """All images and labels of batches."""
    images, labels = zip(*feed, strict=True)
    return torch.cat(images), torch.cat(labels)
