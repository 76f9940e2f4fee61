"""Where a component comes from: its builder, what it costs, how it was cut. Text and numbers, so no torch is needed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from model_lego.parts.provenance import UNSAID, Provenance

#: How names of code of the user's own begin.
OWN_CODE = "python:"


@dataclass(frozen=True, slots=True)
class Builder:
    """How to build the uncut network again: a name from the allow-list and plain arguments.

    `name` is `zoo:NAME`, `torchvision:NAME`, `timm:NAME` or `hf:NAME`; `arguments` are JSON values. A name of the
    user's own code, `python:FILE.py:CALLABLE`, is there to be read: it is never run because a file says so.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_own_code(self) -> bool:
        """Whether it names code of the user's own."""
        return self.name.startswith(OWN_CODE)

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in sorted(self.arguments.items()))
        return f"{self.name} ({given})" if given else self.name


@dataclass(frozen=True, slots=True)
class Cost:
    """Size of a network: parameters, multiply-adds for one image, bytes of its tensors."""

    parameters: int
    macs: int
    bytes: int

    def __add__(self, other: "Cost") -> "Cost":
        """What two networks cost together."""
        return Cost(self.parameters + other.parameters, self.macs + other.macs, self.bytes + other.bytes)


def total(costs: Iterable[Cost]) -> Cost:
    """What some networks cost together."""
    return sum(costs, Cost(parameters=0, macs=0, bytes=0))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a component comes from and how it was cut; everything that changes the result is in here."""

    builder: Builder | None
    source_digest: str
    source_classes: tuple[str, ...]
    input_shape: tuple[int, ...]  # channels x height x width, as the network sees it
    kept_outputs: Mapping[str, tuple[int, ...]]  # parameterised layer -> original numbers of its output channels
    kept_inputs: Mapping[str, tuple[int, ...]]  # parameterised layer -> original numbers of its input channels
    attributes: Mapping[str, Mapping[str, int]]  # module path -> attribute -> value after the cut
    settings: Mapping[str, Any]  # thresholds, sampling, seed, repair …: JSON values
    cost_before: Cost
    cost_after: Cost
    provenance: Provenance = UNSAID
