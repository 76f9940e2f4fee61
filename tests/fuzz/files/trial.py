"""A damaged file is read: what it may end in, how long that may take, and how much memory."""

import re
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from model_lego.errors import LegoError
from tests.fuzz.files.targets import Files, Target

#: Seconds of the processor, and megabytes, that reading a damaged file may take.
SECONDS, MEGABYTES = 1.0, 300
_STATUS, _PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class TooMuch(AssertionError):
    """It took too long, or too much memory."""


@dataclass(slots=True)
class Seen:
    """What the cases of a target ended in, and what the slowest and the largest of them took."""

    ended: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    megabytes: float = 0.0


def tried(target: Target, files: Files, seen: Seen) -> None:
    """Read the files, and note what that ended in: an error by its kind, or `read` where it went well.

    Raises TooMuch, and whatever is no LegoError.
    """
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(temporary)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        before, start, ended = _memory("VmRSS", afresh=True), time.process_time(), "read"
        try:
            target.read(folder)
        except LegoError as error:
            ended = type(error).__name__
        seconds, megabytes = time.process_time() - start, _memory("VmHWM") - before
    seen.ended[ended] += 1
    seen.seconds, seen.megabytes = max(seen.seconds, seconds), max(seen.megabytes, megabytes)
    if seconds > SECONDS:
        raise TooMuch(f"{target.name}: {seconds:.1f} s")
    if megabytes > MEGABYTES:
        raise TooMuch(f"{target.name}: {megabytes:.0f} MB")


def _memory(what: str, *, afresh: bool = False) -> float:
    """Megabytes that this process has (VmRSS), or had at most (VmHWM) since that was asked `afresh`; 0 but on Linux."""
    if not _STATUS.exists():
        return 0
    if afresh:
        _PEAK.write_text("5")
    found = re.search(rf"{what}:\s+(\d+) kB", _STATUS.read_text())
    return int(found[1]) / 1024 if found else 0
