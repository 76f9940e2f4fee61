"""The noun Verdict: how a part does beside what it was made of, and what is doubtful about that."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

#: Points that may be lost before a part is called far behind.
FAR = 2.0
#: Images a class below which a fit is called one to too few.
FEW = 20
#: Share of the way from guessing to never failing below which it is asked whether a network knows its classes at all.
DOUBTFUL = 0.6

#: Share of the source in % beyond which nothing is saved.
WHOLE = 95.0

#: What a cut is compared with.
SOURCE = "its source over the same classes"

Making = Literal["cut", "joined", "trained"]


@dataclass(frozen=True, slots=True)
class Concern:
    """Something doubtful about a part, and what to try: in Python, and as an option of the command line."""

    what: str
    python: str
    command: str


#: What to try where a part is far behind, by how it was made.
_KEEP_MORE: Mapping[Making, tuple[str, str]] = MappingProxyType(
    {
        "cut": ("budget=Budget(accuracy_drop=1), which keeps as much as one point takes", "--budget drop=1"),
        "joined": (
            "more calibration images, of each class as many, or parts that keep more",
            "--calibration-per-class 250, or parts that were cut with --budget drop=0.5",
        ),
        "trained": ("a smaller learning rate, or more epochs", "a smaller --learning-rate, or more --epochs"),
    }
)


#: What to try where it is far behind though its size was searched for.
_ALLOW_LESS = ("more images, or a smaller accuracy_drop", "more training images, or a smaller drop")


@dataclass(frozen=True, slots=True)
class Search:
    """How the size of a component was found: the smallest of some that loses no more points than `allowed`.

    `expected` are the points that it loses by its source's own probabilities, where its answers change; of a single
    class, of the area under the ROC curve. `images` of its classes were held out from scores and repair; `least` is how
    many it takes to tell. Where it was not `met`, the largest of the `trials` is kept.
    """

    allowed: float
    expected: float
    images: int
    least: int
    trials: int
    met: bool

    def __str__(self) -> str:
        which = (
            f"the smallest of {self.trials} tried that loses" if self.met else "the largest, as none is known to lose"
        )
        return f"{which} at most {self.points} on {self.images} held-out images"

    @property
    def points(self) -> str:
        """The points that may be lost, in words."""
        return "one point" if self.allowed == 1 else f"{self.allowed:g} points"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A part beside its reference (its uncut source over the same classes, its parts, what it was), on the same images.

    `own` and `theirs` are accuracies in %, of a part with a single class the areas under the ROC curve of its logit in
    %; `lost` is their difference in points with its 95 % interval. `held_out`: nothing was fitted to these images.
    `fitted` is the fewest images of a class that something was fitted to, None where nothing was; `kept` is the share
    of the parameters or of the multiply-adds in % that is left of the source of a cut, the smaller of the two.
    `search` is how its size was found, where that was by trials; `chosen`: these are the images that chose it, and the
    answers are those of the trial.
    `untuned` is what a part that was tuned had before that, training-free, on the same images, as `own`.
    """

    making: Making
    reference: str
    classes: int
    own: float
    theirs: float
    interval: tuple[float, float]  # of the points lost
    images: int
    held_out: bool
    fitted: int | None = None
    kept: float | None = None
    chosen: bool = False
    search: Search | None = None
    untuned: float | None = None

    @property
    def lost(self) -> float:
        """Points that the part is behind its reference; negative where it is ahead."""
        return self.theirs - self.own

    @property
    def measure(self) -> str:
        """What `own` and `theirs` are."""
        return "accuracy" if self.classes > 1 else "AUROC"

    @property
    def concerns(self) -> tuple[Concern, ...]:
        """What is doubtful, with what to try; empty for a good part."""
        return tuple(self._concerns())

    def _concerns(self) -> Iterator[Concern]:
        if self.lost > (FAR if self.search is None else max(FAR, self.search.allowed)):
            advice = _KEEP_MORE[self.making] if self.search is None else _ALLOW_LESS
            yield Concern(f"it is {self.lost:.1f} points behind {self.reference}", *advice)
        if self.fitted is not None and self.fitted < FEW:
            yield Concern(
                f"it was fitted to {self.fitted} images of a class, where {FEW} are few",
                f"at least {FEW} images of each class",
                f"a --data with at least {FEW} training images of each class",
            )
        if self.search is not None and not self.search.met:
            yield _unmet(self.search)
        elif self.kept is not None and self.kept > WHOLE:
            yield Concern(
                f"it keeps {self.kept:.1f} % of its source: nothing is saved at this tolerance",
                "a budget of size, such as Budget(macs=0.5), or a larger accuracy_drop",
                "--budget macs=0.5, or a larger drop",
            )
        if self.making == "cut" and self._knowledge < DOUBTFUL:
            yield Concern(
                f"{self.reference} itself has {self.theirs:.1f} %, as if these were not its images, classes or weights",
                "class_names in the order of the logits, the preprocessing and the weights of this network",
                "--mean and --std, --source-classes in the order of the logits, --weights; then model-lego doctor",
            )

    @property
    def _knowledge(self) -> float:
        """How far the reference is from guessing (0) on the way to never failing (1)."""
        guessing = 100 / self.classes if self.classes > 1 else 50.0
        return (self.theirs - guessing) / (100 - guessing)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values, with what follows from the figures."""
        return asdict(self) | {
            "interval": list(self.interval),
            "lost": self.lost,
            "measure": self.measure,
            "concerns": [asdict(concern) for concern in self.concerns],
        }

    def __str__(self) -> str:
        low, high = self.interval
        seen = "held-out images" if self.held_out else "images that it was fitted to"
        seen += ", which chose its size" if self.chosen else ""
        before = "" if self.untuned is None else f"; training-free, before it was tuned, {self.untuned:.1f} %"
        return (
            f"{self.measure} {self.own:.1f} %, {self.reference} {self.theirs:.1f} %: {self.lost:.1f} points lost "
            f"(95 %: {low:.1f} to {high:.1f}), on {self.images} {seen}{before}"
        )


def _unmet(search: Search) -> Concern:
    """What to say where the size of a component could not be chosen by what it loses."""
    if search.images < search.least:
        return Concern(
            f"{search.images} held-out images are too few to tell whether more than {search.points} is lost: "
            f"{search.least} are needed, and the largest component is kept",
            f"at least {3 * search.least} images of its classes, a third of which is held out, or a budget of size "
            "such as Budget(macs=0.5)",
            f"at least {3 * search.least} training images of its classes, or --budget macs=0.5",
        )
    return Concern(
        f"no smaller component loses at most {search.points}, and the largest is kept",
        "more images, a budget of size such as Budget(macs=0.5), or a larger accuracy_drop",
        "more training images, --budget macs=0.5, or --budget drop=2",
    )


class DoubtfulResult(UserWarning):
    """A result that is doubtful, see `Verdict.concerns`."""
