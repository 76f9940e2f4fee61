"""How an assembly was put together: one frozen record, from which sentences and plain settings are made."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from model_lego.digest import SEEN
from model_lego.parts.provenance import UNSAID, Provenance
from model_lego.parts.verdict import Verdict

Layout = Literal["parallel", "padded"]
Scaling = Literal["logit", "layer"]
Clash = Literal["error", "prefer", "average"]
Labels = Literal["classes", "parts"]


class HeadState(StrEnum):
    """What the head of an assembly was made for."""

    FITTED = "fitted"  # for the parts that the assembly has
    CARRIED = "carried"  # fitted for other parts, and taken over as far as it goes
    SIDE_BY_SIDE = "side by side"  # fitted to nothing: it puts the parts' logits side by side


#: What an assembly lacks, by the state of its head.
LACKS: Mapping[HeadState, str] = MappingProxyType(
    {
        HeadState.SIDE_BY_SIDE: "no calibration images: the parts' logits are not brought to a common level, "
        "each part may be over-confident on the others' classes",
        HeadState.CARRIED: "a head that was fitted before its parts changed: classes that stayed are judged as they "
        "were, new ones by their own logits; calibration images of all classes would fit it again",
    }
)


@dataclass(frozen=True, slots=True)
class JoinCheck:
    """How far an assembly's joined logits are from its parts' own, on some images."""

    images: int
    difference: float
    largest_logit: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The images that a head was fitted to, and whether their labels were numbers of classes or of parts."""

    images: int
    labels: Labels


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """Accuracy of each kind of head in %, and the strength of the one that was taken (by name where it is a sum)."""

    scores: Mapping[str, float]
    folds: int
    strength: float | Mapping[str, float] | None = None
    no_features: str = ""  # why no head on features was tried, where none was


@dataclass(frozen=True, slots=True)
class FactorRange:
    """Smallest and largest factor of the logits, and the positions where a guard stepped in."""

    least: float
    most: float
    guarded: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outsiders:
    """The share of the calibration images that may be taken for outsiders, and the constant logit of these."""

    share: float
    threshold: float


@dataclass(frozen=True, slots=True)
class JoinRecord:
    """How an assembly was put together and what its head was made for; `one_source` are numbers of parts, from 1."""

    head_state: HeadState
    scaling: Scaling | None = None
    on_clash: Clash = "error"
    seed: int = 0
    one_source: tuple[tuple[int, ...], ...] = ()
    rejecting: tuple[int, ...] = ()  # numbers of parts, from 1, whose own "none of these" is left out
    check: JoinCheck | None = None
    calibration: Calibration | None = None
    calibration_digests: str = ""  # of the images that the head was fitted to, packed
    cross_validation: CrossValidation | None = None
    factors: FactorRange | None = None
    outsiders: Outsiders | None = None
    finetuned: tuple[Mapping[str, Any], ...] = ()
    distilled: tuple[Mapping[str, Any], ...] = ()
    verdict: Verdict | None = None  # beside the parts, or beside what it was before it was trained
    provenance: Provenance = UNSAID  # of the joining: what the parts are of, they say themselves

    @property
    def was_fitted(self) -> bool:
        """Whether the head was ever fitted, so that it would be lost by putting logits side by side."""
        return self.head_state is not HeadState.SIDE_BY_SIDE

    @property
    def lacks(self) -> str:
        """What the assembly lacks, as a sentence; empty where nothing."""
        return LACKS.get(self.head_state, "")

    @property
    def advice(self) -> str:
        """What would make it smaller, or give it "none of these" again, as a sentence; empty where nothing."""
        found = []
        if self.one_source:
            several = "; parts ".join(" and ".join(map(str, numbers)) for numbers in self.one_source)
            found.append(f"parts {several} are of one source: `unite` puts them together, what they share once")
        if self.rejecting and self.outsiders is None:
            parts = " and ".join(map(str, self.rejecting))
            found.append(f"'none of these' of part {parts} is left out: `outsiders` gives the whole one of its own")
        return "; ".join(found)

    def with_training(self, kind: Literal["finetuned", "distilled"], record: Mapping[str, Any]) -> "JoinRecord":
        """The same with one more training, behind those before it."""
        longer: dict[str, Any] = {kind: (*getattr(self, kind), dict(record))}
        return replace(self, **longer)

    def settings(self) -> dict[str, Any]:
        """The same as JSON values under the names of `Assembly.settings`; what there is nothing of is left out."""
        calibration, tried = self.calibration, self.cross_validation
        plain = {
            "calibration_images": calibration and calibration.images,
            "calibration_labels": calibration and calibration.labels,
            SEEN: self.calibration_digests,
            "head_scores": tried and dict(tried.scores),
            "head_folds": tried and tried.folds,
            "head_strength": tried and tried.strength,
            "no_features": tried and tried.no_features,
            "check": self.check and asdict(self.check),
            "factors": self.factors and asdict(self.factors) | {"guarded": list(self.factors.guarded)},
            "outsiders": self.outsiders and asdict(self.outsiders),
            "lacks": self.lacks,
            "advice": self.advice,
            "finetuned": list(self.finetuned),
            "distilled": list(self.distilled),
        }
        asked = {"scaling": self.scaling, "on_clash": self.on_clash, "seed": self.seed}
        return asked | {name: value for name, value in plain.items() if value not in (None, "", [])}
