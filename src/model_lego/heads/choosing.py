"""Heads of assemblies: what they read, how each kind is fitted, which kind is chosen.

The order is from the simplest on: `concat` has nothing to fit but the factors of a scaling, `affine` maps the joined
logits, `ridge` and `lda` read the joined features, `blend` adds up `affine` and `ridge`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from model_lego.errors import BadConfig, IncompatibleComponents
from model_lego.heads.blend import BLENDED, blend_of, blended, factor_of
from model_lego.heads.cross_validation import FOLDS, Judged, Kind, folds_of, judge, preferred
from model_lego.heads.features import logit_map, parts_layers
from model_lego.heads.linear import Fit, lda_fits, one_hot, ridge_fits
from model_lego.heads.logistic import affine_fits
from model_lego.heads.scaling import ScaleFactors
from model_lego.parts.assembly import Assembly, Head

#: Kinds of head, the simplest first, and how many calibration images of each class they need.
LEAST = {"concat": 1, "affine": 1, "ridge": 2, "lda": 3, "blend": 2}
#: Kinds that read features.
ON_FEATURES = ("ridge", "lda", "blend")
#: What is taken, the first that is there, where no other kind is clearly better (`choosing`).
FAVOURITES = ("blend", "affine")
#: Images that run at once.
CHUNK = 256

#: From joined logits and the images' classes to a factor for each logit.
Factors = Callable[[Tensor, Tensor], ScaleFactors]
#: Paths of layers, part by part.
Reads = Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """What calibration images give: the inputs of heads (images x inputs, float64) and the images' classes."""

    joined: Tensor
    features: Tensor | None  # None where they are not needed or cannot be had
    reads: tuple[tuple[str, ...], ...]  # layers that read the features, part by part
    labels: Tensor
    classes: tuple[str, ...]
    logits_of: Fit | None = None  # the joined logits as a map of the features
    why_not: str = ""  # why there are no features


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """The head that changes nothing: `pick` (classes x joined) settles classes of several parts, `factors` scale."""

    pick: Tensor | None = None
    factors: Factors | None = None

    def unscaled(self, width: int) -> Head:
        """That many logits side by side, with clashes settled."""
        weight = torch.ones(width, dtype=torch.float64) if self.pick is None else self.pick
        return Head("concat", weight, weight.new_zeros(weight.shape[0]))

    def head(self, logits: Tensor, labels: Tensor) -> Head:
        """The same with each logit times its factor, where there are factors."""
        head = self.unscaled(logits.shape[1])
        if self.factors is None:
            return head
        return Head("logit", head.weight * self.factors(logits, labels).factors, head.shift)

    def matrix(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The same as a matrix, classes x joined."""
        weight = self.head(logits, labels).weight
        return torch.diag(weight) if weight.dim() == 1 else weight

    def fits(self, logits: Tensor, labels: Tensor) -> list[Fit]:
        """The same as a fit that has one strength only."""
        weight = self.matrix(logits, labels)
        return [Fit(weight, weight.new_zeros(weight.shape[0]), 0.0)]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A head, scores of the calibration images by fits that have not seen them, and what is noted of the choice."""

    head: Head
    scores: Tensor  # images x classes
    notes: dict[str, Any] = field(default_factory=dict)


@torch.no_grad()
def calibrated(
    assembly: Assembly, images: Tensor, labels: Tensor, kinds: Sequence[str], *, reads: Reads | None = None
) -> Calibrated:
    """Run an assembly on its calibration images, for these kinds of head.

    `reads` are the layers that make the logits, part by part, where they are known already. Raises
    IncompatibleComponents where there are no features and no kind does without.
    """
    why_not = ""
    if reads is None and any(kind in ON_FEATURES for kind in kinds):
        try:
            reads = parts_layers(assembly.networks(), images)
        except IncompatibleComponents as error:
            if all(kind in ON_FEATURES for kind in kinds):
                raise IncompatibleComponents(f"head '{kinds[0]}' reads features: {error}") from error
            why_not = str(error)
    pieces, reads = images.split(CHUNK), tuple(reads or ())
    if not reads:
        joined = torch.cat([assembly.joined(some) for some in pieces]).double().cpu()
        return Calibrated(joined, None, reads, labels, assembly.classes, why_not=why_not)
    pairs = [assembly.features(some, reads) for some in pieces]
    features, joined = (torch.cat(column).double().cpu() for column in zip(*pairs, strict=True))
    logits_of = _logits_of(assembly, reads, features, joined)
    if logits_of is None and kinds == ("blend",):
        raise IncompatibleComponents("head 'blend' needs logits that are weighted sums of features; use head='ridge'")
    return Calibrated(joined, features, reads, labels, assembly.classes, logits_of)


def _logits_of(assembly: Assembly, reads: Sequence[Sequence[str]], features: Tensor, joined: Tensor) -> Fit | None:
    """The joined logits as a map of the features; None where something is done to the sums before they are logits."""
    found = Fit(*logit_map(assembly.networks(), reads), 0.0)
    rounding = 1e-2 * joined.abs().max()  # of half precision
    return found if bool((found(features) - joined).abs().max() <= rounding) else None


def choose_head(found: Calibrated, plain: Plain, kinds: Sequence[str], *, seed: int) -> Chosen:
    """Fit a head of one of these kinds, the one that cross-validation prefers where there are several.

    Kinds for which there are too few images of a class are left out; raises BadConfig where none is left. With a class
    of a single image the folds are of all images together, and with a single image nothing is fitted.
    """
    counts = torch.bincount(found.labels, minlength=len(found.classes))
    least = int(counts.min())
    if not any(least >= LEAST[kind] for kind in kinds):
        raise BadConfig(
            f"head '{kinds[0]}' needs {LEAST[kinds[0]]} calibration images of each class, but of class "
            f"'{found.classes[int(counts.argmin())]}' there is {least}; give more, or use head='affine'"
        )
    if (count := _fold_count(found)) < 2:
        head = plain.head(found.joined, found.labels)
        return Chosen(head, plain.fits(found.joined, found.labels)[0](found.joined))
    contest = cross_validated(found, plain, kinds, seed=seed)
    asked = {name: contest.judged[name] for name in LEAST if name in kinds and name in contest.judged}
    name = preferred(asked, FAVOURITES)
    notes: dict[str, Any] = {"head_scores": {kind: each.accuracy for kind, each in asked.items()}, "head_folds": count}
    if found.why_not:
        notes["no_features"] = found.why_not
    if name == "concat":
        return Chosen(plain.head(found.joined, found.labels), asked[name].scores, notes)
    fit = contest.fit(name)
    weight = fit.weight.contiguous()  # as it is after saving and loading, to the last bit of its products
    head = Head(name, weight, fit.shift, reads=found.reads if name in ON_FEATURES else ())
    return Chosen(head, asked[name].scores, {**notes, "head_strength": fit.strength})


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Kinds of head, and what cross-validation found of them."""

    found: Calibrated
    kinds: dict[str, Kind]
    judged: dict[str, Judged]
    factor: float  # of the ridge in a blend

    def fit(self, name: str) -> Fit:
        """A kind fitted to all images, with the strength that did best."""
        if name == "blend":
            assert self.found.logits_of is not None
            affine, ridge = (self.fit(each) for each in BLENDED)
            return blend_of(affine, self.found.logits_of, ridge, self.factor)
        kind = self.kinds[name]
        return kind.fits(kind.inputs, self.found.labels)[self.judged[name].choice]


def cross_validated(found: Calibrated, plain: Plain, kinds: Sequence[str], *, seed: int) -> Contest:
    """Judge the kinds that are in question, and those that they are made of, all on the same folds.

    Kinds for which there are too few images of a class are left out.
    """
    fold = folds_of(found.labels, count=_fold_count(found), seed=seed)
    least = int(torch.bincount(found.labels, minlength=len(found.classes)).min())
    blend = "blend" in kinds and found.logits_of is not None
    every = _kinds(found, plain)
    judged = {
        name: judge(kind, found.labels, fold)
        for name, kind in every.items()
        if least >= LEAST[name] and (name in kinds or (blend and name in BLENDED))
    }
    factor = 1.0
    if blend and all(name in judged for name in BLENDED):
        affine, ridge = (judged[name] for name in BLENDED)
        factor = factor_of(ridge.scores, found.labels)
        judged["blend"] = blended(affine, ridge, found.labels, factor)
    return Contest(found, every, judged, factor)


def _fold_count(found: Calibrated) -> int:
    """Folds of the images: with a class of a single image they are of all images together."""
    least = int(torch.bincount(found.labels, minlength=len(found.classes)).min())
    return min(FOLDS, least if least > 1 else len(found.labels))


def _kinds(found: Calibrated, plain: Plain) -> dict[str, Kind]:
    """How each kind of head is fitted, and what its strength is chosen by."""

    def affine(logits: Tensor, labels: Tensor) -> list[Fit]:
        return affine_fits(logits, labels, plain.matrix(logits, labels))

    likelihood = partial(F.cross_entropy, reduction="none")
    kinds = {"concat": Kind(found.joined, plain.fits, likelihood), "affine": Kind(found.joined, affine, likelihood)}
    if found.features is not None:
        classes = len(found.classes)
        kinds["ridge"] = Kind(found.features, partial(ridge_fits, classes=classes), squared_error)
        kinds["lda"] = Kind(found.features, partial(lda_fits, classes=classes), likelihood)
    return kinds


def squared_error(scores: Tensor, labels: Tensor) -> Tensor:
    """Squared distance of each row of scores to its one-hot target."""
    return (scores - one_hot(labels, scores.shape[1])).square().sum(1)
