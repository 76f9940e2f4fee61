"""Peak memory of a piece of work, where the system tells it (Linux)."""

from collections.abc import Callable
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Memory:
    """Memory of this process beyond what it had at the start, in KiB; 0 where the system does not tell."""

    def __init__(self) -> None:
        self.start = _read("VmRSS")

    def reset(self) -> None:
        """Forget the peak until now."""
        if CLEAR.exists():
            CLEAR.write_text("5")

    def peak(self) -> int:
        """The largest since the last reset."""
        return _read("VmHWM") - self.start

    def of(self, work: Callable[[], object]) -> int:
        """The largest while something is done."""
        self.reset()
        work()
        return max(self.peak(), 1)


def _read(name: str) -> int:
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)
