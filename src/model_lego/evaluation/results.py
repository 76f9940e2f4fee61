"""What an evaluation found: Report, with a row for each contender and, for assemblies, one for each part."""

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model_lego.parts.assembly import NONE_OF_THESE
from model_lego.verdicts.metrics import Outsiders

#: Characters in a line, and rows of a table of classes, that a printed report takes at most.
WIDTH = 80
MOST = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One network on the samples of the part's classes; accuracies in %, nan for a class without samples.

    `interval` (95 %, bootstrap over the samples) is that of the accuracy, `difference` that of the accuracy less the
    part's own on the same samples, in points; `calibration_error` is the expected one, in points over 15 bins;
    `agreement` the share of samples, in %, with the answer of the uncut source (restricted) or ensemble beside it.
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
    tells how well it notices. `overlap` is how many of the test images were used for calibration of the part.
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

    @property
    def accuracy(self) -> float:
        """Accuracy of the part itself, in %."""
        return self.rows[0].accuracy

    def row(self, name: str) -> Row:
        """Find a row by the name of its contender; raises KeyError."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values; numbers that are not defined are None."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)), parse_constant=lambda _: None)
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
        return _table(
            ["", "parameters", "multiply-adds", "size"],
            [[row.name, _short(row.parameters), _short(row.macs), _short(row.bytes) + "B"] for row in self.rows],
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
        if self.classes[-1] == NONE_OF_THESE:
            remarks.append(f"known classes: of their samples {_percent(self.rows[0].known)} are right")
        if self.outsiders is not None:
            remarks.append(
                f"other classes: the largest logit tells them with AUROC {_area(self.outsiders.auroc)}; where 95 % "
                f"of its own samples are let in, so are {self.outsiders.fpr95:.1f} % of theirs"
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


def _range(ends: tuple[float, float], between: str) -> str:
    return "-" if math.isnan(ends[0]) else between.join(f"{end:.1f}" for end in ends)


def _area(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _short(number: float) -> str:
    """A count to three digits: 12.3k, 4.56M."""
    for unit in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}T"
