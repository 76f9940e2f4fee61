"""Heads of assemblies: what they read, how each kind is fitted, which kind is chosen.

The order is from the simplest on: `concat` has nothing to fit but the factors of a scaling, `affine` maps the joined
logits, `ridge` and `lda` read the joined features, `blend` adds up `affine` and `ridge`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from model_lego.errors import BadConfig, IncompatibleComponents
from model_lego.graph import RULES
from model_lego.graph.rule import OpRule
from model_lego.heads.blend import BLENDED, blend_of, blended, factor_of
from model_lego.heads.cross_validation import FOLDS, Judged, Kind, folds_of, judge, preferred
from model_lego.heads.features import logit_map, parts_layers
from model_lego.heads.linear import Fit, lda_fits, one_hot, ridge_fits
from model_lego.heads.logistic import affine_fits
from model_lego.heads.scaling import ScaleFactors
from model_lego.parts.assembly import Head, Part, features_and_logits, leaves, side_by_side
from model_lego.parts.component import Component
from model_lego.parts.grouping import Columns
from model_lego.parts.join_record import CrossValidation

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
    """The head that changes nothing: `pick` (terms x joined) settles classes of several parts, `factors` scale.

    `columns` merge the terms to the classes of the labels, where these do not tell all terms apart.
    """

    pick: Tensor | None = None
    factors: Factors | None = None
    columns: Columns | None = None

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
        """The same as a matrix, terms x joined."""
        weight = self.head(logits, labels).weight
        return torch.diag(weight) if weight.dim() == 1 else weight

    def fits(self, logits: Tensor, labels: Tensor) -> list[Fit]:
        """The same as a fit that has one strength only."""
        weight = self.matrix(logits, labels)
        return [Fit(weight, weight.new_zeros(weight.shape[0]), 0.0, self.columns)]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A head, scores of the calibration images by fits that have not seen them, and what led to the choice."""

    head: Head
    scores: Tensor  # images x classes
    tried: CrossValidation | None = None  # None where there is a single image


@torch.no_grad()
def calibrated(
    networks: Sequence[Part],
    images: Tensor,
    labels: Tensor,
    kinds: Sequence[str],
    *,
    classes: Sequence[str],
    reads: Reads | None = None,
    rules: Mapping[object, OpRule] = RULES,
) -> Calibrated:
    """Run the networks of an assembly on its calibration images, for these kinds of head.

    `labels` are positions in `classes`, and `reads` the layers that make the logits, network by network, where they are
    known already. Raises IncompatibleComponents where there are no features and no kind does without.
    """
    why_not = ""
    if reads is None and any(kind in ON_FEATURES for kind in kinds):
        try:
            reads = parts_layers(networks, images, rules=rules)
        except IncompatibleComponents as error:
            if all(kind in ON_FEATURES for kind in kinds):
                raise IncompatibleComponents(f"head '{kinds[0]}' reads features: {error}") from error
            why_not = str(error)
    pieces, reads = images.split(CHUNK), tuple(reads or ())
    if not reads:
        joined = torch.cat([side_by_side(networks, some) for some in pieces]).double().cpu()
        return Calibrated(joined, None, reads, labels, tuple(classes), why_not=why_not)
    components = list(leaves(*networks))  # what has features has no assemblies among its parts
    pairs = [features_and_logits(components, some, reads) for some in pieces]
    features, joined = (torch.cat(column).double().cpu() for column in zip(*pairs, strict=True))
    logits_of = _logits_of(components, reads, features, joined)
    if logits_of is None and kinds == ("blend",):
        raise IncompatibleComponents("head 'blend' needs logits that are weighted sums of features; use head='ridge'")
    return Calibrated(joined, features, reads, labels, tuple(classes), logits_of)


def _logits_of(
    networks: Sequence[Component], reads: Sequence[Sequence[str]], features: Tensor, joined: Tensor
) -> Fit | None:
    """The joined logits as a map of the features; None where something is done to the sums before they are logits."""
    sums = Fit(*logit_map(networks, reads), 0.0)
    rounding = 1e-2 * joined.abs().max()  # of half precision
    return sums if bool((sums(features) - joined).abs().max() <= rounding) else None


def choose_head(seen: Calibrated, plain: Plain, kinds: Sequence[str], *, seed: int) -> Chosen:
    """Fit a head of one of these kinds, the one that cross-validation prefers where there are several.

    Kinds for which there are too few images of a class are left out; raises BadConfig where none is left. With a class
    of a single image the folds are of all images together, and with a single image nothing is fitted.
    """
    counts = torch.bincount(seen.labels, minlength=len(seen.classes))
    least = int(counts.min())
    if not any(least >= LEAST[kind] for kind in kinds):
        raise BadConfig(
            f"head '{kinds[0]}' needs {LEAST[kinds[0]]} calibration images of each class, but of class "
            f"'{seen.classes[int(counts.argmin())]}' there is {least}; give more, or use head='affine'"
        )
    if (folds := _fold_count(seen)) < 2:
        head = plain.head(seen.joined, seen.labels)
        return Chosen(head, plain.fits(seen.joined, seen.labels)[0](seen.joined))
    contest = cross_validated(seen, plain, kinds, seed=seed)
    asked = {name: contest.judged[name] for name in LEAST if name in kinds and name in contest.judged}
    name = preferred(asked, FAVOURITES)
    scores = asked[name].scores
    tried = CrossValidation({kind: each.accuracy for kind, each in asked.items()}, folds, no_features=seen.why_not)
    if name == "concat":
        return Chosen(plain.head(seen.joined, seen.labels), scores, tried)
    fit = contest.fit(name)
    weight = fit.weight.contiguous()  # as it is after saving and loading, to the last bit of its products
    head = Head(name, weight, fit.shift, reads=seen.reads if name in ON_FEATURES else ())
    return Chosen(head, scores, replace(tried, strength=fit.strength))


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Kinds of head, and what cross-validation says of them."""

    seen: Calibrated
    kinds: dict[str, Kind]
    judged: dict[str, Judged]
    factor: float  # of the ridge in a blend

    def fit(self, name: str) -> Fit:
        """A kind fitted to all images, with the strength that did best."""
        if name == "blend":
            assert self.seen.logits_of is not None
            affine, ridge = (self.fit(each) for each in BLENDED)
            return blend_of(affine, self.seen.logits_of, ridge, self.factor)
        kind = self.kinds[name]
        return kind.fits(kind.inputs, self.seen.labels)[self.judged[name].choice]


def cross_validated(seen: Calibrated, plain: Plain, kinds: Sequence[str], *, seed: int) -> Contest:
    """Judge the kinds that are in question, and those that they are made of, all on the same folds.

    Kinds for which there are too few images of a class are left out.
    """
    fold = folds_of(seen.labels, count=_fold_count(seen), seed=seed)
    least = int(torch.bincount(seen.labels, minlength=len(seen.classes)).min())
    blend = "blend" in kinds and seen.logits_of is not None and plain.columns is None  # else of other rows each
    every = _kinds(seen, plain)
    judged = {
        name: judge(kind, seen.labels, fold)
        for name, kind in every.items()
        if least >= LEAST[name] and (name in kinds or (blend and name in BLENDED))
    }
    factor = 1.0
    if blend and all(name in judged for name in BLENDED):
        affine, ridge = (judged[name] for name in BLENDED)
        factor = factor_of(ridge.scores, seen.labels)
        judged["blend"] = blended(affine, ridge, seen.labels, factor)
    return Contest(seen, every, judged, factor)


def _fold_count(seen: Calibrated) -> int:
    """Folds of the images: with a class of a single image they are of all images together."""
    least = int(torch.bincount(seen.labels, minlength=len(seen.classes)).min())
    return min(FOLDS, least if least > 1 else len(seen.labels))


def _kinds(seen: Calibrated, plain: Plain) -> dict[str, Kind]:
    """How each kind of head is fitted, and what its strength is chosen by."""

    def affine(logits: Tensor, labels: Tensor) -> list[Fit]:
        return affine_fits(logits, labels, plain.matrix(logits, labels), columns=plain.columns)

    likelihood = partial(F.cross_entropy, reduction="none")
    kinds = {"concat": Kind(seen.joined, plain.fits, likelihood), "affine": Kind(seen.joined, affine, likelihood)}
    if seen.features is not None:
        classes = len(seen.classes)
        kinds["ridge"] = Kind(seen.features, partial(ridge_fits, classes=classes), squared_error)
        kinds["lda"] = Kind(seen.features, partial(lda_fits, classes=classes), likelihood)
    return kinds


def squared_error(scores: Tensor, labels: Tensor) -> Tensor:
    """Squared distance of each row of scores to its one-hot target."""
    return (scores - one_hot(labels, scores.shape[1])).square().sum(1)
