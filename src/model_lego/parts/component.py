"""The nouns that people handle: Component, its preprocessing, cost and origin."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.digest import digest_of
from model_lego.errors import BadBatches, BadConfig, ShapeMismatch
from model_lego.parts.classifier import Classifier
from model_lego.parts.logits import main_logits
from model_lego.parts.normalisations import NORMALISATIONS, named
from model_lego.parts.provenance import UNSAID, Provenance
from model_lego.parts.verdict import Verdict
from model_lego.parts.wrappers import unwrapped
from model_lego.pictures.geometry import Interpolation, brought, checked_geometry, traced

#: No mean or standard deviation of images in 0..1 is larger.
LARGEST = 2.0
#: Floats beyond this are no images in 0..1, not even normalised ones.
BEYOND = 10.0


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network expects of an image scaled to 0..1: its size in pixels and its normalisation.

    `mean` and `std` are numbers, one a channel or one for all (also as a list, an array or a tensor), or "imagenet",
    "clip" or "half", a name that stands for both where the other is not given. `size` is height and width, or one
    number: the side of a square, and with a `crop` the length of the shorter side. `crop` is height and width (or one
    side) of the middle, which is cut out after resizing. Raises BadConfig.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: tuple[int, int] | int | None = None
    crop: tuple[int, int] | int | None = None
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        size, crop = checked_geometry(self.size, self.crop, self.interpolation)
        mean, std = named(self.mean, self.std)
        object.__setattr__(self, "mean", _numbers("mean", mean))
        object.__setattr__(self, "std", _numbers("std", std))
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "crop", crop)
        if len(self.mean) != len(self.std):
            raise BadConfig(f"preprocessing has {len(self.mean)} means but {len(self.std)} standard deviations")
        if any(value <= 0 for value in self.std):
            raise BadConfig(f"preprocessing has a standard deviation that is not positive: {self.std}")
        if large := [value for value in (*self.mean, *self.std) if abs(value) > LARGEST]:
            raise BadConfig(
                f"preprocessing normalises images scaled to 0..1, but has {large[0]:g}, which is meant for pixels of "
                "0..255: divide means and standard deviations by 255"
            )

    @property
    def final_size(self) -> tuple[int, int] | None:
        """Height and width of the images that come out, None where they keep the size that they have."""
        final = self.size if self.crop is None else self.crop
        return (final, final) if isinstance(final, int) else final

    def __call__(self, images: Tensor) -> Tensor:
        """Resize, crop and normalise images, batch x channels x height x width.

        Pixels of 0..255 (uint8) are scaled to 0..1 first. Raises ShapeMismatch for another number of channels than
        there are means, one mean serves them all; BadBatches for other integers, and for floats far beyond 0..1.
        """
        images = scaled(images)
        if not traced() and len(self.mean) > 1 and images.shape[1] != len(self.mean):
            raise ShapeMismatch(
                f"images have shape {tuple(images.shape[1:])}, but the preprocessing has {len(self.mean)} means; "
                "give one for each channel"
            )
        images = self.resized(images)
        if self.mean:
            mean = images.new_tensor(self.mean)[:, None, None]
            std = images.new_tensor(self.std)[:, None, None]
            images = (images - mean) / std
        return images

    def resized(self, images: Tensor) -> Tensor:
        """Images in 0..1 (batch x channels x height x width) as they are before normalisation.

        Those of the final size stay as they are, so that to resize them again changes nothing.
        """
        if self.size is None:
            return images
        return brought(images, self.size, None if self.crop is None else self.final_size, self.interpolation)

    def __str__(self) -> str:
        return ", ".join(["in 0..1", *self._steps()])

    def _steps(self) -> Iterator[str]:
        """What is done with an image, in words."""
        how = "" if self.interpolation == "bilinear" else f" ({self.interpolation})"
        if isinstance(self.size, int):
            yield f"shorter side brought to {self.size}{how}"
        elif self.size is not None:
            yield f"brought to {' x '.join(map(str, self.size))}{how}"
        if self.crop is not None and self.final_size is not None:
            yield f"cropped to {' x '.join(map(str, self.final_size))}"
        if self.mean:
            mean, std = (", ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
            yield f"then less mean {mean}, by deviation {std}"


def scaled(images: Tensor) -> Tensor:
    """Images in 0..1: uint8 is divided by 255, floats stay. Raises BadBatches for what is neither.

    While a network is exported, compiled or traced there are no values to look at.
    """
    if images.dtype == torch.uint8:
        return images / 255
    if not images.is_floating_point():
        raise BadBatches(f"images are {images.dtype}; give uint8 in 0..255, or floats scaled to 0..1")
    unknown = traced() or torch.compiler.is_compiling() or images.is_meta
    if not unknown and images.numel() and float(images.detach().abs().amax()) > BEYOND:
        raise BadBatches(
            f"images have values from {float(images.min()):g} to {float(images.max()):g}, where floats scaled to 0..1 "
            "are normalised: divide them by 255, or give uint8"
        )
    return images


def _numbers(what: str, given: Any) -> tuple[float, ...]:
    """A number, or a row of them in whatever holds numbers, as floats."""
    values = given.tolist() if hasattr(given, "tolist") else given
    try:
        return tuple(float(value) for value in (values if isinstance(values, Iterable) else [values]))
    except (TypeError, ValueError) as error:
        names = ", ".join(NORMALISATIONS)
        raise BadConfig(f"preprocessing takes numbers as {what}, one a channel, or {names}, not {given!r}") from error


#: How names of code of the user's own begin.
OWN_CODE = "python:"


@dataclass(frozen=True, slots=True)
class Builder:
    """How to build the uncut network again: a name from the allow-list and plain arguments.

    `name` is `zoo:NAME`, `torchvision:NAME`, `timm:NAME` or `hf:NAME`; `arguments` are JSON values. A name of the
    user's own code, `python:FILE.py:CALLABLE`, is there to be read: it is never run because a file says so.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_own_code(self) -> bool:
        """Whether it names code of the user's own."""
        return self.name.startswith(OWN_CODE)

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in sorted(self.arguments.items()))
        return f"{self.name} ({given})" if given else self.name


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
    provenance: Provenance = UNSAID


class Component(Classifier):
    """A smaller network for some classes of its source; called on images it gives logits in the order of `.classes`.

    `module` is an ordinary module of the source's own class. With a `preprocessing`, images are taken scaled to 0..1;
    without, as the source took them. `verdict` says how it does beside what it was made of, where that was measured.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        classes: Sequence[str],
        labels: Sequence[int],
        origin: Origin,
        preprocessing: Preprocessing | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.classes = tuple(classes)
        self.labels = tuple(labels)
        self.origin = origin
        self.preprocessing = preprocessing
        self.verdict = verdict

    def forward(self, images: Tensor) -> Tensor:
        """Give logits, batch x len(classes); floats of another precision are taken in that of the network."""
        if self.preprocessing is not None:
            images = self.preprocessing(images)
        weight = next((tensor for tensor in self.module.parameters() if tensor.is_floating_point()), images)
        if images.is_floating_point() and images.dtype != weight.dtype:
            images = images.to(weight.dtype)
        return main_logits(self.module(images))

    def __str__(self) -> str:
        before, after = self.origin.cost_before, self.origin.cost_after
        judged = "" if self.verdict is None else f"; {self.verdict}"
        return (
            f"Component({', '.join(self.classes)}; {after.parameters:,} of {before.parameters:,} parameters, "
            f"{after.macs:,} of {before.macs:,} multiply-adds{judged})"
        )

    def with_verdict(self, verdict: Verdict | None) -> "Component":
        """The same component, module included, under another verdict."""
        made = Component(
            self.module,
            classes=self.classes,
            labels=self.labels,
            origin=self.origin,
            preprocessing=self.preprocessing,
            verdict=verdict,
        )
        made.training = self.training
        return made


def check_source(source: nn.Module, component: Component) -> None:
    """Refuse a network that is not the one that a component was cut from; raises BadConfig."""
    if digest_of(unwrapped(source)) != component.origin.source_digest:
        raise BadConfig("the network given as source is not the one that this component was cut from")
