"""Judge an assembly beside its parts, each on its own classes: what joining them costs."""

import torch
from torch import Tensor

from model_lego.assembly.calibration import Labelled
from model_lego.heads.fitting import FittedHead, Settled
from model_lego.parts.verdict import Verdict
from model_lego.verdicts.judging import Basis, by_hits

PARTS = "its parts (each on its own classes)"


def verdict_on(fitted: FittedHead, settled: Settled, labelled: Labelled) -> Verdict | None:
    """Judge a head by the scores of its calibration images, by heads of its kind that have not seen them.

    None where the images' labels are numbers of parts, so that their classes are what the parts say.
    """
    if labelled.of == "parts":
        return None
    places = labelled.labels
    fewest = int(torch.bincount(places, minlength=len(settled.classes)).min())
    basis = Basis("joined", PARTS, held_out=fitted.held_out, fitted=fewest)
    right = fitted.scores.argmax(1).cpu() == places
    return by_hits(right, _right_alone(fitted.joined, settled, places), len(settled.classes), basis)


def _right_alone(joined: Tensor, settled: Settled, places: Tensor) -> Tensor:
    """Whether the (first) part that has the class of an image gives it, among its own classes (bool)."""
    right, first = torch.zeros(len(places), dtype=torch.bool), 0
    names = list(settled.classes)
    for number, part in enumerate(settled.owned):
        before = {name for owned in settled.owned[:number] for name in owned}
        given = joined[:, first : first + len(part)].argmax(1)
        for at, name in enumerate(part):
            if name not in before:
                right |= (places == names.index(name)) & (given == at)
        first += len(part)
    return right
