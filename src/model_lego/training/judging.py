"""Judge a part that was trained beside what it was, or beside its teacher."""

from typing import TypeVar

from torch import Tensor

from model_lego.data.batching import Batches, drawn
from model_lego.graph.modules import first_parameter
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import Shape
from model_lego.verdicts.judging import JUDGED, Answer, Basis, judge, warn_of

Part = TypeVar("Part", bound=Component | Assembly)


def judged(part: Part, theirs: Answer, reference: str, batches: Batches, places: Tensor | None, shape: Shape) -> Part:
    """A trained part with its verdict, on a seeded sample of the images that it was trained on.

    `places` are the positions of the label numbers in its classes, -1 for others; without labels there is no verdict.
    """
    if places is None:
        return part.with_verdict(None)  # type: ignore[return-value]
    wanted = (places >= 0).nonzero().reshape(-1).tolist()
    sample = drawn(batches, wanted, shape=shape, labels=len(places), limit=JUDGED)
    like, basis = first_parameter(part), Basis("trained", reference, held_out=False)
    verdict = judge(
        lambda some: part(some.to(like)),
        lambda some: theirs(some.to(like)),
        sample.seen,
        places[sample.labels],
        basis,
    )
    warn_of(verdict)
    return part.with_verdict(verdict)  # type: ignore[return-value]
