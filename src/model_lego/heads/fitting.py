"""The head of an assembly, from what was asked for and from calibration images."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from model_lego.errors import BadConfig, ClassClash
from model_lego.heads.choosing import LEAST, ON_FEATURES, Factors, Plain, calibrated, choose_head
from model_lego.heads.rejection import threshold_of, with_outsiders
from model_lego.heads.scaling import ScaleFactors, described, logit_factors
from model_lego.parts.assembly import NONE_OF_THESE, Assembly

HeadKind = Literal["auto", "concat", "affine", "ridge", "lda", "blend"]
Clash = Literal["error", "prefer", "average"]


def check_needs(calibration: object, scaling: str | None, head: str, outsiders: float | None) -> None:
    """Refuse what cannot be fitted without calibration images, and a share of outsiders that is none."""
    if calibration is None and (scaling is not None or head not in ("auto", "concat")):
        raise BadConfig(f"scaling '{scaling}' and head '{head}' need calibration images; give calibration=")
    if outsiders is not None and not 0 < outsiders < 1:
        raise BadConfig(f"outsiders is a share of the calibration images between 0 and 1, but is {outsiders}")
    if outsiders is not None and calibration is None:
        raise BadConfig("the threshold of outsiders needs calibration images; give calibration=")


def kinds_of(head: str, scaling: str | None) -> tuple[str, ...]:
    """The kinds of head that are in question; factors of the logits are of no use to those that read features."""
    usable = tuple(kind for kind in LEAST if scaling != "logit" or kind not in ON_FEATURES)
    if head == "auto":
        return usable
    if head not in LEAST:
        raise BadConfig(f"head '{head}' is unknown; use one of 'auto', {', '.join(map(repr, LEAST))}")
    if head not in usable:
        raise BadConfig(f"scaling 'logit' scales logits, and head '{head}' reads features; leave one of them out")
    return (head,)


def settle(owned: Sequence[Sequence[str]], on_clash: str) -> tuple[tuple[str, ...], Tensor | None]:
    """Classes of an assembly and, where parts share some, the matrix (classes x joined) that says whose logit counts.

    `owned` are the classes of each part. Raises ClassClash.
    """
    names = [name for part in owned for name in part]
    classes = tuple(dict.fromkeys(names))
    if len(classes) == len(names):
        return classes, None
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
    return classes, pick


def fit_head(
    assembly: Assembly,
    images: Tensor,
    labels: Tensor,
    *,
    pick: Tensor | None,
    kinds: Sequence[str],
    scaling: str | None,
    outsiders: float | None,
) -> None:
    """Give an assembly the head that its calibration images ask for, and note in its settings what was found.

    `labels` are positions in its classes, `pick` settles classes of several parts; with `outsiders` it gets one more
    class.
    """
    found = calibrated(assembly, images, labels, kinds)
    plain = Plain(pick, _logit_factors(assembly.owned(), assembly.classes) if scaling == "logit" else None)
    chosen = choose_head(found, plain, kinds, seed=assembly.settings["seed"])
    assembly.settings.update(chosen.notes)
    if plain.factors is not None:
        scaled = plain.factors(found.joined, labels)
        assembly.settings["factors"] = {**described(scaled.factors), "guarded": list(scaled.guarded)}
    assembly.head = chosen.head
    if outsiders is not None:
        threshold = threshold_of(chosen.scores, outsiders)
        assembly.head = with_outsiders(chosen.head, threshold)
        assembly.classes += (NONE_OF_THESE,)
        assembly.settings["outsiders"] = {"share": outsiders, "threshold": threshold}


def _logit_factors(owned: Sequence[Sequence[str]], classes: Sequence[str]) -> Factors:
    owners = torch.tensor([classes.index(name) for part in owned for name in part])
    widths = [len(part) for part in owned]

    def factors(logits: Tensor, labels: Tensor) -> ScaleFactors:
        return logit_factors(logits, labels, owners, widths)

    return factors
