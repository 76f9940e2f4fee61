"""Which samples the statistics are taken from: the most confident correct ones of each class, random ones, or all."""

import hashlib
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import chain
from typing import Literal, TypedDict

import torch
from torch import Tensor, nn

from model_lego.attribution.reading import ALONE, Reading
from model_lego.data.batching import Batches, absent, checked, only, prepared
from model_lego.errors import BadBatches, BadConfig, EmptySelection
from model_lego.graph import ChannelGraph
from model_lego.graph.runner import Running, running
from model_lego.parts.class_names import ClassNames, names_of
from model_lego.processes import in_all, place_in
from model_lego.progress import tracked

#: So many classes without samples are named.
MENTIONED = 10
#: Length of the fingerprint of a labelled image.
PRINT_BYTES = 12

#: "confident": the most confident correctly labelled; "random": any; "all": every sample.
Sampling = Literal["confident", "random", "all"]


class SampleOptions(TypedDict, total=False):
    """Keyword arguments that say which samples statistics are taken from."""

    sampling: Sampling
    per_class: int | None  # samples a class: 1 % of the smallest class and at least 50 by default
    seed: int  # of random samples
    class_names: ClassNames | None  # for messages alone


@dataclass(frozen=True, slots=True)
class SampleChoice:
    """Which samples statistics are taken from, as `SampleOptions` say; raises BadConfig."""

    sampling: Sampling = "confident"
    per_class: int | None = None
    seed: int = 0
    class_names: ClassNames | None = None

    def __post_init__(self) -> None:
        if self.sampling not in ("confident", "random", "all"):
            raise BadConfig(f"sampling '{self.sampling}' is unknown; use 'confident', 'random' or 'all'")
        if self.per_class is not None and self.per_class < 1:
            raise BadConfig(f"{self.per_class} samples a class make no statistics; give at least 1")

    def name(self, label: int) -> str:
        """What messages call a class: its name in quotation marks, or its number."""
        return str(label) if self.class_names is None else f"'{names_of(self.class_names)[label]}'"

    def no_samples(self, labels: Sequence[int]) -> str:
        """The words for classes without samples."""
        if len(labels) == 1:
            return f"class {self.name(labels[0])} has no sample in the batches; give some, or leave the class out"
        some = ", ".join(map(self.name, labels[:MENTIONED])) + (" …" if len(labels) > MENTIONED else "")
        return f"{len(labels)} classes have no sample in the batches: {some}; give some, or leave these classes out"


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen samples of each class by the fingerprint of image and label: fingerprint -> how many times.

    Of several processes each holds those that it has read itself.
    """

    fingerprints: Mapping[int, Mapping[bytes, int]]
    fallbacks: tuple[int, ...] = ()  # classes without a correctly labelled sample

    def of(self, classes: Sequence[int]) -> dict[bytes, int]:
        """The chosen samples of some classes."""
        return {mark: times for label in classes for mark, times in self.fingerprints[label].items()}


@dataclass(slots=True)
class _Seen:
    """What is kept of the samples while the batches go by."""

    labels: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)  # log-probability of the label
    correct: list[bool] = field(default_factory=list)
    prints: list[bytes] = field(default_factory=list)
    order: list[tuple[int, int]] = field(default_factory=list)  # batch, place in it

    def part(self, places: Iterable[int]) -> "_Seen":
        """Some of the samples."""
        places = list(places)
        return _Seen(*([getattr(self, name.name)[place] for place in places] for name in fields(self)))

    def tensors(self) -> dict[str, Tensor]:
        """As tensors, to be noted."""
        return {
            "labels": torch.tensor(self.labels, dtype=torch.int64),
            "scores": torch.tensor(self.scores, dtype=torch.float64),
            "correct": torch.tensor(self.correct, dtype=torch.bool),
            "prints": torch.tensor([list(mark) for mark in self.prints], dtype=torch.uint8).reshape(-1, PRINT_BYTES),
            "order": torch.tensor(self.order, dtype=torch.int64).reshape(-1, 2),
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "_Seen":
        """What was noted."""
        return cls(
            labels=tensors["labels"].tolist(),
            scores=tensors["scores"].tolist(),
            correct=tensors["correct"].tolist(),
            prints=[bytes(row) for row in tensors["prints"].tolist()],
            order=[(batch, place) for batch, place in tensors["order"].tolist()],
        )


def choose(
    model: nn.Module,
    graph: ChannelGraph,
    batches: Batches,
    *,
    classes: Sequence[int],
    samples: SampleChoice,
    reading: Reading = ALONE,
) -> Choice | None:
    """Choose samples of the classes (label numbers); None means all.

    The same number for every class: `per_class`, else 1 % of the smallest class and at least 50, where a class has
    that many. Samples are ordered by (confidence, position), so that the choice is reproducible. Raises EmptySelection
    for a class without samples, BadBatches, ProcessFailed.
    """
    prepared(batches, None)  # refuses what a network by itself cannot take
    if missing := absent(batches, classes):
        raise EmptySelection(samples.no_samples(missing))
    if samples.sampling == "all":
        return None
    rank, count = place_in(reading.group)
    shares = in_all(lambda: _look(model, graph, batches, classes, samples.sampling, reading), reading.group)
    seen = _by_class(shares, classes)
    empty = [label for label, of_class in seen.items() if not of_class.prints]
    if empty:
        raise EmptySelection(samples.no_samples(empty))
    smallest = min(len(of_class.prints) for of_class in seen.values())
    number = samples.per_class or max(50, math.ceil(0.01 * smallest))
    generator = torch.Generator().manual_seed(samples.seed)
    places = {
        label: torch.randperm(len(of_class.prints), generator=generator).tolist()[:number]
        if samples.sampling == "random"
        else _most_confident(of_class, number)
        for label, of_class in seen.items()
    }
    fallbacks = [label for label, of_class in seen.items() if not any(of_class.correct)]
    if fallbacks:
        called = ", ".join(map(samples.name, fallbacks))
        warnings.warn(
            f"no sample of class {called} is labelled correctly by the network; "
            "its samples of highest label probability are used",
            stacklevel=3,
        )
    mine = {
        label: Counter(seen[label].prints[place] for place in order if seen[label].order[place][0] % count == rank)
        for label, order in places.items()
    }
    return Choice(mine, tuple(fallbacks))


def _look(
    model: nn.Module,
    graph: ChannelGraph,
    batches: Batches,
    classes: Sequence[int],
    sampling: Sampling,
    reading: Reading,
) -> _Seen:
    """Run through a share of the batches once and note confidence and fingerprint of the samples of the classes."""
    notes, share = reading.notes, place_in(reading.group)
    noted = notes.read("samples")
    seen, done = (_Seen(), 0) if noted is None else (_Seen.of(noted), int(noted["done"]))
    wanted, network = torch.tensor(list(classes)), running(graph.program, model)
    reader = checked(only(batches, classes), shape=graph.program.image_shape, labels=len(graph.head), share=share)
    for turn, (images, labels) in enumerate(tracked(reader, "choosing samples", reading.progress)):
        mine = torch.isin(labels, wanted)
        if turn < done or not bool(mine.any()):
            continue
        images, labels = images[mine], labels[mine]
        scores, correct = _confidence(network, images, labels) if sampling == "confident" else _unknown(labels)
        seen.labels += labels.tolist()
        seen.scores += scores
        seen.correct += correct
        seen.prints += [fingerprint(image, label) for image, label in zip(images, labels.tolist(), strict=True)]
        seen.order += [(share[0] + turn * share[1], place) for place in range(len(labels))]
        done = turn + 1
        notes.write("samples", partial(_noted, seen, done))
    notes.write("samples", partial(_noted, seen, done), now=True)
    return seen


def _noted(seen: _Seen, done: int) -> dict[str, Tensor]:
    return seen.tensors() | {"done": torch.tensor(done)}


def _by_class(shares: Sequence[_Seen], classes: Sequence[int]) -> dict[int, _Seen]:
    """What several processes saw of each class, as one would have seen it."""
    whole = _Seen(*(list(chain.from_iterable(getattr(seen, name.name) for seen in shares)) for name in fields(_Seen)))
    places: dict[int, list[int]] = {label: [] for label in classes}
    for place in sorted(range(len(whole.order)), key=whole.order.__getitem__):
        places[whole.labels[place]].append(place)
    return {label: whole.part(found) for label, found in places.items()}


def _confidence(network: Running, images: Tensor, labels: Tensor) -> tuple[list[float], list[bool]]:
    with torch.no_grad():
        logits = torch.cat([network.run(some) for some in network.portions(images)]).double().cpu()
    own = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    return own.tolist(), (logits.argmax(1) == labels).tolist()


def _unknown(labels: Tensor) -> tuple[list[float], list[bool]]:
    return [0.0] * len(labels), [True] * len(labels)


def _most_confident(of_class: _Seen, number: int) -> list[int]:
    """Places of the most confident correct samples; ties go to the earlier one."""
    eligible = [place for place, right in enumerate(of_class.correct) if right] or list(range(len(of_class.scores)))
    return sorted(eligible, key=lambda place: (-of_class.scores[place], place))[:number]


def fingerprint(image: Tensor, label: int) -> bytes:
    """A short digest of one labelled image, by which it is found again however the batches are ordered."""
    pixels = image.contiguous().cpu().view(torch.uint8).numpy()
    return hashlib.blake2b(pixels.tobytes(), digest_size=PRINT_BYTES, key=str(label).encode()).digest()


def chosen(
    batches: Batches,
    choice: Choice | None,
    *,
    shape: tuple[int, ...],
    labels: int,
    classes: Sequence[int],
    share: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the chosen samples of a share in batches; raises BadBatches where some of them do not come again."""
    wanted = choice.of(classes) if choice is not None else {}
    asked = torch.tensor(list(classes))
    for images, numbers in checked(only(batches, classes), shape=shape, labels=labels, share=share):
        mine = torch.isin(numbers, asked)
        if choice is not None:
            for place in mine.nonzero().reshape(-1).tolist():
                key = fingerprint(images[place], int(numbers[place]))
                mine[place] = wanted.get(key, 0) > 0
                wanted[key] = wanted.get(key, 0) - 1
        if bool(mine.any()):  # where other classes are not even read, a batch may be empty
            yield (images, numbers) if bool(mine.all()) else (images[mine], numbers[mine])
    missing = sum(count for count in wanted.values() if count > 0)
    if missing:
        raise BadBatches(
            f"{missing} of the chosen images did not come again when the batches were read a second time; "
            "give batches without random augmentation" + (" and in one order" if share[1] > 1 else "")
        )


def gathered(samples: Iterable[tuple[Tensor, Tensor]], batch_size: int = 128) -> Iterator[tuple[Tensor, Tensor]]:
    """Put small leftovers of batches together to batches of a decent size."""
    images: list[Tensor] = []
    labels: list[Tensor] = []
    for some, numbers in samples:
        images.append(some)
        labels.append(numbers)
        if sum(map(len, images)) >= batch_size:
            yield _joined_batch(images, labels)
            images, labels = [], []
    if images:
        yield _joined_batch(images, labels)


def _joined_batch(images: list[Tensor], labels: list[Tensor]) -> tuple[Tensor, Tensor]:
    return (images[0], labels[0]) if len(images) == 1 else (torch.cat(images), torch.cat(labels))
