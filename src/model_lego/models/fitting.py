"""Which of the tensors in a file are a network's: decided by fitting to the network's own names and shapes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from model_lego.graph.modules import tied_names

#: Where people keep the weights themselves, in the order in which they are taken where several places fit.
USUAL = ("", "state_dict", "model_state_dict", "model", "net", "network")
#: Buffers that state dicts of before torch 0.4.1 do not have.
COUNTERS = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class StateDict:
    """Tensors by name as they lie together in a file, at a dotted path; "" is the file itself."""

    place: str
    tensors: Mapping[str, Tensor]

    @property
    def rank(self) -> int:
        """The smaller, the sooner it is taken."""
        return USUAL.index(self.place) if self.place in USUAL else len(USUAL)


@dataclass(frozen=True, slots=True)
class Fit:
    """A state dict's tensors behind a prefix, held against a network's."""

    place: str
    prefix: str
    tensors: Mapping[str, Tensor]  # those behind the prefix, without it
    beside: tuple[str, ...]  # names of the others
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    misshapen: tuple[str, ...]

    @property
    def under(self) -> str:
        """Where these tensors are, in one dotted path."""
        return ".".join(filter(None, (self.place, self.prefix.removesuffix("."))))

    @property
    def faults(self) -> int:
        """How many names or shapes stand in the way."""
        return len(self.missing) + len(self.extra) + len(self.misshapen)


def state_dicts(held: Any, key: str | None = None) -> list[StateDict]:
    """All state dicts in what a file holds, or in that at the dotted path `key`: the usual places first."""
    found = sorted(_walk(held), key=lambda each: each.rank)
    return found if key is None else [part for each in found if (part := _at(each, key)).tensors]


def _walk(held: Any) -> Iterator[StateDict]:
    """From the outside inwards; nothing is opened twice, since a pickle may hold itself."""
    layer, opened = [("", held)] if isinstance(held, Mapping) else [], set[int]()
    while layer:
        inner: list[tuple[str, Any]] = []
        for place, each in layer:
            named = {name: value for name, value in each.items() if isinstance(name, str)}
            if tensors := {name: value for name, value in named.items() if _is_one(value)}:
                yield StateDict(place, tensors)
            if id(each) not in opened:
                inner += [(f"{place}.{name}".removeprefix("."), value) for name, value in named.items()]
            opened.add(id(each))
        layer = [(place, each) for place, each in inner if isinstance(each, Mapping)]


def _is_one(value: object) -> bool:
    """Whether it is a tensor, and not several of different shapes in one, which have none together."""
    return isinstance(value, Tensor) and not value.is_nested


def _at(given: StateDict, key: str) -> StateDict:
    """What of a state dict is at a dotted path, which may end within the names of its tensors."""
    inside = f"{given.place}.".removeprefix(".")
    if f"{given.place}.".startswith(f"{key}."):
        return given
    begin = f"{key}.".removeprefix(inside) if f"{key}.".startswith(inside) else None
    return StateDict(key, {} if begin is None else _behind(given.tensors, begin))


def _behind(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def fits(found: list[StateDict], network: nn.Module) -> list[Fit]:
    """State dicts held against a network, each behind the prefixes by which most of its names are the network's."""
    wanted, twins = network.state_dict(), tied_names(network)
    needed = {name: twins.get(name, (name,)) for name in wanted if not name.endswith(COUNTERS)}
    return [_fit(each, prefix, wanted, needed) for each in found for prefix in _prefixes(each, wanted, needed)]


def _prefixes(given: StateDict, wanted: Mapping[str, Any], needed: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The shortest first; none of them, where nothing is called as in the network."""
    known: Counter[str] = Counter()
    for name in given.tensors:
        parts = name.split(".")
        ends = [".".join(parts[start:]) for start in range(len(parts))]
        known.update(name.removesuffix(end) for end in ends if end in wanted)
    enough = min(max(known.values(), default=0), len(set(needed.values())))
    return sorted((prefix for prefix, count in known.items() if count >= enough), key=len) or [""]


def _fit(given: StateDict, prefix: str, wanted: Mapping[str, Tensor], needed: Mapping[str, tuple[str, ...]]) -> Fit:
    """What is there of a network's tensors; `needed` has those that have to be, under one of their names at least."""
    tensors = _behind(given.tensors, prefix)
    return Fit(
        place=given.place,
        prefix=prefix,
        tensors=tensors,
        beside=tuple(name for name in given.tensors if not name.startswith(prefix)),
        missing=tuple(name for name, names in needed.items() if tensors.keys().isdisjoint(names)),
        extra=tuple(name for name in tensors if name not in wanted),
        misshapen=tuple(name for name, tensor in tensors.items() if wanted.get(name, tensor).shape != tensor.shape),
    )
