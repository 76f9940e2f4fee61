"""The table of formats: ending, writer, what they need. Light, since fresh processes read it without torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_lego.errors import BadConfig

Array = NDArray[np.generic]
#: Gives what a file gives for a batch.
Run = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: `module` (of this folder) writes it and opens it, with the packages that it `needs`.

    `runtime` is the package that runs it, `extra` the one of ours that brings them. A format with `pixels` can take
    these, in any size, and give probabilities; others hold the part as it is.
    """

    name: str
    suffix: str
    module: str
    runtime: str
    needs: tuple[str, ...] = ()
    extra: str = ""
    pixels: bool = True

    @property
    def code(self) -> Any:
        """The module that writes and opens it; its libraries are imported where they are used."""
        return import_module(f"model_lego.exporting.{self.module}")

    @property
    def version(self) -> str:
        """Name and version of what runs it."""
        return f"{self.runtime} {version(self.runtime)}"

    def check_installed(self) -> None:
        """Raises BadConfig where a package is missing that writes or runs it."""
        for package in self.needs:
            if find_spec(package) is None:
                how = f'pip install "model-lego[{self.extra}]"'
                raise BadConfig(f"format {self.name} needs {package}, which is not installed: {how}")


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        each.name: each
        for each in (
            Format("onnx", ".onnx", "onnx_file", "onnxruntime", ("onnx", "onnxscript", "onnxruntime"), "export"),
            Format("pt2", ".pt2", "pt2_archive", "torch"),
            Format(
                "executorch", ".pte", "executorch_program", "executorch", ("executorch",), "executorch", pixels=False
            ),
            Format("safetensors", ".safetensors", "plain_weights", "torch", pixels=False),
        )
    }
)


def format_of(file: str | Path, name: str | None = None) -> Format:
    """The format of a name, or where there is none of a file's ending; raises BadConfig."""
    known = ", ".join(f"{each.name} ({each.suffix})" for each in FORMATS.values())
    suffix = Path(file).suffix.lower()
    found = next((each for each in FORMATS.values() if each.suffix == suffix), None)
    if name is None and found is None:
        raise BadConfig(f"'{file}' does not say what to export to by its ending; there is {known}")
    if name is not None and name not in FORMATS:
        raise BadConfig(f"format '{name}' is unknown; there is {known}")
    if name is not None and found is not FORMATS[name]:
        raise BadConfig(f"'{file}' is no name for format {name}; end it in {FORMATS[name].suffix}")
    assert found is not None
    return found
