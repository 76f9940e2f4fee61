"""quantize: a part as an ONNX file whose weights and values are bytes, with what that costs and gains beside floats."""

import statistics
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model_lego.data.batching import Batches, drawn
from model_lego.errors import BadConfig, EmptySelection
from model_lego.exporting.comparing import as_taken, checked_images, fresh_answers, in_fresh_process, seeded_images
from model_lego.exporting.exporting import beside, exportable, placed, proven
from model_lego.exporting.formats import Array, Format, format_of
from model_lego.exporting.notes import taken_in_words
from model_lego.exporting.runtimes import RUNTIMES
from model_lego.exporting.taken import Exportable
from model_lego.exporting.turns import Timeable, in_turns
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import taken_by
from model_lego.parts.verdict import FAR, DoubtfulResult
from model_lego.progress import Progress, quiet
from model_lego.store.outputs import writing
from model_lego.verdicts.metrics import difference_interval

#: Images that tell the ranges of values, and those that both files are measured on, at most.
CALIBRATED, TESTED = 256, 1000
#: Images that run at once.
CHUNK = 32
#: Batches that are timed, and turns of each file, on one thread.
BATCHES, ROUNDS = (1, 32), 9


@dataclass(frozen=True, slots=True)
class Quantized:
    """A file whose weights and values are bytes, beside the same network in floats.

    `calibrated` images told the ranges of values. On `images` others, or where none were given on the same
    (`held_out` is False), `agreeing` have the same class as in floats; `accuracy` and `float_accuracy` are in %, and
    `interval` is the 95 % interval of the points lost. What it gives differs by `difference` %, the root of the mean
    square, of the spread of what floats give: with a single class that is all there is to tell. `faster` says how many
    times as fast it is on this machine, on one thread, by the number of images at once.
    """

    file: Path
    bytes: int
    float_bytes: int
    takes: str
    gives: str
    runtime: str
    classes: int
    calibrated: int
    images: int
    held_out: bool
    agreeing: int
    accuracy: float
    float_accuracy: float
    interval: tuple[float, float]
    difference: float
    faster: Mapping[int, float]

    @property
    def lost(self) -> float:
        """Points that it is behind the same network in floats."""
        return self.float_accuracy - self.accuracy

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"file": str(self.file), "interval": list(self.interval), "lost": self.lost}

    def __str__(self) -> str:
        low, high = self.interval
        which = "other images" if self.held_out else "of these images"
        times = ", ".join(f"{ratio:.1f} times at {batch}" for batch, ratio in self.faster.items())
        told = (
            f"accuracy {self.accuracy:.1f} %, in floats {self.float_accuracy:.1f} %: {self.lost:.1f} points lost "
            f"(95 %: {low:.1f} to {high:.1f}); the same class for {self.agreeing}, "
        )
        return (
            f"{self.file}: onnx, int8, {self.bytes:,} bytes ({self.float_bytes:,} in floats); takes {self.takes}, "
            f"gives {self.gives}\n"
            f"calibrated on {self.calibrated} images; on {self.images} {which}, in a fresh process ({self.runtime}): "
            f"{told if self.classes > 1 else ''}{self.gives} differ by {self.difference:.1f} % of their spread\n"
            f"as fast as in floats, images at once, one thread: {times}"
        )


def quantize(
    part: Component | Assembly,
    path: str | Path,
    calibration: Batches,
    *,
    test: Batches | None = None,
    with_preprocessing: bool = False,
    overwrite: bool = False,
    progress: Progress = quiet,
) -> Quantized:
    """Write a part as an int8 ONNX file, calibrated on images, and measure it beside floats; the part stays as it is.

    Weights have a scale for each output channel and seven bits (eight saturate where a processor lacks instructions
    for int8), values a scale each, of the largest that was seen. First the file in floats is proven as `export` does.

    Args:
        part: what to export.
        path: the file, which ends in .onnx.
        calibration: re-iterable of (images as the part takes them, labels: positions in `part.classes`), of which a
            seeded sample of 256 tells the ranges of values.
        test: the same of other images, of which 1,000 are measured; by default those of the calibration are.
        with_preprocessing: take bytes, N x H x W x C, of any size as `predict` does, and give probabilities.
        overwrite: replace a file that is there.
        progress: called as the work goes on.

    Raises:
        BadConfig: the ending, or a package is missing.
        CannotWrite, OutputExists: the place.
        TraceFailed, RefusedError, ExportFailed: as for `export`, or onnxruntime cannot quantise it.
        EmptySelection, BadBatches, ShapeMismatch: the images.
    """
    kind, path = format_of(path), Path(path)
    if kind.name != "onnx":
        raise BadConfig(f"int8 is written as ONNX, and '{path}' is none by its ending: end it in .onnx")
    given = exportable(part, path, kind, with_preprocessing=with_preprocessing, overwrite=overwrite)
    fit = _some(given, calibration, CALIBRATED, progress)
    said = f"weights of seven bits by output channel, values of eight, of the ranges of {len(fit[1])} images"
    given = replace(given, notes={**given.notes, "model_lego.int8": said})
    images, labels = fit if test is None else _some(given, test, TESTED, progress)
    with beside(path) as fresh, tempfile.TemporaryDirectory() as room:
        plain = Path(room, "floats.onnx")
        proven(given, kind, plain, path, seeded_images(part), progress)
        progress("quantising", 0, 2)
        with writing(path):
            _quantise(kind, plain, fresh, fit[0])
        progress("measuring", 1, 2)
        own, floats = (torch.cat(fresh_answers(kind, file, images)).double() for file in (fresh, plain))
        times, size = _times(given, kind, (fresh, plain)), plain.stat().st_size
        (file,) = placed(fresh, path, overwrite=overwrite)
    progress("measuring", 2, 2)
    right, theirs = (answers.argmax(1) == labels for answers in (own, floats))
    lost, gained = int((theirs & ~right).sum()), int((right & ~theirs).sum())
    done = Quantized(
        file=file,
        bytes=file.stat().st_size,
        float_bytes=size,
        takes=taken_in_words(given.example, pixels=with_preprocessing),
        gives=given.gives,
        runtime=kind.version,
        classes=len(part.classes),
        calibrated=len(fit[1]),
        images=len(labels),
        held_out=test is not None,
        agreeing=int((own.argmax(1) == floats.argmax(1)).sum()),
        accuracy=100 * float(right.double().mean()),
        float_accuracy=100 * float(theirs.double().mean()),
        interval=difference_interval(lost, gained, len(labels)),
        difference=100 * float((own - floats).square().mean().sqrt() / floats.std(0).mean().clamp(min=1e-30)),
        faster=times,
    )
    if done.lost > FAR:
        what = f"int8 is {done.lost:.1f} points behind floats"
        warnings.warn(f"{what}; try calibration images of all classes, or floats", DoubtfulResult, stacklevel=2)
    return done


def _some(given: Exportable, feed: Batches, limit: int, progress: Progress) -> tuple[list[Array], Tensor]:
    """A seeded sample of images as the file takes them, in batches, and their classes."""
    part = given.part
    shape = taken_by(part)
    sample = drawn(
        feed,
        range(len(part.classes)),
        shape=(shape[0], None, None) if given.pixels else shape,
        labels=len(part.classes),
        limit=limit,
        progress=progress,
    )
    if not len(sample.labels):
        raise EmptySelection(f"there is no image of the classes {', '.join(part.classes)} to set int8 by")
    batches = (sample.seen[start : start + CHUNK] for start in range(0, len(sample.labels), CHUNK))
    taken = [as_taken(given, checked_images(part, some, pixels=given.pixels)).numpy() for some in batches]
    return taken, sample.labels


def _quantise(kind: Format, plain: Path, fresh: Path, batches: Sequence[Array]) -> None:
    """Quantise a file in a fresh process, with its notes; raises ExportFailed."""
    with tempfile.TemporaryDirectory() as folder:
        for number, batch in enumerate(batches):
            np.save(Path(folder, f"{number:05}.npy"), batch)
        in_fresh_process("int8", str(plain), str(fresh.absolute()), folder, folder=folder, runtime=kind.version)


def _times(given: Exportable, kind: Format, files: Sequence[Path]) -> dict[int, float]:
    """How many times as fast the first file is as the second, by the number of images at once."""
    shape, dtype = tuple(given.example.shape[1:]), str(given.example.dtype).removeprefix("torch.")
    turns = in_turns(
        [Timeable(RUNTIMES[kind.runtime], file.absolute(), shape, dtype) for file in files], 1, BATCHES, ROUNDS
    )
    return {
        batch: statistics.median(b / a for a, b in zip(*turns.milliseconds[batch], strict=True)) for batch in BATCHES
    }
