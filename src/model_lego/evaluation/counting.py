"""What is counted while networks are evaluated: Tally for a contender, Member for a part of an assembly."""

import math
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor

from model_lego.errors import BadConfig
from model_lego.evaluation.baselines import Contender
from model_lego.evaluation.results import PartRow, Row
from model_lego.parts.grouping import Columns, merged
from model_lego.processes import Group, in_all
from model_lego.verdicts.metrics import (
    Outsiders,
    calibration_error,
    difference_interval,
    interval,
    outsiders,
    separation,
)


@dataclass(slots=True, eq=False)
class Tally:
    """What is counted for one contender."""

    contender: Contender
    classes: int
    scored: bool
    unknown: bool = False  # whether the last class is "none of these", which contenders need not have
    right: Tensor = field(init=False)
    logits: list[Tensor] = field(default_factory=list)
    where: list[Tensor] = field(default_factory=list)
    #: Of each sample: whether it was right, the confidence of the answer, the largest logit of the part's classes.
    answers: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)
    #: Samples on which this one alone is right, on which the part alone is, on which it answers as the reference.
    against: Tensor = field(default_factory=lambda: torch.zeros(3, dtype=torch.int64))
    answer: Tensor = field(init=False)  # of the last batch: the class, -1 for another one

    def __post_init__(self) -> None:
        self.right = torch.zeros(self.classes, dtype=torch.int64)
        if len(self.contender.columns) not in (self.classes, self.classes - self.unknown):
            raise BadConfig(
                f"contender '{self.contender.name}' has {len(self.contender.columns)} columns, but the part has "
                f"{self.classes} classes"
            )

    @property
    def named(self) -> int:
        """How many classes there are without "none of these"."""
        return self.classes - self.unknown

    def add(self, logits: Tensor, where: Tensor) -> None:
        """Count a batch: logits, batch x outputs, and the class of each sample, -1 for other classes."""
        columns = torch.tensor(self.contender.columns)
        if int(columns.max()) >= logits.shape[1]:
            raise BadConfig(
                f"contender '{self.contender.name}' has {logits.shape[1]} outputs and none number {int(columns.max())}"
            )
        chosen = logits[:, columns]
        if self.contender.restricted:
            self.answer = chosen.argmax(1)
        else:
            hit = logits.argmax(1)[:, None] == columns
            self.answer = torch.where(hit.any(1), hit.int().argmax(1), -1)
        right = (self.answer == where) & (where >= 0)
        self.right += torch.bincount(where[right], minlength=self.classes)
        confidence = (chosen if self.contender.restricted else logits).double().softmax(1).amax(1)
        self.answers.append((right, confidence, chosen[:, : self.named].amax(1)))
        self.where.append(where)
        if self.scored:
            self.logits.append(chosen)

    def compare(self, part: "Tally", reference: "Tally | None") -> None:
        """Hold the answers to the last batch against those of the part and of the reference."""
        mine, parts = self.answers[-1][0], part.answers[-1][0]
        known = (self.where[-1] >= 0) & (self.where[-1] < self.named)  # no uncut network says "none of these"
        alike = self.answer == reference.answer if reference is not None else torch.zeros_like(known)
        self.against += torch.stack([(mine & ~parts).sum(), (parts & ~mine).sum(), (alike & known).sum()])

    def gather(self, group: Group) -> None:
        """Put what all processes saw together."""
        if group is not None:
            seen = in_all(lambda: (self.logits, self.where, self.answers), group)
            self.logits, self.where, self.answers = (
                list(chain.from_iterable(each)) for each in zip(*seen, strict=True)
            )

    def outsiders(self) -> Outsiders | None:
        """How well the largest logit tells samples of the part's classes from others."""
        where = torch.cat(self.where)
        return outsiders(torch.cat([top for _, _, top in self.answers]), (where >= 0) & (where < self.named))

    def row(self, counts: Tensor, *, compared: bool, milliseconds: float) -> Row:
        """The row of this contender; `counts` are the samples of each class, `compared` if there is a reference.

        `milliseconds` are what one photo takes.
        """
        total, known = int(counts.sum()), torch.cat(self.where) >= 0
        right, confidence = (torch.cat([answer[place] for answer in self.answers])[known] for place in (0, 1))
        alone, lost, alike = self.against.tolist()
        named = int(counts[: self.named].sum())
        return Row(
            name=self.contender.name,
            accuracy=percent(int(self.right.sum()), total),
            per_class=tuple(percent(*pair) for pair in zip(self.right.tolist(), counts.tolist(), strict=True)),
            parameters=self.contender.cost.parameters,
            macs=self.contender.cost.macs,
            bytes=self.contender.cost.bytes,
            samples=total,
            milliseconds=milliseconds,
            note=self.contender.note,
            interval=interval(int(self.right.sum()), total),
            difference=difference_interval(alone, lost, total),
            calibration_error=calibration_error(confidence, right),
            agreement=percent(alike, named) if compared else math.nan,
            known=percent(int(self.right[: self.named].sum()), named),
            separation=separation(torch.cat(self.logits), torch.cat(self.where)) if self.scored else (),
        )


@dataclass(slots=True, eq=False)
class Member:
    """What is counted for one part of an assembly."""

    name: str
    classes: tuple[str, ...]
    columns: slice  # of its own logits
    inside: Columns  # which of these are summed up to each of its classes
    spots: Tensor  # place of each of the assembly's classes among the part's own, -1 of other parts, -2 of none
    theirs: Tensor  # whether images with a label number are the part's (bool)
    #: Samples; right by its own logits; right in the assembly; taken for a class of another part.
    counts: Tensor = field(default_factory=lambda: torch.zeros(4, dtype=torch.int64))

    def add(self, logits: Tensor, where: Tensor, labels: Tensor) -> None:
        """Count a batch of logits: the assembly's, then those of its parts."""
        mine = self.theirs[labels]
        logits, where = logits[mine], where[mine]
        answer = logits[:, : len(self.spots)].argmax(1)
        own = merged(logits[:, self.columns], self.inside).argmax(1) == self.spots[where]
        hits = (torch.ones_like(own), own, answer == where, self.spots[answer] == -1)
        self.counts += torch.stack(hits).sum(1)

    def row(self) -> PartRow:
        """The row of this part."""
        samples, *numbers = self.counts.tolist()
        own, joint, other = (percent(number, samples) for number in numbers)
        return PartRow(self.name, self.classes, own, joint, other, samples)


def percent(number: int, total: int) -> float:
    """A share in %; nan of none."""
    return 100 * number / total if total else math.nan
