"""What a part takes images for: Prediction of one, Predictions of many."""

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

#: Classes of an image that are told where nobody says how many.
TOLD = 5
#: Images that a printed list shows at most, and classes of each.
SHOWN, NAMED = 20, 3


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What one image is taken for: `image` is its path or its number, `logits` has one number a class.

    Of an image that could not be read `error` says why: it has no class then, and nan as logits.
    """

    image: str | int
    classes: tuple[str, ...]
    logits: Tensor
    error: str | None = None

    @property
    def label(self) -> int | None:
        """The position of the most probable class; None where there is an error."""
        return int(self.logits.argmax()) if self.error is None else None

    @property
    def name(self) -> str | None:
        """The most probable class; None where there is an error."""
        return None if self.label is None else self.classes[self.label]

    @property
    def probability(self) -> float:
        """That of the most probable class, 0..1; nan where there is an error."""
        return math.nan if self.label is None else float(self.probabilities[self.label])

    @property
    def probabilities(self) -> Tensor:
        """One number a class, 0..1, float64."""
        return self.logits.double().softmax(0)

    def top(self, number: int = TOLD) -> tuple[tuple[str, float], ...]:
        """The most probable classes in this order, with their probabilities; none where there is an error."""
        if self.error is not None:
            return ()
        places = self.logits.sort(descending=True, stable=True).indices[:number]
        shares = self.probabilities[places].tolist()
        return tuple((self.classes[place], share) for place, share in zip(places.tolist(), shares, strict=True))

    def to_dict(self, top: int = TOLD) -> dict[str, Any]:
        """The image, its class and the `top` most probable ones, or its error, as JSON values."""
        about: dict[str, Any] = {"file" if isinstance(self.image, str) else "image": self.image}
        if self.error is not None:
            return about | {"error": self.error}
        told = [{"class": name, "probability": share} for name, share in self.top(top)]
        return about | told[0] | ({"top": told} if top > 1 else {})

    def to_row(self, top: int = 1) -> list[str | int | float]:
        """The same in the columns of `columns(top)`."""
        cells = [cell for pair in self.top(top) for cell in pair]
        return [self.image, *cells, *[""] * (2 * top - len(cells)), self.error or ""]

    def __str__(self) -> str:
        told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in self.top(NAMED))
        return f"{self.image}: {self.error or told}"


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a part takes images for, in the order in which they were given; iterating gives a `Prediction` each.

    `images` are their paths or numbers, `logits` N x C; `errors` says of each why it could not be read, else None.
    """

    images: tuple[str | int, ...]
    classes: tuple[str, ...]
    logits: Tensor
    errors: tuple[str | None, ...]

    @property
    def probabilities(self) -> Tensor:
        """N x C, 0..1, float64; nan for images with an error."""
        return self.logits.double().softmax(1)

    @property
    def labels(self) -> tuple[int | None, ...]:
        """The position of each image's most probable class; None for one with an error."""
        return tuple(each.label for each in self)

    @property
    def names(self) -> tuple[str | None, ...]:
        """The most probable class of each image; None for one with an error."""
        return tuple(each.name for each in self)

    @property
    def failed(self) -> dict[str | int, str]:
        """The images that could not be read, and why."""
        return {each.image: each.error for each in self if each.error is not None}

    def top(self, number: int = TOLD) -> tuple[tuple[tuple[str, float], ...], ...]:
        """The most probable classes of each image, with their probabilities."""
        return tuple(each.top(number) for each in self)

    def to_dict(self, top: int = TOLD) -> dict[str, Any]:
        """The classes, and for each image its `top` most probable ones or its error, as JSON values."""
        return {"classes": list(self.classes), "predictions": [each.to_dict(top) for each in self]}

    def to_csv(self, file: str | Path, top: int = 1) -> None:
        """Write a table: each image, its `top` most probable classes with their probabilities, its error."""
        top = min(top, len(self.classes))
        with Path(file).open("w", encoding="utf-8", errors="surrogateescape", newline="") as opened:
            csv.writer(opened).writerows([columns(top), *(each.to_row(top) for each in self)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Prediction:
        return Prediction(self.images[number], self.classes, self.logits[number], self.errors[number])

    def __iter__(self) -> Iterator[Prediction]:
        return map(self.__getitem__, range(len(self)))

    def __str__(self) -> str:
        lines = [str(self[number]) for number in range(min(SHOWN, len(self)))]
        more = [f"… and {len(self) - SHOWN} more"] if len(self) > SHOWN else []
        return "\n".join([counted(Counter(self.names)), *lines, *more])

    def __repr__(self) -> str:
        return f"Predictions({counted(Counter(self.names))})"


def columns(top: int) -> list[str]:
    """The header of a table with the `top` most probable classes of each image."""
    further = [f"{word}_{place}" for place in range(2, top + 1) for word in ("class", "probability")]
    return ["file", "class", "probability", *further, "error"]


def counted(names: Mapping[str | None, int]) -> str:
    """How many images are taken for which class, in words, the most frequent first; None is for those with errors."""
    known = sorted(((number, name) for name, number in names.items() if name is not None), key=lambda pair: -pair[0])
    number = sum(number for number, _ in known)
    classes = ", ".join(f"{number} × {name}" for number, name in known[:SHOWN]) + (" …" if len(known) > SHOWN else "")
    failed = f"; {names[None]} could not be read" if names.get(None) else ""
    return f"{number} {'image' if number == 1 else 'images'}" + (f": {classes}" if classes else "") + failed
