"""The head of an assembly, from what was asked for and from calibration images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.errors import BadConfig, ClassClash
from model_lego.heads.choosing import Factors, Plain, calibrated, choose_head
from model_lego.heads.rejection import threshold_of, with_outsiders
from model_lego.heads.scaling import ScaleFactors, described, logit_factors
from model_lego.heads.settings import JoinSettings
from model_lego.parts.assembly import NONE_OF_THESE, Head, Part
from model_lego.parts.class_names import groups_of, in_order
from model_lego.parts.grouping import Groups, columns_of, counted_as, group_of, grouped, merged
from model_lego.parts.join_record import Clash, CrossValidation, FactorRange, Labels, Outsiders


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """The classes of an assembly, whichever parts have them.

    `owned` are the classes of each part, `terms` all of them, each once, and `pick` (terms x joined logits) says whose
    logit counts where parts share some. `classes` are the terms by groups, in the order that was asked for.
    """

    terms: tuple[str, ...]
    owned: tuple[tuple[str, ...], ...]
    pick: Tensor | None
    groups: Groups
    classes: tuple[str, ...]

    def plain_head(self) -> Head:
        """The joined logits side by side, with clashes settled."""
        return Plain(self.pick).unscaled(sum(map(len, self.owned)))


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """All calibration images of an assembly, and the classes that they tell apart: its terms, or groups of these.

    `labels` are positions in `classes`. `of` says what the labels were when they were given, and `digests` are those
    of the images, packed.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    of: Labels
    digests: str


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """A head that was fitted to calibration images, the terms that it tells apart, and how it came about.

    `scores` are those of the images, images x the assembly's classes, by heads of its kind that have not seen them
    (`held_out`), and `joined` the parts' own logits side by side.
    """

    head: Head
    terms: tuple[str, ...]
    cross_validation: CrossValidation | None
    factors: FactorRange | None
    outsiders: Outsiders | None
    scores: Tensor
    joined: Tensor

    @property
    def held_out(self) -> bool:
        """Whether there were images enough for scores by heads that have not seen them."""
        return self.cross_validation is not None


def settle(owned: Sequence[tuple[str, ...]], asked: JoinSettings) -> Settled:
    """Settle which classes an assembly has, given those of each part; raises ClassClash, UnknownClass, BadConfig."""
    names = [name for part in owned for name in part]
    terms = tuple(dict.fromkeys(names))
    pick = None if len(terms) == len(names) else _pick(terms, owned, asked.on_clash)
    groups = groups_of(asked.groups, terms)
    return Settled(terms, tuple(owned), pick, groups, in_order(asked.order, grouped(terms, groups)[0]))


def _pick(terms: Sequence[str], owned: Sequence[tuple[str, ...]], on_clash: Clash) -> Tensor:
    """Which joined logits count for each term, terms x joined; raises ClassClash."""
    names = [name for part in owned for name in part]
    twice = sorted({name for name in names if names.count(name) > 1})
    if on_clash == "error":
        owners = [f"part {number}" for number, part in enumerate(owned, 1) if twice[0] in part]
        raise ClassClash(
            f"class '{twice[0]}' is in {' and '.join(owners)}; leave it out of one, or choose on_clash='prefer' or "
            "'average'"
        )
    pick = torch.zeros(len(terms), len(names), dtype=torch.float64)
    for row, name in enumerate(terms):
        columns = [column for column, other in enumerate(names) if other == name]
        columns = columns[:1] if on_clash == "prefer" else columns
        pick[row, columns] = 1 / len(columns)
    return pick


def fit_head(networks: Sequence[Part], settled: Settled, labelled: Labelled, asked: JoinSettings) -> FittedHead:
    """Fit the head that was asked for to calibration images; with `outsiders` it has one more class.

    Where the images tell the members of a group apart, so does the head, and they are merged behind it. Where they do
    not, a head on logits is fitted through the merging, and one on features to the group; raises BadConfig for a blend
    of both.
    """
    labels, known = labelled.labels, labelled.classes
    coarse = {name: members for name, members in settled.groups.items() if not set(members) <= set(known)}
    columns = None if len(known) == len(settled.terms) else columns_of(known, settled.terms, coarse)
    if columns is not None and asked.kinds == ("blend",):
        raise BadConfig(
            f"head 'blend' needs calibration images of each member of group '{next(iter(coarse))}'; use head='ridge' "
            "or head='affine', which are fitted to the group"
        )
    seen = calibrated(networks, labelled.images, labels, asked.kinds, classes=known, rules=asked.rules)
    plain = Plain(settled.pick, _logit_factors(settled, known, coarse) if asked.scaling == "logit" else None, columns)
    chosen = choose_head(seen, plain, asked.kinds, seed=asked.seed)
    head, terms, factors, outsiders = chosen.head, known if chosen.head.reads else settled.terms, None, None
    scores = merged(chosen.scores, columns_of(settled.classes, known, settled.groups))
    if plain.factors is not None:
        scaled = plain.factors(seen.joined, labels)
        factors = FactorRange(**described(scaled.factors), guarded=scaled.guarded)
    if asked.outsiders is not None:
        outsiders = Outsiders(asked.outsiders, threshold_of(scores, asked.outsiders))
        head, terms = with_outsiders(head, outsiders.threshold), (*terms, NONE_OF_THESE)
        scores = torch.cat([scores, scores.new_full((len(scores), 1), outsiders.threshold)], 1)
    return FittedHead(head, terms, chosen.tried, factors, outsiders, scores, seen.joined)


def _logit_factors(settled: Settled, known: Sequence[str], coarse: Groups) -> Factors:
    names = [name for part in settled.owned for name in part]
    owners = torch.tensor([known.index(name) for name in counted_as(names, group_of(coarse))])
    widths = [len(part) for part in settled.owned]

    def factors(logits: Tensor, labels: Tensor) -> ScaleFactors:
        return logit_factors(logits, labels, owners, widths)

    return factors
