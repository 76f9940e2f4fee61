"""What an evaluation found: Report, with a row for each contender and, for assemblies, one for each part."""

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from model_lego.text.amounts import short
from model_lego.verdicts.metrics import Outsiders

#: Characters in a line, rows of a table of classes, and names of other classes, that a printed report takes at most.
WIDTH = 80
MOST = 20
NAMED = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One network on the samples of the part's classes; accuracies in %, nan for a class without samples.

    `interval` (95 %, bootstrap over the samples) is that of the accuracy, `difference` that of the accuracy less the
    part's own on the same samples, in points; `calibration_error` is the expected one, in points over 15 bins;
    `agreement` the share of samples, in %, with the answer of the uncut source (restricted) or ensemble beside it.
    `milliseconds` is what one photo takes on this machine, measured in turns; nan where it was not asked for.
    `known` is the accuracy without the samples of an assembly's class "none of these". `separation` is, for each
    class, the area under the ROC curve of its logit against all other samples seen; it is empty where an assembly was
    evaluated.
    """

    name: str
    accuracy: float
    per_class: tuple[float, ...]
    parameters: int
    macs: int
    bytes: int
    samples: int
    note: str = ""
    separation: tuple[float, ...] = ()
    interval: tuple[float, float] = (math.nan, math.nan)
    difference: tuple[float, float] = (math.nan, math.nan)
    calibration_error: float = math.nan
    agreement: float = math.nan
    known: float = math.nan
    milliseconds: float = field(default=math.nan, compare=False)


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part of an assembly on the samples of its classes, in %.

    `own`: right by arg-max over the part's own logits; `joint`: right by arg-max over all classes of the assembly;
    `other`: taken for a class that only other parts have.
    """

    name: str
    classes: tuple[str, ...]
    own: float
    joint: float
    other: float
    samples: int


@dataclass(frozen=True, slots=True)
class Report:
    """A component or an assembly beside its baselines; the first row is the part itself.

    `counts` are the samples of each class, `others` those of classes that the part does not have, which `outsiders`
    tells how well it notices; `other_classes` are their names, where labels have them. `overlap` is how many
    of the test images were used for calibration of the part; with `rejecting` its last class is "none of these".
    `reference` is the row of the uncut source (restricted) or ensemble, where there is one.
    """

    kind: str
    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    counts: tuple[int, ...]
    others: int
    parts: tuple[PartRow, ...] = ()
    notes: tuple[str, ...] = ()
    outsiders: Outsiders | None = None
    overlap: int = 0
    other_classes: tuple[str, ...] = ()
    rejecting: bool = False
    reference: str = ""

    @property
    def negatives(self) -> dict[str, str]:
        """Against which samples each kind of AUROC was measured, in words: by other samples it is another figure."""
        strange, words = self._strange(), {}
        if self.rows[0].separation:
            mine = "each class's logit, its samples against those of the part's other classes"
            if len(self.classes) == 1:
                mine = "its logit, its samples against " + (strange or "none")
            elif strange:
                mine += f" and {strange}"
            words["separation"] = mine if strange else f"{mine}; samples of no other class were given"
        if self.outsiders is not None:
            words["outsiders"] = f"the largest logit, samples of the part's classes against {strange}"
        return words

    def _strange(self) -> str:
        """How many samples are of classes that the part does not have, and which; empty where none are."""
        count = self.others + (self.counts[-1] if self.rejecting else 0)
        names = ", ".join(self.other_classes[:NAMED])
        names += f", … {len(self.other_classes)} in all" if len(self.other_classes) > NAMED else ""
        return f"{count} of other classes" + (f" ({names})" if names else "") if count else ""

    @property
    def accuracy(self) -> float:
        """Accuracy of the part itself, in %."""
        return self.rows[0].accuracy

    @property
    def lost(self) -> float:
        """Points of accuracy below the uncut source (restricted) or ensemble; nan where it was not measured."""
        return self.row(self.reference).accuracy - self.accuracy if self.reference else math.nan

    @property
    def lost_interval(self) -> tuple[float, float]:
        """Their 95 % interval, on the same samples."""
        return self.row(self.reference).difference if self.reference else (math.nan, math.nan)

    def row(self, name: str) -> Row:
        """Find a row by the name of its contender; raises KeyError."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values; numbers that are not defined are None."""
        given = asdict(self) | {"negatives": self.negatives, "lost": self.lost, "lost_interval": self.lost_interval}
        plain: dict[str, Any] = json.loads(json.dumps(given), parse_constant=lambda _: None)
        return plain

    def __str__(self) -> str:
        seen = f"{sum(self.counts)} samples" + (f" and {self.others} of other classes" if self.others else "")
        title = f"{self.kind} for {', '.join(self.classes)}"
        blocks = [[_clip(title, WIDTH), seen], self._contenders(), self._costs(), self._parts()]
        blocks += [self._classes(), self._remarks()]
        return "\n\n".join("\n".join(block) for block in blocks if block)

    def _contenders(self) -> list[str]:
        compared, scored = len(self.rows) > 1, bool(self.rows[0].separation)
        header = ["", "accuracy", "95 %", *(["difference"] * compared), "agrees", "ECE", *(["AUROC"] * scored)]
        return _table(
            header,
            [
                [
                    row.name,
                    _percent(row.accuracy),
                    _range(row.interval, "-"),
                    *(["-" if row is self.rows[0] else _range(row.difference, " to ")] * compared),
                    _one(row.agreement),
                    _one(row.calibration_error),
                    *([_area(_mean(row.separation))] * scored),
                ]
                for row in self.rows
            ],
        )

    def _costs(self) -> list[str]:
        timed = not math.isnan(self.rows[0].milliseconds)
        return _table(
            ["", "parameters", "multiply-adds", "size", *(["a photo"] * timed)],
            [
                [
                    row.name,
                    short(row.parameters),
                    short(row.macs),
                    short(row.bytes) + "B",
                    *([f"{row.milliseconds:.3g} ms"] * timed),
                ]
                for row in self.rows
            ],
        )

    def _parts(self) -> list[str]:
        if not self.parts:
            return []
        return _table(
            ["part", "samples", "own", "joint", "other"],
            [
                [part.name, str(part.samples), _percent(part.own), _percent(part.joint), _percent(part.other)]
                for part in self.parts
            ],
        )

    def _classes(self) -> list[str]:
        first = self.rows[0]
        areas = [[_area(area)] for area in first.separation] or [[] for _ in self.classes]
        shown = zip(self.classes, self.counts, first.per_class, areas, strict=True)
        lines = _table(
            ["class", "samples", "accuracy", *(["AUROC"] if first.separation else [])],
            [[name, str(count), _percent(value), *area] for name, count, value, area in list(shown)[:MOST]],
        )
        return lines + [f"… and {len(self.classes) - MOST} more classes"] * (len(self.classes) > MOST)

    def _remarks(self) -> list[str]:
        remarks = [f"{row.name}: {row.note}" for row in self.rows if row.note]
        if self.rejecting:
            remarks.append(f"known classes: of their samples {_percent(self.rows[0].known)} are right")
        if self.reference and len(self.classes) > 1:
            sign, where = (1, "below") if self.lost >= 0 else (-1, "above")
            ends = _range(sorted(sign * end for end in self.lost_interval), " to ")
            remarks.append(
                f"{sign * self.lost:.1f} points {where} {self.reference} (95 %: {ends}), on the same samples"
            )
        if "separation" in self.negatives:
            remarks.append(f"AUROC: {self.negatives['separation']}")
        if self.outsiders is not None:
            remarks.append(
                f"AUROC {_area(self.outsiders.auroc)}: {self.negatives['outsiders']}; where 95 % of its own samples "
                f"are let in, so are {self.outsiders.fpr95:.1f} % of theirs"
            )
        remarks += [f"note: {note}" for note in self.notes]
        return [line for remark in remarks for line in textwrap.wrap(remark, WIDTH, subsequent_indent="  ")]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, first: int = 26) -> list[str]:
    """Aligned text: the first column to the left, at most `first` wide, numbers to the right."""
    others = [2 + max(map(len, column)) for column in list(zip(header, *rows, strict=True))[1:]]
    room = min(first, WIDTH - sum(others))
    cells = [[_clip(row[0], room), *row[1:]] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    ]


def _clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f} %"


def _one(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def _range(ends: Sequence[float], between: str) -> str:
    return "-" if math.isnan(ends[0]) else between.join(f"{end:.1f}" for end in ends)


def _area(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan
