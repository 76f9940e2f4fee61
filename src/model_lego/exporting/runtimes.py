"""The table of runtimes that are timed: the format that each runs, and how it opens a file. Light, as the formats."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from model_lego.errors import BadConfig
from model_lego.exporting.formats import FORMATS, Format, Run

#: What to do where something is missing.
_EXPORT = 'pip install "model-lego[export]"'
_COMPILER = "it needs a compiler of C++, g++ or clang++, or the one that CXX names"


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs files of a format: its `package`, and what to install where it is missing.

    One that `compiles` takes seconds for each file, and needs a compiler of C++.
    """

    name: str
    package: str
    format: Format
    missing: str
    open: Callable[[Path, int | None], Run]
    compiles: bool = False

    @property
    def version(self) -> str:
        """Its version."""
        return version(self.package)

    @property
    def installed(self) -> bool:
        """Whether it is there, with what writes its files."""
        packages = (self.package, *self.format.needs)
        return all(find_spec(each) is not None for each in packages) and (not self.compiles or _compiler())


def _compiler() -> bool:
    """Whether torch finds a compiler of C++."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++", "cl"))


def _openvino(file: Path, threads: int | None) -> Run:
    import openvino

    config = {"PERFORMANCE_HINT": "LATENCY"} | ({} if threads is None else {"INFERENCE_NUM_THREADS": threads})
    compiled = openvino.Core().compile_model(str(file), "CPU", config)
    return lambda batch: compiled(batch)[0]


def _by_format(format_: Format) -> Callable[[Path, int | None], Run]:
    def opened(file: Path, threads: int | None) -> Run:  # its code is imported when it is used
        run: Run = format_.code.opened(file, threads)
        return run

    return opened


def _compiled(file: Path, threads: int | None) -> Run:
    run: Run = FORMATS["pt2"].code.opened(file, threads, compiled=True)
    return run


RUNTIMES: Mapping[str, Runtime] = MappingProxyType(
    {
        each.name: each
        for each in (
            Runtime("torch", "torch", FORMATS["pt2"], "pip install torch", _by_format(FORMATS["pt2"])),
            Runtime("onnxruntime", "onnxruntime", FORMATS["onnx"], _EXPORT, _by_format(FORMATS["onnx"])),
            Runtime("openvino", "openvino", FORMATS["onnx"], f"{_EXPORT} openvino", _openvino),
            Runtime("torch-compile", "torch", FORMATS["pt2"], _COMPILER, _compiled, compiles=True),
        )
    }
)


def chosen(names: Sequence[str] | None) -> tuple[Runtime, ...]:
    """The runtimes of these names, by default all that are installed and do not compile; raises BadConfig."""
    if not names:
        return tuple(each for each in RUNTIMES.values() if each.installed and not each.compiles)
    for name in names:
        if name not in RUNTIMES:
            raise BadConfig(f"runtime '{name}' is unknown; there is {', '.join(RUNTIMES)}")
        if not RUNTIMES[name].installed:
            raise BadConfig(f"runtime {name} is not installed: {RUNTIMES[name].missing}")
    return tuple(RUNTIMES[name] for name in dict.fromkeys(names))
