"""How a network takes its images, as a command line says it."""

from typing import Any

from model_lego.cli.options import PreprocessingOptions
from model_lego.errors import BadConfig
from model_lego.parts.normalisations import NORMALISATIONS
from model_lego.parts.preprocessing import Preprocessing


def parse_preprocessing(options: PreprocessingOptions, like: Preprocessing | None = None) -> Preprocessing:
    """Preprocessing of the options, else as `like` has it; images of the command line are always in 0..1."""
    known = like or Preprocessing()
    size, crop = _sides("--size", options.size), _sides("--crop", options.crop)
    if size is None:
        size, crop = known.size, known.crop if crop is None else crop
    mean, std = _numbers(options.mean), _numbers(options.std)
    if mean == std == ():
        mean, std = known.mean, known.std
    how: Any = options.interpolation or known.interpolation
    try:
        return Preprocessing(mean, std, size, crop, how)
    except BadConfig as error:
        given = {"--mean": options.mean, "--std": options.std, "--size": options.size, "--crop": options.crop}
        said = [f"{name} {text or 'unset'}" for name, text in given.items() if text or name in ("--mean", "--std")]
        raise BadConfig(f"{' with '.join(said)}: {error}") from error


def _numbers(text: str | None) -> Any:
    """Numbers or fractions separated by commas, or a name that stands for such."""
    if not text or text in NORMALISATIONS:
        return text or ()
    try:
        return tuple(_number(item) for item in text.split(","))
    except (ValueError, ZeroDivisionError) as error:
        names = ", ".join(NORMALISATIONS)
        raise BadConfig(
            f"--mean and --std take numbers or fractions (127/255) separated by commas, or one of {names}: {error}"
        ) from error


def _number(text: str) -> float:
    """A number, or a fraction: many networks are said to take images in 0..255."""
    above, slash, below = text.partition("/")
    return float(above) / float(below) if slash else float(above)


def _sides(option: str, text: str | None) -> tuple[int, int] | int | None:
    """A side in pixels, or height and width: 224 or 192x256."""
    if text is None:
        return None
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise BadConfig(f"{option} {text} is no side of an image; give at least 1, or height and width as 192x256")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))
