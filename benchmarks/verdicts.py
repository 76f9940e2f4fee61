"""The verdicts on components of trained half-width VGG-16s: three good ones, and three that were asked for wrongly.

What has to be warned of: a forgotten normalisation, the weights of another network, five images a class. Of the good
ones (three classes by relevance and within a budget, all classes within a budget) nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import model_lego as ml
from benchmarks.common import record
from benchmarks.trained import ABSENT, BATCH, FIRST, HALVES, NORMAL, SECOND, opened
from model_lego.data import batches
from model_lego.data.sets import subset

ANIMALS = ("bird", "cat", "deer")


@dataclass(frozen=True, slots=True)
class Case:
    """A component of one of the networks, asked for in a way, and whether that is to be warned of."""

    name: str
    doubtful: bool
    classes: tuple[str, ...] = ANIMALS
    network: str = FIRST
    preprocessing: ml.Preprocessing | None = NORMAL
    a_class: int | None = None  # training images, None for all
    options: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case("by relevance", doubtful=False, options={"thresholds": ml.Thresholds()}),
    Case("within a budget", doubtful=False, options={"budget": ml.Budget(params=0.06, macs=0.3)}),
    Case("all classes within a budget", doubtful=False, classes=HALVES[0], options={"budget": ml.Budget(macs=0.6)}),
    Case("normalisation forgotten", doubtful=True, preprocessing=None),
    Case("weights of another network", doubtful=True, network=SECOND),
    Case("five images a class", doubtful=True, a_class=5),
)


def main() -> None:
    """Judge all cases and record the verdicts; says so where the data is absent."""
    if opened(FIRST) is None or opened(SECOND) is None:
        print(f"verdicts: skipped, {ABSENT}")
        return
    rows = list(_rows())
    record("verdicts", {"cases": rows, "right": all(row["warned"] == row["doubtful"] for row in rows)})


def _rows() -> Iterator[dict[str, Any]]:
    images = opened(FIRST)
    assert images is not None
    train = batches(subset(images.split.train, range(len(HALVES[0])), class_names=HALVES[0]), batch_size=BATCH)
    for case in CASES:
        source = opened(case.network)
        assert source is not None
        some = (
            train
            if case.a_class is None
            else batches(
                subset(images.split.train, range(len(HALVES[0])), per_class=case.a_class, class_names=HALVES[0]),
                batch_size=BATCH,
            )
        )
        made = ml.disassemble(
            source.model,
            some,
            classes=case.classes,
            class_names=HALVES[0],
            preprocessing=case.preprocessing,
            **case.options,
        )
        assert made.verdict is not None
        told = made.verdict.to_dict()
        print(f"{case.name}: {made.verdict}", *(f"  {concern.what}" for concern in made.verdict.concerns), sep="\n")
        yield {"case": case.name, "doubtful": case.doubtful, "warned": bool(made.verdict.concerns), "verdict": told}


if __name__ == "__main__":
    main()
