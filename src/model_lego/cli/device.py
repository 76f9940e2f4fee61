"""The options that say where a component is to run, and what is said of its time there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from model_lego.budgets.budget import Budget
from model_lego.cli.render import show
from model_lego.cli.summary import times_in_words
from model_lego.errors import BadConfig
from model_lego.exporting.runtimes import chosen
from model_lego.latency.device import Device
from model_lego.latency.table import load_latency_table

RuntimeName = Annotated[
    str | None,
    typer.Option("--device", help="where it is to run: onnxruntime, torch, torch-compile or openvino, on this machine"),
]
BatchSizes = Annotated[str, typer.Option("--batch", help="images that run at once on the device, with commas")]
ThreadCount = Annotated[int, typer.Option("--threads", help="threads that the device may take")]
Table = Annotated[
    str | None, typer.Option("--latency-table", help="times of another machine, which latency-table wrote there")
]


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """Where a component is to run."""

    device: RuntimeName = None
    batch: BatchSizes = "1"
    threads: ThreadCount = 1
    latency_table: Table = None

    def given(self, limits: Budget | None, *, thresholds: object = None) -> dict[str, Any]:
        """As the library takes it, for the limits of a budget; raises BadConfig for what makes no sense together."""
        from model_lego.budgets.settings import CutSettings

        if self.device is None and (self.batch, self.threads) != ("1", 1):
            raise BadConfig("--batch and --threads are about a device: name it by --device")
        table = None if self.latency_table is None else load_latency_table(self.latency_table)
        how = {"device": self.named, "latency_table": table}
        CutSettings(budget=limits, thresholds=thresholds, **how)  # type: ignore[arg-type]  # before anything is read
        return how

    @property
    def named(self) -> Device | None:
        """The device of this machine; raises BadConfig for one that is not there."""
        if self.device is None:
            return None
        chosen([self.device])
        return Device(self.device, tuple(numbers("--batch", self.batch)), self.threads)


def numbers(option: str, text: str) -> list[int]:
    """Whole numbers from 1 on; raises BadConfig."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) for word in words):
        raise BadConfig(f"{option} {text} has to be whole numbers from 1 on, with commas")
    return list(dict.fromkeys(int(word) for word in words))


def show_time(settings: Mapping[str, Any]) -> None:
    """Print what a component takes on the device that was named, if one was: predicted, and measured."""
    for line in times_in_words(settings):
        show(f"time {line}")
