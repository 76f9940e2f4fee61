"""The head of an assembly, from what was asked for and from calibration images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.errors import ClassClash
from model_lego.heads.choosing import Factors, Plain, calibrated, choose_head
from model_lego.heads.rejection import threshold_of, with_outsiders
from model_lego.heads.scaling import ScaleFactors, described, logit_factors
from model_lego.heads.settings import JoinSettings
from model_lego.parts.assembly import NONE_OF_THESE, Head
from model_lego.parts.component import Component
from model_lego.parts.join_record import Clash, CrossValidation, FactorRange, Outsiders


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """The classes of an assembly, whichever parts have them.

    `owned` are the classes of each part, and `pick` (classes x joined logits) says whose logit counts where parts
    share some.
    """

    classes: tuple[str, ...]
    owned: tuple[tuple[str, ...], ...]
    pick: Tensor | None

    def plain_head(self) -> Head:
        """The joined logits side by side, with clashes settled."""
        return Plain(self.pick).unscaled(sum(map(len, self.owned)))


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """A head that was fitted to calibration images, the classes that it tells apart, and how it came about.

    `scores` are those of the images, images x classes, by heads of its kind that have not seen them (`held_out`), and
    `joined` the parts' own logits side by side.
    """

    head: Head
    classes: tuple[str, ...]
    cross_validation: CrossValidation | None
    factors: FactorRange | None
    outsiders: Outsiders | None
    scores: Tensor
    joined: Tensor

    @property
    def held_out(self) -> bool:
        """Whether there were images enough for scores by heads that have not seen them."""
        return self.cross_validation is not None


def settle(owned: Sequence[tuple[str, ...]], on_clash: Clash) -> Settled:
    """Settle which classes an assembly has, given those of each part. Raises ClassClash."""
    names = [name for part in owned for name in part]
    classes = tuple(dict.fromkeys(names))
    if len(classes) == len(names):
        return Settled(classes, tuple(owned), None)
    twice = sorted({name for name in names if names.count(name) > 1})
    if on_clash == "error":
        owners = [f"part {number}" for number, part in enumerate(owned, 1) if twice[0] in part]
        raise ClassClash(
            f"class '{twice[0]}' is in {' and '.join(owners)}; leave it out of one, or choose on_clash='prefer' or "
            "'average'"
        )
    pick = torch.zeros(len(classes), len(names), dtype=torch.float64)
    for row, name in enumerate(classes):
        columns = [column for column, other in enumerate(names) if other == name]
        columns = columns[:1] if on_clash == "prefer" else columns
        pick[row, columns] = 1 / len(columns)
    return Settled(classes, tuple(owned), pick)


def fit_head(
    networks: Sequence[Component], settled: Settled, images: Tensor, labels: Tensor, asked: JoinSettings
) -> FittedHead:
    """Fit the head that was asked for to calibration images; `labels` are positions in the settled classes.

    With `outsiders` it has one more class.
    """
    seen = calibrated(networks, images, labels, asked.kinds, classes=settled.classes)
    plain = Plain(settled.pick, _logit_factors(settled) if asked.scaling == "logit" else None)
    chosen = choose_head(seen, plain, asked.kinds, seed=asked.seed)
    head, classes, factors, outsiders, scores = chosen.head, settled.classes, None, None, chosen.scores
    if plain.factors is not None:
        scaled = plain.factors(seen.joined, labels)
        factors = FactorRange(**described(scaled.factors), guarded=scaled.guarded)
    if asked.outsiders is not None:
        outsiders = Outsiders(asked.outsiders, threshold_of(chosen.scores, asked.outsiders))
        head, classes = with_outsiders(head, outsiders.threshold), (*classes, NONE_OF_THESE)
        scores = torch.cat([scores, scores.new_full((len(scores), 1), outsiders.threshold)], 1)
    return FittedHead(head, classes, chosen.tried, factors, outsiders, scores, seen.joined)


def _logit_factors(settled: Settled) -> Factors:
    owners = torch.tensor([settled.classes.index(name) for part in settled.owned for name in part])
    widths = [len(part) for part in settled.owned]

    def factors(logits: Tensor, labels: Tensor) -> ScaleFactors:
        return logit_factors(logits, labels, owners, widths)

    return factors
