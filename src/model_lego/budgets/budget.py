"""Budgets: how large a component may be, and how much accuracy it may lose."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

from model_lego.errors import BadConfig
from model_lego.parts.origin import Cost

#: What is counted under which name: the field of a Budget and that of a Cost.
COUNTED = {"params": "parameters", "macs": "macs", "bytes": "bytes"}
#: What messages call these.
WORDS = {"parameters": "parameters", "macs": "multiply-adds", "bytes": "bytes"}


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a component, all of which hold at once; None is no limit.

    `params` and `macs` are shares of the source where they are at most 1, else absolute numbers; `bytes` is absolute;
    `accuracy_drop` is in points against the source restricted to the classes, on held-out calibration images.
    """

    params: float | None = None
    macs: float | None = None
    bytes: float | None = None
    accuracy_drop: float | None = None

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}
        if not given:
            raise BadConfig(f"a budget without limits; give some of {', '.join(self.__slots__)}")
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
        """The most that a cost may come to, as an absolute number."""
        value = next(float(getattr(self, name)) for name, counted in COUNTED.items() if counted == cost)
        whole: int = getattr(source, cost)
        return value * whole if value <= 1 and cost != "bytes" else value

    def holds(self, cost: Cost, source: Cost) -> bool:
        """Whether a component of this cost is within the limits of size."""
        return all(getattr(cost, counted) <= self.limit(counted, source) for counted in self.counted)

    def to_dict(self) -> dict[str, Any]:
        """The limits that are set."""
        return {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}

    def __str__(self) -> str:
        return ",".join(f"{name}={value:g}" for name, value in self.to_dict().items())


def beyond(budget: Budget, smallest: Cost, source: Cost) -> BadConfig:
    """What to say where not even the smallest component is within a budget."""
    least = ", ".join(
        f"{name}={getattr(smallest, cost):,}"
        + (f" ({getattr(smallest, cost) / getattr(source, cost):.4f} of the source)" if getattr(source, cost) else "")
        for name, cost in COUNTED.items()
        if cost in budget.counted
    )
    percent = any(1 < (getattr(budget, name) or 0) <= 100 for name in ("params", "macs"))
    return BadConfig(
        f"the budget {budget} cannot be met: the smallest component, with one channel of each group and all "
        f"that is kept whole, has {least}; raise the budget, or see with `diagnose` what is kept whole"
        + ("; shares are at most 1, 0.5 is half of the source" if percent else "")
    )
