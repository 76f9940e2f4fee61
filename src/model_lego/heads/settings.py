"""How components are joined: one frozen value inside, keyword arguments for callers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from model_lego.errors import BadConfig
from model_lego.graph import RULES
from model_lego.graph.rule import OpRule
from model_lego.heads.choosing import LEAST, ON_FEATURES
from model_lego.parts.class_names import Classes, ClassNames, GroupedClasses
from model_lego.parts.join_record import Clash, Labels, Layout, Scaling

HeadKind = Literal["auto", "concat", "affine", "ridge", "lda", "blend"]


class HeadOptions(TypedDict, total=False):
    """Keyword arguments of every verb that fits a head."""

    head: HeadKind  # "auto" by default
    seed: int  # for the folds of the cross-validation


class JoinOptions(HeadOptions, total=False):
    """Keyword arguments of `assemble`; `JoinSettings` holds them."""

    layout: Layout  # "parallel" (by default) or "padded"
    scaling: Scaling | None  # "logit", "layer" or none
    on_clash: Clash  # "error" (by default), "prefer" or "average"
    labels: Labels  # of the calibration: "classes" (by default) or "parts"
    class_names: ClassNames | None  # names of the calibration's label numbers
    outsiders: float | None  # share of the calibration images that may be taken for outsiders
    order: Classes | None  # all classes, in the order that the logits are to have
    groups: GroupedClasses  # by their names, classes that are merged to one each
    rules: Mapping[object, OpRule]  # the table of operators, where a network needs rows of its own


@dataclass(frozen=True, slots=True)
class JoinSettings:
    """Everything that decides how components are joined, as `JoinOptions` names it.

    Raises BadConfig for values that are unknown or do not go together, and for a share of outsiders that is none.
    """

    layout: Layout = "parallel"
    scaling: Scaling | None = None
    head: HeadKind = "auto"
    on_clash: Clash = "error"
    labels: Labels = "classes"
    class_names: ClassNames | None = None
    outsiders: float | None = None
    order: Classes | None = None
    groups: GroupedClasses = field(default_factory=dict)
    rules: Mapping[object, OpRule] = field(default_factory=lambda: RULES)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("head", self.head, ("auto", *LEAST)),
            ("layout", self.layout, ("parallel", "padded")),
            ("scaling", self.scaling, (None, "logit", "layer")),
            ("on_clash", self.on_clash, ("error", "prefer", "average")),
            ("labels", self.labels, ("classes", "parts")),
        ):
            if value not in allowed:
                raise BadConfig(f"{name} '{value}' is unknown; use one of {', '.join(map(repr, allowed))}")
        if not self.kinds:
            raise BadConfig(
                f"scaling 'logit' scales logits, and head '{self.head}' reads features; leave one of them out"
            )
        if self.outsiders is not None and not 0 < self.outsiders < 1:
            raise BadConfig(f"outsiders is a share of the calibration images between 0 and 1, but is {self.outsiders}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of head in question; factors of the logits are of no use to those that read features."""
        asked = tuple(LEAST) if self.head == "auto" else (self.head,)
        return tuple(kind for kind in asked if self.scaling != "logit" or kind not in ON_FEATURES)

    def refuse_unfitted(self) -> None:
        """Refuse what cannot be had without calibration images; raises BadConfig."""
        if self.scaling is not None or self.head not in ("auto", "concat"):
            which = f"scaling '{self.scaling}'" if self.scaling is not None else f"head '{self.head}'"
            raise BadConfig(f"{which} needs calibration images; give calibration=")
        if self.outsiders is not None:
            raise BadConfig("the threshold of outsiders needs calibration images; give calibration=")
