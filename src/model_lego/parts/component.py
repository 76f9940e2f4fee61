"""The nouns that people handle: Component, its preprocessing, cost and origin."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.digest import digest_of
from model_lego.errors import BadConfig, ShapeMismatch
from model_lego.parts.logits import main_logits


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network expects of an image scaled to 0..1: its size in pixels and its normalisation."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise BadConfig(f"preprocessing has {len(self.mean)} means but {len(self.std)} standard deviations")
        if any(value <= 0 for value in self.std):
            raise BadConfig(f"preprocessing has a standard deviation that is not positive: {self.std}")

    def __call__(self, images: Tensor) -> Tensor:
        """Resize (bilinear, antialiased) and normalise images, batch x channels x height x width.

        Raises ShapeMismatch for another number of channels than there are means; one mean serves them all.
        """
        if len(self.mean) > 1 and images.shape[1] != len(self.mean):
            raise ShapeMismatch(
                f"images have shape {tuple(images.shape[1:])}, but the preprocessing has {len(self.mean)} means; "
                "give one for each channel"
            )
        if self.size is not None and tuple(images.shape[2:]) != self.size:
            images = F.interpolate(images, size=self.size, mode="bilinear", antialias=True, align_corners=False)
        if self.mean:
            mean = images.new_tensor(self.mean)[:, None, None]
            std = images.new_tensor(self.std)[:, None, None]
            images = (images - mean) / std
        return images


@dataclass(frozen=True, slots=True)
class Builder:
    """How to build the uncut network again: a name from the allow-list and plain arguments.

    `name` is `zoo:NAME`, `torchvision:NAME` or `timm:NAME`; `arguments` are JSON values.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """Size of a network: parameters, multiply-adds for one image, bytes of its tensors."""

    parameters: int
    macs: int
    bytes: int

    def __add__(self, other: "Cost") -> "Cost":
        """What two networks cost together."""
        return Cost(self.parameters + other.parameters, self.macs + other.macs, self.bytes + other.bytes)


def total(costs: Iterable[Cost]) -> Cost:
    """What some networks cost together."""
    return sum(costs, Cost(parameters=0, macs=0, bytes=0))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a component comes from and how it was cut; everything that changes the result is in here."""

    builder: Builder | None
    source_digest: str
    source_classes: tuple[str, ...]
    input_shape: tuple[int, ...]  # channels x height x width, as the network sees it
    kept_outputs: Mapping[str, tuple[int, ...]]  # parameterised layer -> original numbers of its output channels
    kept_inputs: Mapping[str, tuple[int, ...]]  # parameterised layer -> original numbers of its input channels
    attributes: Mapping[str, Mapping[str, int]]  # module path -> attribute -> value after the cut
    settings: Mapping[str, Any]  # thresholds, sampling, seed, repair …: JSON values
    cost_before: Cost
    cost_after: Cost


class Component(nn.Module):
    """A smaller network for some classes of its source; called on images it gives logits in the order of `.classes`.

    `module` is an ordinary module of the source's own class. With a `preprocessing`, images are taken scaled to 0..1;
    without, as the source took them.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        classes: Sequence[str],
        labels: Sequence[int],
        origin: Origin,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.classes = tuple(classes)
        self.labels = tuple(labels)
        self.origin = origin
        self.preprocessing = preprocessing

    def forward(self, images: Tensor) -> Tensor:
        """Give logits, batch x len(classes)."""
        if self.preprocessing is not None:
            images = self.preprocessing(images)
        return main_logits(self.module(images))

    def __str__(self) -> str:
        before, after = self.origin.cost_before, self.origin.cost_after
        return (
            f"Component({', '.join(self.classes)}; {after.parameters:,} of {before.parameters:,} parameters, "
            f"{after.macs:,} of {before.macs:,} multiply-adds)"
        )


def check_source(source: nn.Module, component: Component) -> None:
    """Refuse a network that is not the one that a component was cut from; raises BadConfig."""
    if digest_of(source) != component.origin.source_digest:
        raise BadConfig("the network given as source is not the one that this component was cut from")
