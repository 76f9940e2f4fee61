"""Files that are timed: what is written of a module, and what a fresh process takes that runs them in turns."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_lego.exporting.comparing import in_fresh_process
from model_lego.exporting.runtimes import Runtime
from model_lego.exporting.taken import Writable
from model_lego.latency.device import Device


@dataclass(frozen=True, slots=True)
class Timeable:
    """A file that a runtime runs, with the shape and the type of an image."""

    runtime: Runtime
    file: Path
    shape: tuple[int, ...]
    type: str

    @property
    def bytes(self) -> int:
        """Those of the file, and of the one beside it that may hold its weights."""
        beside = self.file.with_name(f"{self.file.name}.data")
        return sum(each.stat().st_size for each in (self.file, beside) if each.exists())

    def order(self) -> dict[str, Any]:
        """As `rounds` reads it."""
        return {"runtime": self.runtime.name, "file": str(self.file), "shape": self.shape, "type": self.type}


@dataclass(frozen=True, slots=True)
class Turns:
    """Milliseconds of a batch by its size, file and round, and the most memory that the process took, in bytes.

    `quickest` has the quickest single run of each file.
    """

    milliseconds: dict[int, list[list[float]]]
    quickest: dict[int, list[float]]
    peak: int


def written(given: Writable, runtime: Runtime, place: Path) -> Timeable:
    """The file of a module for a runtime, at a place without its ending; runtimes share formats."""
    file = place.with_suffix(runtime.format.suffix)
    if not file.exists():
        runtime.format.code.write(given, file)
    kind = str(given.example.dtype).removeprefix("torch.")
    return Timeable(runtime, file, tuple(given.example.shape[1:]), kind)


def undisturbed(files: Sequence[Timeable], device: Device, rounds: int) -> list[list[float]]:
    """Milliseconds that files of one runtime take on a device where nothing else runs: batches x files.

    With one thread what else runs is left out by the clock; with several the quickest run is that which met the least.
    Raises ExportFailed.
    """
    turns = in_turns(files, device.threads, device.batches, rounds, own=device.threads == 1)
    return [turns.quickest[batch] for batch in device.batches]


def in_turns(
    files: Sequence[Timeable], threads: int, batches: Sequence[int], rounds: int, *, own: bool = False
) -> Turns:
    """Run files of one runtime in turns, in a fresh process, whose `own` time may be all that counts.

    Raises ExportFailed.
    """
    given = {"files": [each.order() for each in files], "threads": threads, "batches": [*batches], "rounds": rounds}
    given["own"] = own
    with tempfile.TemporaryDirectory() as folder:
        orders = Path(folder, "orders.json")
        orders.write_text(json.dumps(given), encoding="utf-8")
        printed = in_fresh_process("rounds", str(orders), folder=folder, runtime=files[0].runtime.name)
    told = json.loads(printed.splitlines()[-1])
    times, quickest = ({int(batch): own for batch, own in told[name].items()} for name in ("milliseconds", "quickest"))
    return Turns(times, quickest, told["peak"])
