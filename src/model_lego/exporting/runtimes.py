"""The table of runtimes that are timed: the format that each runs, and how it opens a file. Light, as the formats."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from model_lego.errors import BadConfig
from model_lego.exporting.formats import FORMATS, Format, Run


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs files of a format: its package, and the extra of ours that brings it."""

    name: str
    format: Format
    extra: str
    open: Callable[[Path, int | None], Run]

    @property
    def version(self) -> str:
        """Its version."""
        return version(self.name)

    @property
    def installed(self) -> bool:
        """Whether it is there, with what writes its files."""
        return all(find_spec(package) is not None for package in (self.name, *self.format.needs))


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


RUNTIMES: Mapping[str, Runtime] = MappingProxyType(
    {
        each.name: each
        for each in (
            Runtime("torch", FORMATS["pt2"], "", _by_format(FORMATS["pt2"])),
            Runtime("onnxruntime", FORMATS["onnx"], "export", _by_format(FORMATS["onnx"])),
            Runtime("openvino", FORMATS["onnx"], "export", _openvino),
        )
    }
)


def chosen(names: Sequence[str] | None) -> tuple[Runtime, ...]:
    """The runtimes of these names, by default all that are installed; raises BadConfig."""
    if not names:
        return tuple(each for each in RUNTIMES.values() if each.installed)
    for name in names:
        if name not in RUNTIMES:
            raise BadConfig(f"runtime '{name}' is unknown; there is {', '.join(RUNTIMES)}")
        if not RUNTIMES[name].installed:
            what = f'"model-lego[{RUNTIMES[name].extra}]"' + (" openvino" if name == "openvino" else "")
            raise BadConfig(f"runtime {name} is not installed: pip install {what}")
    return tuple(RUNTIMES[name] for name in dict.fromkeys(names))
