"""The noun Device: where a component is to run."""

from dataclasses import dataclass

from model_lego.errors import BadConfig


@dataclass(frozen=True, slots=True)
class Device:
    """A runtime of this machine, the sizes of the batches that it is to run, and how many threads it may take.

    Raises BadConfig.
    """

    runtime: str
    batches: tuple[int, ...] = (1,)
    threads: int = 1

    def __post_init__(self) -> None:
        numbers = (*self.batches, self.threads)
        if not self.batches or any(not isinstance(number, int) or number < 1 for number in numbers):
            raise BadConfig("the batches and the threads of a device are whole numbers from 1 on")

    def __str__(self) -> str:
        batches = ", ".join(map(str, self.batches))
        return f"{self.runtime}, batch {batches}, {self.threads} thread{'s' if self.threads > 1 else ''}"
