"""An exported file against its part: both run on the same images, the file in a fresh process of its runtime."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model_lego.errors import BadBatches, ExportFailed
from model_lego.exporting.formats import Array, Format
from model_lego.exporting.taken import Exportable, fixed_shape, taking
from model_lego.parts.answers import answer_of
from model_lego.parts.assembly import Part
from model_lego.parts.image_shapes import check_shape, common_preprocessing, taken_by
from model_lego.parts.preparing import scaled

#: Seeded images where none are given.
SEEDED = 64
#: Sizes of the batches, in turns: one that a graph might take for a constant, odd ones, one that is filled.
BATCHES = (1, 3, 7, 32)
#: Largest difference of what the file and the part give, in parts of the part's largest value or of 1.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Compared:
    """How many images were run, and how far what came out lies apart.

    `agreeing` images have the same class; where the part itself has two classes within the tolerance, either is right.
    """

    images: int
    difference: float
    largest: float
    agreeing: int

    @property
    def allowed(self) -> float:
        """The largest difference that rounding explains."""
        return TOLERANCE * max(1.0, self.largest)

    @property
    def same(self) -> bool:
        """Whether the file gives what the part gives."""
        return self.difference <= self.allowed and self.agreeing == self.images


def seeded_images(part: Part, count: int = SEEDED) -> Tensor:
    """Images in 0..1 of coarse and of fine patterns, always the same: N x C x H x W."""
    generator = torch.Generator().manual_seed(0)
    shape = fixed_shape(part)
    if len(shape) != 3:
        return torch.rand(count, *shape, generator=generator)
    channels, height, width = shape
    made = []
    for number in range(count):
        cells = 2 ** (number % 6)
        coarse = torch.rand(1, channels, min(cells, height), min(cells, width), generator=generator)
        light = torch.rand(2, generator=generator).sort().values
        made.append(light[0] + (light[1] - light[0]) * F.interpolate(coarse, size=(height, width)))
    return torch.cat(made)


def checked_images(part: Part, images: Tensor, *, pixels: bool) -> Tensor:
    """Images as the file takes them: of any size for pixels, else as the part has resized them; floats in 0..1.

    Raises ShapeMismatch, BadBatches.
    """
    if not isinstance(images, Tensor) or images.dim() < 2 or not len(images):
        raise BadBatches("images to compare an export by are a tensor, N x C x H x W, of at least one image")
    taken = taken_by(part)
    check_shape("images", images, (taken[0], None, None) if pixels else taken)
    images = scaled(images)
    if not bool(torch.isfinite(images).all()):
        raise BadBatches("the images contain NaN or infinite values")
    common = common_preprocessing(part)
    return images if pixels or common is None else common.resized(images)


def compared(given: Exportable, kind: Format, file: Path, images: Tensor) -> Compared:
    """Run a file and its part on images (floats in 0..1); raises ExportFailed where one of them gives no answer."""
    batches = list(_batches(given, images))
    expected = [_expected(given, batch) for batch in batches]
    if not all(bool(torch.isfinite(each).all()) for each in expected):
        raise ExportFailed("the part itself gives no finite answer to the images that its export is compared by")
    found = fresh_answers(kind, file, [batch.numpy() for batch in batches])
    for want, have in zip(expected, found, strict=True):
        if want.shape != have.shape:
            raise ExportFailed(f"the file gives {tuple(have.shape)} where the part gives {tuple(want.shape)}")
    return _differences(torch.cat(expected).double(), torch.cat(found).double())


def _batches(given: Exportable, images: Tensor) -> Iterator[Tensor]:
    """Batches of different sizes as the file takes them; pixels also in other sizes than the network's."""
    sizes, done, number = BATCHES, 0, 0
    while done < len(images):
        some = images[done : done + sizes[number % len(sizes)]]
        done, number = done + len(some), number + 1
        if given.pixels and number % 3 == 2:  # a third of the batches is larger, and has other proportions
            some = F.interpolate(some, size=[3 * some.shape[2] // 2 + 1, 2 * some.shape[3] - 1])
        yield as_taken(given, some)


def as_taken(given: Exportable, images: Tensor) -> Tensor:
    """Images (floats in 0..1, N x C x H x W) as the file takes them: its floats, or bytes N x H x W x C."""
    if not given.pixels:
        return images.to(given.example.dtype).contiguous()
    return (255 * images).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _expected(given: Exportable, batch: Tensor) -> Tensor:
    """What the part gives, by its own preprocessing."""
    device = next(iter(given.part.parameters()), torch.empty(0)).device
    if not given.pixels:
        return answer_of(given.part, batch.to(device)).cpu()
    images = (batch.permute(0, 3, 1, 2) / 255).to(device)
    return answer_of(given.part, taking(given.part).resized(images)).softmax(1).cpu()


def fresh_answers(kind: Format, file: Path, batches: Sequence[Array]) -> list[Tensor]:
    """What a file gives in a process of its own; raises ExportFailed."""
    with tempfile.TemporaryDirectory() as folder:
        for number, batch in enumerate(batches):
            np.save(Path(folder, f"{number:05}.npy"), batch)
        in_fresh_process("fresh", kind.name, str(file.absolute()), folder, folder=folder, runtime=kind.version)
        return [torch.from_numpy(np.load(each)) for each in sorted(Path(folder).glob("*.answer.npy"))]


def in_fresh_process(module: str, *arguments: str, folder: str, runtime: str) -> str:
    """What a module of this folder prints in a process that finds what this one finds, where nothing gets in its way.

    Raises ExportFailed about the `runtime`.
    """
    paths = os.pathsep.join(str(Path(each).absolute()) for each in sys.path)
    ran = subprocess.run(
        [sys.executable, "-m", f"model_lego.exporting.{module}", *arguments],
        env=os.environ | {"PYTHONPATH": paths},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        said = (ran.stderr.strip().splitlines() or [f"it ended with {ran.returncode}"])[-1]
        raise ExportFailed(f"{runtime} cannot run the file: {said}")
    return ran.stdout


def _differences(expected: Tensor, found: Tensor) -> Compared:
    own, theirs = expected.argmax(1, keepdim=True), found.argmax(1, keepdim=True)
    gap = (expected.gather(1, own) - expected.gather(1, theirs))[:, 0]
    result = Compared(len(expected), float((expected - found).abs().max()), float(expected.abs().max()), 0)
    return Compared(result.images, result.difference, result.largest, int((gap <= result.allowed).sum()))
