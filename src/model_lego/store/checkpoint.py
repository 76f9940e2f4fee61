"""Notes of a long run on disk: pages of tensors, each written whole or not at all, at most once in a while."""

import time
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from model_lego.attribution.checkpoint import Content
from model_lego.errors import CorruptComponent
from model_lego.store.outputs import writing
from model_lego.store.weights import stream_weights

#: Seconds between two notes: so much work is lost at the most.
SECONDS = 60.0


class Notebook:
    """Pages in a folder, which is made when the first is written."""

    def __init__(self, folder: Path, *, seconds: float = SECONDS) -> None:
        self.folder, self.seconds = folder, seconds
        self.written = time.monotonic()

    def read(self, page: str) -> dict[str, Tensor] | None:
        """What was noted on a page; None where nothing was. Raises CorruptComponent."""
        path = self._path(page)
        if not path.exists():
            return None
        try:
            return safetensors.torch.load(path.read_bytes())
        except (SafetensorError, OSError) as error:
            raise CorruptComponent(f"{path} cannot be read ({error}); remove {self.folder} to start anew") from error

    def write(self, page: str, content: Content, *, now: bool = False) -> None:
        """Replace a page, where the last one was written long enough ago or `now` is set."""
        if not now and time.monotonic() - self.written < self.seconds:
            return
        tensors: Mapping[str, Tensor] = content()
        with writing(self._path(page)):
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh = self._path(page).with_suffix(".new")
            stream_weights({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, fresh)
            fresh.replace(self._path(page))
        self.written = time.monotonic()

    def remove(self, page: str) -> None:
        """Forget a page."""
        self._path(page).unlink(missing_ok=True)

    def _path(self, page: str) -> Path:
        return self.folder / f"{page}.safetensors"
