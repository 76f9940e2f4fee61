"""Judge an assembly beside its parts, each on its own classes: what joining them costs."""

import torch
from torch import Tensor

from model_lego.heads.fitting import FittedHead, Labelled, Settled
from model_lego.parts.grouping import counted_as, group_of, grouped, merged
from model_lego.parts.verdict import Verdict
from model_lego.verdicts.judging import Basis, by_hits

PARTS = "its parts (each on its own classes)"


def verdict_on(fitted: FittedHead, settled: Settled, labelled: Labelled) -> Verdict | None:
    """Judge a head by the scores of its calibration images, by heads of its kind that have not seen them.

    None where the images' labels are numbers of parts, so that their classes are what the parts say.
    """
    if labelled.of == "parts":
        return None
    told = counted_as(labelled.classes, group_of(settled.groups))
    places = torch.tensor([settled.classes.index(name) for name in told])[labelled.labels]
    fewest = int(torch.bincount(labelled.labels, minlength=len(labelled.classes)).min())
    basis = Basis("joined", PARTS, held_out=fitted.held_out, fitted=fewest)
    right = fitted.scores.argmax(1).cpu() == places
    return by_hits(right, _right_alone(fitted.joined, settled, labelled), len(settled.classes), basis)


def _right_alone(joined: Tensor, settled: Settled, labelled: Labelled) -> Tensor:
    """Whether the (first) part that has the class of an image gives it, or its group, among its own (bool)."""
    right, first = torch.zeros(len(joined), dtype=torch.bool), 0
    group, owner = group_of(settled.groups), torch.full((len(labelled.classes),), -1)
    for number, part in enumerate(settled.owned):
        classes, columns = grouped(part, settled.groups)
        given = merged(joined[:, first : first + len(part)], columns).argmax(1)
        told = [group.get(name, name) for name in labelled.classes]
        mine = [name in part or name in classes for name in labelled.classes]
        owner[(owner < 0) & torch.tensor(mine)] = number
        answer = torch.tensor([classes.index(name) if name in classes else -1 for name in told])
        right |= (owner == number)[labelled.labels] & (given == answer[labelled.labels])
        first += len(part)
    return right
