"""Budgets: how large and how slow a component may be, and how much accuracy it may lose."""

import re
from dataclasses import dataclass
from numbers import Real
from typing import Any

from model_lego.budgets.size import share
from model_lego.errors import BadConfig
from model_lego.parts.origin import Cost
from model_lego.text.amounts import in_words

#: What is counted under which name: the field of a Budget and that of a Cost.
COUNTED = {"params": "parameters", "macs": "macs", "bytes": "bytes", "latency": "milliseconds"}
#: What messages call these.
WORDS = {"parameters": "parameters", "macs": "multiply-adds", "bytes": "bytes", "milliseconds": "time"}
#: Milliseconds of the units in which a time is written.
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a component, all of which hold at once; None is no limit.

    `params` and `macs` are shares of the source where they are at most 1, else absolute numbers; `bytes` is absolute;
    `latency` is a share of the source's time on a device, or the time of a batch there, "3ms"; of several batches each
    has to keep it. `accuracy_drop` is in points against the source restricted to the classes, on held-out calibration
    images.
    """

    params: float | None = None
    macs: float | None = None
    bytes: float | None = None
    latency: float | str | None = None
    accuracy_drop: float | None = None

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}
        if not given:
            raise BadConfig(f"a budget without limits; give some of {', '.join(self.__slots__)}")
        _check_latency(given.pop("latency", None))
        for name, value in given.items():
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not (0 <= value < float("inf")) or (value == 0 and name != "accuracy_drop"):
                raise BadConfig(f"budget {name}={value} has to be a positive number")
        for name in ("params", "macs"):
            value = given.get(name, 0)
            if 1 < value < 100 and value != int(value):
                what = WORDS[COUNTED[name]]
                raise BadConfig(f"budget {name}={value:g} is no number of {what}, and a share is at most 1")
        if self.accuracy_drop is not None and self.accuracy_drop > 100:
            raise BadConfig(f"budget accuracy_drop={self.accuracy_drop} allows everything; there are 100 points")
        if self.bytes is not None and self.bytes < 1:
            raise BadConfig(f"budget bytes={self.bytes} is a number of bytes, not a share; give 2e6 for two megabytes")

    @property
    def counted(self) -> tuple[str, ...]:
        """Which costs are limited: fields of a Cost."""
        return tuple(cost for name, cost in COUNTED.items() if getattr(self, name) is not None)

    def limit(self, cost: str, source: Cost) -> float:
        """The most that a cost may come to, as an absolute number; of times that of the slowest batch."""
        value = next(getattr(self, name) for name, counted in COUNTED.items() if counted == cost)
        if cost == "milliseconds":
            slowest: float = max(getattr(source, cost))
            return _milliseconds(value) if isinstance(value, str) else float(value) * slowest
        whole: int = getattr(source, cost)
        return float(value) * whole if value <= 1 and cost != "bytes" else float(value)

    def holds(self, cost: Cost, source: Cost) -> bool:
        """Whether a component of this cost is within the limits of size and time."""
        return all(self._within(counted, cost, source) for counted in self.counted)

    def _within(self, counted: str, cost: Cost, source: Cost) -> bool:
        if counted == "milliseconds" and not isinstance(self.latency, str):
            assert self.latency is not None
            return share(counted, cost, source) <= self.latency
        own = getattr(cost, counted)
        return bool((max(own) if isinstance(own, tuple) else own) <= self.limit(counted, source))

    def to_dict(self) -> dict[str, Any]:
        """The limits that are set."""
        return {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}

    def __str__(self) -> str:
        return ",".join(f"{name}={in_words(value)}" for name, value in self.to_dict().items())


def _check_latency(value: object) -> None:
    """Raises BadConfig for what is neither a share nor a time; None is no limit."""
    number = isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) <= 1
    if value is not None and not number and not (isinstance(value, str) and _milliseconds(value)):
        raise BadConfig(
            f"budget latency={value} is neither a share of the source's time, above 0 and at most 1, nor a time: 0.5, "
            "or '3ms' for three milliseconds a batch"
        )


def _milliseconds(text: str) -> float:
    """A time in milliseconds; 0 for what is none."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(us|ms|s)\s*", text)
    return 0.0 if found is None else float(found[1]) * UNITS[found[2]]


def beyond(budget: Budget, smallest: Cost, source: Cost) -> BadConfig:
    """What to say where not even the smallest component is within a budget."""
    least = ", ".join(_told(name, smallest, source) for name, cost in COUNTED.items() if cost in budget.counted)
    percent = any(1 < (getattr(budget, name) or 0) <= 100 for name in ("params", "macs"))
    return BadConfig(
        f"the budget {budget} cannot be met: the smallest component, with one channel of each group and all "
        f"that is kept whole, has {least}; raise the budget, or see with `diagnose` what is kept whole"
        + ("; shares are at most 1, 0.5 is half of the source" if percent else "")
    )


def _told(name: str, cost: Cost, source: Cost) -> str:
    """A cost as a limit would have it."""
    own, whole = getattr(cost, COUNTED[name]), getattr(source, COUNTED[name])
    if isinstance(own, tuple):
        times = " and ".join(f"{time:.3g}ms" for time in own)
        return f"latency={times} ({share(COUNTED[name], cost, source):.4f} of the source)"
    return f"{name}={own:,}" + (f" ({own / whole:.4f} of the source)" if whole else "")
