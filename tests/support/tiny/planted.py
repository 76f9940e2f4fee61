"""A network whose classes are wired through known channels, so that METHOD's equations have one known answer."""

from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

COLOURS = torch.tensor([[r, g, b] for r in (1, -1) for g in (1, -1) for b in (1, -1)], dtype=torch.float64)
SIDE = 8
MAP = (SIDE // 4) ** 2  # pixels a channel at the flatten

Expected = dict[str, dict[int, set[int]]]


def shuffled(names: Iterable[str], generator: torch.Generator) -> dict[str, int]:
    """Give each named channel a place, in no order that code could rely on."""
    names = list(names)
    return dict(zip(names, torch.randperm(len(names), generator=generator).tolist(), strict=True))


def planted(classes: int = 4, *, per_class: int = 8, seed: int = 0) -> tuple[nn.Sequential, Tensor, Tensor, Expected]:
    """A network of 2 to 6 classes in float64, its images and labels, and the kept inputs of each layer for each class.

    A class is a colour. `conv1` has two detectors a class (`a`, `b`), `on` (always 1), `decoy` (always 2) and `dead`.
    `conv2` has per class `u` (reads a and b) and `w` (reads b, a little a, `on` in even classes), `v` (reads
    the `a` of classes 0 and 1) and `idle` (always 1). `fc1` has six units a class: the channels they read are below.
    `fc2`: the logit of a class reads its units, the last too weakly to count. Kept inputs are the layer's own input
    indices: `fc1` keeps all pixels of a channel of which it keeps any. `conv1` reads the image: not in the answer.
    """
    generator = torch.Generator().manual_seed(seed)
    each = range(classes)
    first = shuffled([f"{kind}{c}" for c in each for kind in "ab"] + ["on", "decoy", "dead"], generator)
    second = shuffled([f"{kind}{c}" for c in each for kind in "uw"] + ["v", "idle"], generator)
    third = shuffled([f"h{c}{j}" for c in each for j in range(6)], generator)
    model = network(len(first), len(second), len(third), classes)
    with torch.no_grad():
        hide_batchnorm(model.norm2, generator)
        wire_conv1(model.conv1, first, classes)
        wire_conv2(model.conv2, first, second, classes)
        wire_fc1(model.fc1, second, third, classes)
        wire_fc2(model.fc2, third, classes)
    labels = torch.arange(classes).repeat(per_class)
    amplitude = 0.9 + 0.2 * torch.rand(len(labels), 1, 1, 1, generator=generator, dtype=torch.float64)
    noise = 0.02 * torch.randn(len(labels), 3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    images = COLOURS[labels][:, :, None, None] * amplitude + noise
    return model.eval(), images, labels, answer(first, second, third, classes)


def network(first: int, second: int, third: int, classes: int) -> nn.Sequential:
    """The layers with all weights zero."""
    layers = OrderedDict(
        conv1=nn.Conv2d(3, first, 3, padding=1),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(first, second, 3, padding=1),
        norm2=nn.BatchNorm2d(second),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(second * MAP, third),
        relu3=nn.ReLU(),
        fc2=nn.Linear(third, classes),
    )
    model = nn.Sequential(layers).double()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return model


def hide_batchnorm(norm: nn.BatchNorm2d, generator: torch.Generator) -> None:
    """Statistics that are not those of a fresh BatchNorm, undone by its weight and bias."""
    norm.running_mean.copy_(torch.randn(norm.num_features, generator=generator, dtype=torch.float64))
    norm.running_var.copy_(0.5 + torch.rand(norm.num_features, generator=generator, dtype=torch.float64))
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())
    norm.bias.copy_(norm.running_mean)


def wire_conv1(conv: nn.Conv2d, first: dict[str, int], classes: int) -> None:
    """A detector gives about 1.5 on its own colour (product 3) and nothing on the others (product 1 at most)."""
    for c in range(classes):
        for kind in "ab":
            conv.weight[first[f"{kind}{c}"], :, 1, 1] = 0.8 * COLOURS[c]
            conv.weight[first[f"{kind}{c}"], :, 1, 2] = 0.2 * COLOURS[c]
            conv.bias[first[f"{kind}{c}"]] = -1.5
    conv.bias[first["on"]], conv.bias[first["decoy"]], conv.bias[first["dead"]] = 1, 2, -1


def wire_conv2(conv: nn.Conv2d, first: dict[str, int], second: dict[str, int], classes: int) -> None:
    """Thresholds in the biases keep the always-active inputs from waking a unit by themselves."""

    def read(unit: str, source: str, weight: float) -> None:
        conv.weight[second[unit], first[source], 1, 1] = 0.8 * weight
        conv.weight[second[unit], first[source], 0, 1] = 0.2 * weight

    for c in range(classes):
        for source, weight in (("a", 1.0), ("b", 1.0)):
            read(f"u{c}", f"{source}{c}", weight)
        for source, weight in (("a", 0.1), ("b", 1.0)):
            read(f"w{c}", f"{source}{c}", weight)
        read(f"u{c}", "decoy", 0.05)
        read(f"w{c}", "decoy", -0.1)
        read(f"u{c}", f"a{(c + 1) % classes}", 0.3)  # of another class: silent on this one
        read(f"w{c}", "dead", 5.0)
        conv.bias[second[f"u{c}"]] = -0.6
        if c % 2 == 0:
            read(f"w{c}", "on", 1.0)
            conv.bias[second[f"w{c}"]] = -1.2
    read("v", "a0", 1.0)
    read("v", "a1", 1.0)
    conv.bias[second["idle"]] = 1


def wire_fc1(fc1: nn.Linear, second: dict[str, int], third: dict[str, int], classes: int) -> None:
    """All six units read `u`; two `w`, at one pixel; one `idle`, too seldom to count; classes 0, 1: three read `v`."""

    def read(unit: int, source: str, weight: float, pixels: Iterable[int]) -> None:
        for pixel in pixels:
            fc1.weight[unit, second[source] * MAP + pixel] = weight

    for c in range(classes):
        for j in range(6):
            unit = third[f"h{c}{j}"]
            read(unit, f"u{c}", 1.0, range(MAP))
            read(unit, f"u{(c + 1) % classes}", -0.5, range(MAP))
            fc1.bias[unit] = -0.5
            if j < 2:
                read(unit, f"w{c}", 2.0, [MAP - 1])
            if c < 2 and 1 <= j < 4:
                read(unit, "v", 2.0, [0])
        read(third[f"h{c}0"], "idle", 3.0, [1])
        fc1.bias[third[f"h{c}0"]] = -3.5


def wire_fc2(fc2: nn.Linear, third: dict[str, int], classes: int) -> None:
    """A logit reads its own units, and those of the next class with the opposite sign."""
    for c in range(classes):
        for j in range(6):
            fc2.weight[c, third[f"h{c}{j}"]] = 0.1 if j == 5 else 1.0
            fc2.weight[c, third[f"h{(c + 1) % classes}{j}"]] = -0.2


def answer(first: dict[str, int], second: dict[str, int], third: dict[str, int], classes: int) -> Expected:
    """What (1)-(8) must give at the published thresholds."""
    expected: Expected = {"conv2": {}, "fc1": {}, "fc2": {}}
    for c in range(classes):
        expected["fc2"][c] = {third[f"h{c}{j}"] for j in range(5)}
        channels = {second[f"u{c}"], second[f"w{c}"]} | ({second["v"]} if c < 2 else set())
        expected["fc1"][c] = {channel * MAP + pixel for channel in channels for pixel in range(MAP)}
        expected["conv2"][c] = {first[f"a{c}"], first[f"b{c}"]} | ({first["on"]} if c % 2 == 0 else set())
    return expected
