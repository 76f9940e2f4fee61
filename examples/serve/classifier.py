"""An exported part: its classes, how it takes pictures, and its probabilities. Only the ONNX file is needed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


class BadModel(Exception):
    """A file that this server cannot run."""


@dataclass(frozen=True, slots=True)
class Resizing:
    """How pictures are brought to the size of the network, as the file's metadata has it.

    `size` is height and width, or the length of the shorter side; `crop` is what is cut out of the middle.
    """

    size: tuple[int, int] | int | None = None
    crop: tuple[int, int] | int | None = None
    interpolation: str = "bilinear"

    @classmethod
    def read(cls, said: dict[str, Any]) -> Self:
        """From JSON values, where pairs are lists."""
        size, crop = (tuple(side) if isinstance(side, list) else side for side in (said["size"], said["crop"]))
        return cls(size, crop, said["interpolation"])


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A network that takes bytes, N x height x width x colours, and gives probabilities, N x classes."""

    session: onnxruntime.InferenceSession
    classes: tuple[str, ...]
    colours: int
    resizing: Resizing
    digest: str

    @classmethod
    def open(cls, file: Path, threads: int = 0) -> Self:
        """Open a file that `model-lego export --with-preprocessing` wrote; raises BadModel."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class of its own for each way to fail
            raise BadModel(f"{file} cannot be opened: {error}") from error
        notes = session.get_modelmeta().custom_metadata_map
        if "model_lego.resizing" not in notes:
            raise BadModel(f"{file} does not take pictures: write it with model-lego export … --with-preprocessing")
        return cls(
            session,
            tuple(json.loads(notes["model_lego.classes"])),
            json.loads(notes["model_lego.takes"])["shape"][-1],
            Resizing.read(json.loads(notes["model_lego.resizing"])),
            notes["model_lego.digest"],
        )

    def __call__(self, images: Pixels) -> Floats:
        """Probabilities of pictures of one size."""
        shares: Floats = self.session.run(None, {self.session.get_inputs()[0].name: images})[0]
        return shares
