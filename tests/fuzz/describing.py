"""What a random network is described by: steps, a tree of frozen dataclasses that prints as the code that makes it."""

import functools
import math
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]  # of a value without its batch: channels x sides, or features


@dataclass(frozen=True, repr=False)
class Described:
    """Prints as the call that makes it, without what is as by default."""

    def __repr__(self) -> str:
        told = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                told.append(repr(value) if field.default is MISSING else f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(told)})"


@dataclass(frozen=True, repr=False)
class Step(Described):
    """Something that a network does with a value; `KINDS` has all of them by their names."""

    KINDS: ClassVar[dict[str, type["Step"]]] = {}

    def __init_subclass__(cls) -> None:
        Step.KINDS[cls.__name__] = cls

    def module(self, shape: Shape) -> nn.Module:
        """A module for values of this shape."""
        raise NotImplementedError


Steps = tuple[Step, ...]


@dataclass(frozen=True, repr=False)
class Network(Described):
    """A classifier for images of a shape: its steps, its head, and how it is held and run.

    `tight`: the library's constants are lowered while it is tried, so that a batch is run in portions and sums are
    taken in blocks.
    """

    image: Shape
    steps: Steps
    head: Steps
    single: bool = False  # float32, which runs channels-last; else float64
    layout: Literal["contiguous", "channels_last"] = "contiguous"
    tight: bool = False

    def kinds(self) -> set[str]:
        """The names of all kinds of steps in it."""
        return set().union(*map(kinds_in, (*self.steps, *self.head)))

    @property
    def dtype(self) -> torch.dtype:
        """The data type of its tensors."""
        return torch.float32 if self.single else torch.float64


def kinds_in(value: Any) -> set[str]:
    """The names of the kinds of steps in a step, or in a tuple of them."""
    if isinstance(value, tuple):
        return set().union(*map(kinds_in, value))
    if not isinstance(value, Step):
        return set()
    return {type(value).__name__}.union(*(kinds_in(getattr(value, field.name)) for field in fields(value)))


def rebuilt(text: str) -> Network:
    """The description that was printed so."""
    network: Network = eval(text, {"Network": Network, **Step.KINDS})
    return network


def chain(steps: Steps, shape: Shape) -> nn.Sequential:
    """Steps one after the other."""
    modules = []
    for step in steps:
        modules.append(step.module(shape))
        shape = after(step, shape)
    return nn.Sequential(*modules)


@functools.lru_cache(maxsize=2000)
def after(step: Step, shape: Shape) -> Shape:
    """The shape that a step gives; raises what torch raises where it cannot run."""
    with torch.device("meta"), torch.no_grad():
        return tuple(step.module(shape).eval()(torch.empty(2, *shape)).shape[1:])


def behind(steps: Iterable[Step], shape: Shape) -> Shape:
    """The shape that steps give, one after the other."""
    return functools.reduce(lambda found, step: after(step, found), steps, shape)


def build(network: Network, seed: int = 0) -> nn.Sequential:
    """The network in eval mode, with weights, biases and statistics that hide no mistake."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = chain((*network.steps, *network.head), network.image)
        _enliven(model)
    model = model.to(network.dtype).eval()
    return model.to(memory_format=torch.channels_last) if network.layout == "channels_last" else model


@torch.no_grad()
def _enliven(model: nn.Module) -> None:
    """Draw everything anew: a fresh norm is the identity, and torch's weights let a signal fade into the biases."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name.endswith("num_batches_tracked"):
            continue
        if tensor.dim() > 1:
            tensor.normal_().mul_(math.sqrt(2 / max(tensor[0].numel(), 1)))
        elif name.endswith(("bias", "running_mean")):
            tensor.uniform_(-0.5, 0.5)
        else:
            tensor.uniform_(0.5, 1.5)


def images(network: Network, count: int, *, seed: int = 0) -> Tensor:
    """Random images, each of a tint of its own, which a mean over the pixels can see."""
    generator = torch.Generator().manual_seed(seed)
    tint = torch.randn(count, network.image[0], *(1 for _ in network.image[1:]), generator=generator)
    return (tint + torch.randn(count, *network.image, generator=generator)).to(network.dtype)
