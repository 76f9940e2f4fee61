"""Whole networks from torchvision, that the laws are tried on: random weights, randomised norms, float64."""

import functools

import torch
import torchvision
from torch import Tensor, nn

from model_lego.cutting.tracing import trace
from model_lego.graph import ChannelGraph
from tests.support.tiny_models import randomize_batchnorm, strengthen

#: Network -> the layer that gives its logits. All of their hidden channels can be cut.
HEADS = {
    "vgg11_bn": "classifier.6",
    "resnet18": "fc",
    "resnet50": "fc",
    "googlenet": "fc",
    "densenet121": "classifier",
    "mobilenet_v2": "classifier.1",
    "efficientnet_b0": "classifier.1",
    "squeezenet1_1": "classifier.1",
}
ZOO = tuple(HEADS)
CLASSES = 10


def zoo_model(name: str) -> nn.Module:
    """A torchvision classifier for 10 classes in float64 and eval mode, random weights, its norms randomised."""
    options = {"init_weights": False} if name == "googlenet" else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **options)
        if name == "vgg11_bn":
            _narrow(model.classifier)
    randomize_batchnorm(model, torch.Generator().manual_seed(1))
    return model.double().eval()


def _narrow(classifier: nn.Sequential, width: int = 256) -> None:
    """Give a VGG's classifier that width: with 4,096 it has nearly all weights, and takes nearly all time."""
    first, last = classifier[0], classifier[6]
    classifier[0] = nn.Linear(first.in_features, width)
    classifier[3] = nn.Linear(width, width)
    classifier[6] = nn.Linear(width, last.out_features)


def zoo_images(batch: int, *, seed: int = 0) -> Tensor:
    """Random images, each of a tint of its own; they are small, since some layers then see one pixel only."""
    generator = torch.Generator().manual_seed(seed)
    tint = torch.randn(batch, 3, 1, 1, generator=generator, dtype=torch.float64)
    return tint + torch.randn(batch, 3, 32, 32, generator=generator, dtype=torch.float64)


def enliven(model: nn.Module, example: Tensor, *, least: float = 0.3) -> None:
    """Strengthen the weights of a deep network until something of the images is left at its end."""
    for _ in range(8):
        with torch.no_grad():
            logits = model(example)
        if logits.std(0).max() > least * logits.abs().max():
            return
        strengthen(model)


@functools.cache
def lively(name: str) -> tuple[nn.Module, ChannelGraph, tuple[Tensor, Tensor]]:
    """A network that answers with several classes, its graph, and images with its answers as labels: not to change."""
    model, x = zoo_model(name), zoo_images(48, seed=7)
    head = model.get_submodule(HEADS[name])
    if name == "squeezenet1_1":
        head.weight.data.abs_()  # a relu stands behind it
    enliven(model, x[:8], least=0.01)
    with torch.no_grad():
        head.weight.div_((model(x) - head.bias).std())  # sure of some answers, of none beyond what a number can hold
        head.bias.zero_().add_(20 - model(x).mean(0))  # far from that relu
        labels = model(x).argmax(1)
    assert len(set(labels.tolist())) > 2
    return model, trace(model, x[:2]), (x, labels)
