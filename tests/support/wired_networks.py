"""Whole networks of torchvision whose classes run through channels that are known: for law 9."""

import torch
from torch import Tensor, nn

from tests.support.whole_networks import HEADS, zoo_model

PLANTED = 4
#: Corners of a tetrahedron: a colour is positive along its own direction only, so that a relu shuts the others out.
COLOURS = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
#: Features a channel, behind a flatten.
BLOCKS = {("vgg11_bn", "classifier.0"): 49}


def served(name: str, path: str, count: int) -> Tensor:
    """The class that each of the `count` inputs of a layer serves, or -1: of every eight channels, four serve nobody.

    All widths of these networks are multiples of eight, so that this agrees where channels are added or joined. Only
    what an excitation reads is narrower, and joined to nothing.
    """
    number = torch.arange(count) // BLOCKS.get((name, path), 1)
    if path.endswith(".fc2"):
        return number % PLANTED
    return torch.where(number % 8 < PLANTED, number % 8, -1)


def serving(name: str, path: str, count: int) -> Tensor:
    """The same for the outputs of a layer."""
    if path == HEADS[name]:
        return torch.where(torch.arange(count) < PLANTED, torch.arange(count), -1)
    return served(name, ".fc2" if path.endswith(".fc1") else "", count)


def wire(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """A network whose class c runs through channels c, 8 + c, 16 + c … alone; images of one colour each; labels.

    Weights are set at the centre of their kernels, as the images arrive, so that all channels of a class add alike.
    """
    model, generator = zoo_model(name), torch.Generator().manual_seed(3)
    labels = torch.arange(3 * PLANTED) // 3
    tint = torch.linspace(1, 2, 12, dtype=torch.float64)[:, None, None, None]
    images = tint * COLOURS[labels][:, :, None, None].expand(-1, -1, 32, 32)

    def plant(path: str, module: nn.Module, read: Tensor) -> None:
        if module.bias is not None:
            module.bias.zero_()
        weight = module.weight.zero_()
        centre = weight[(..., *(side // 2 for side in weight.shape[2:]))]  # out x in/groups
        outputs = serving(name, path, len(weight))
        if read.shape[1] == 3:
            centre.copy_(torch.where(outputs[:, None] >= 0, COLOURS[outputs], 0))
            return
        inputs = served(name, path, read.shape[1])
        maps = read.reshape(PLANTED, 3, read.shape[1], -1)
        mean = maps.mean((1, 3))[inputs, torch.arange(len(inputs))]  # of the class that an input serves
        if module.weight.shape[1] == 1:  # depthwise
            centre.copy_(torch.where(outputs >= 0, 1 / mean, 0)[:, None])
            return
        wired = (outputs[:, None] == inputs) & (inputs >= 0)
        spread = 0.8 + 0.4 * torch.rand(centre.shape, generator=generator, dtype=torch.float64)
        centre.copy_(torch.where(wired, spread / mean / wired.sum(1, keepdim=True).clamp(min=1), 0))

    mixers = [(path, module) for path, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    hooks = [
        module.register_forward_pre_hook(lambda module, args, path=path: plant(path, module, args[0]))
        for path, module in mixers
    ]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    return model, images, labels
