"""The noun Preprocessing: what a network expects of its images. Only preparing them needs torch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_lego.errors import BadConfig
from model_lego.parts.normalisations import NORMALISATIONS, named
from model_lego.pictures.sides import Interpolation, checked_geometry

if TYPE_CHECKING:
    from torch import Tensor

#: No mean or standard deviation of images in 0..1 is larger.
LARGEST = 2.0


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

    def __call__(self, images: "Tensor") -> "Tensor":
        """Resize, crop and normalise images, batch x channels x height x width.

        Pixels of 0..255 (uint8) are scaled to 0..1 first. Raises ShapeMismatch for another number of channels than
        there are means, one mean serves them all; BadBatches for other integers, and for floats far beyond 0..1.
        """
        from model_lego.parts.preparing import check_channels, normalised, scaled

        images = scaled(images)
        check_channels(images, len(self.mean))
        return normalised(self.resized(images), self.mean, self.std)

    def resized(self, images: "Tensor") -> "Tensor":
        """Images in 0..1 (batch x channels x height x width) as they are before normalisation.

        Those of the final size stay as they are, so that to resize them again changes nothing.
        """
        if self.size is None:
            return images
        from model_lego.pictures.geometry import brought

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


def _numbers(what: str, given: Any) -> tuple[float, ...]:
    """A number, or a row of them in whatever holds numbers, as floats."""
    values = given.tolist() if hasattr(given, "tolist") else given
    try:
        return tuple(float(value) for value in (values if isinstance(values, Iterable) else [values]))
    except (TypeError, ValueError) as error:
        names = ", ".join(NORMALISATIONS)
        raise BadConfig(f"preprocessing takes numbers as {what}, one a channel, or {names}, not {given!r}") from error
