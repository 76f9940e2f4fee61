"""Values of a whole calibration set at the frontier of a walk, in memory up to a budget and in mapped files beyond."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, fx

from model_lego.errors import CannotWrite


class Frontier:
    """The live values of one network, a list of chunks for each node; large ones go to temporary files.

    A context manager: the files are gone afterwards, whatever happens.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget  # bytes of values held in memory
        self.held = 0
        self.values: dict[fx.Node, list[Any]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files = 0

    def __enter__(self) -> "Frontier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.values.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def put(self, node: fx.Node, chunks: list[Any]) -> None:
        """Hold the chunks of a node's value."""
        self.values[node] = [self._settled(chunk) for chunk in chunks]

    def drop(self, node: fx.Node) -> None:
        """Forget a value that nothing reads any more."""
        for chunk in self.values.pop(node, []):
            if isinstance(chunk, Tensor) and not hasattr(chunk, "_mapped"):
                self.held -= chunk.numel() * chunk.element_size()

    def _reserved(self, size: int) -> Path:
        """A file that has so many bytes on the disk already: memory that stands for a full disk ends the process.

        Raises CannotWrite.
        """
        try:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="model-lego-")
            self._files += 1
            path = Path(self._folder.name) / f"{self._files}.bin"
            with path.open("wb") as file:
                if hasattr(os, "posix_fallocate") and size:
                    os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise CannotWrite(
                tempfile.gettempdir(),
                f"the repair keeps values there that are beyond its memory, now {size:,} bytes ({error.strerror}); "
                "make room, name another folder by TMPDIR, or give fewer images",
            ) from error
        return path

    def _settled(self, chunk: Any) -> Any:
        if not isinstance(chunk, Tensor):
            return chunk
        size = chunk.numel() * chunk.element_size()
        if self.held + size <= self.budget:
            self.held += size
            return chunk
        path = self._reserved(size)
        mapped = torch.from_file(str(path), shared=True, size=chunk.numel(), dtype=chunk.dtype)
        with suppress(PermissionError):  # Windows keeps the name until nothing maps the file
            path.unlink()  # its room is free as soon as the value is dropped, or the process killed
        mapped = mapped.as_strided(chunk.shape, torch.empty_like(chunk, device="meta").stride())  # its layout, dense
        mapped.copy_(chunk)
        mapped._mapped = True  # type: ignore[attr-defined]
        return mapped
