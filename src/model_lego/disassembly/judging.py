"""The images of a component: those that it is repaired with, and those by which it is judged beside its source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from model_lego.budgets.trials import TRIED
from model_lego.cutting.cut import Cut
from model_lego.data.batching import Drawn, together
from model_lego.disassembly.request import Request
from model_lego.graph.modules import first_parameter
from model_lego.parts.answers import answer_of
from model_lego.parts.class_names import places_of
from model_lego.parts.component import Component
from model_lego.parts.origin import Origin
from model_lego.parts.verdict import SOURCE, Verdict
from model_lego.repairing.refitting import CALIBRATION, calibration_images, repair_cut
from model_lego.verdicts.judging import JUDGED, Basis, judge

#: Fewer held-out images than this tell too little: then a twin that is repaired with four fifths of the others, no more
#: than a search repairs with, is judged on the last fifth.
ENOUGH = 100
FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Images of the classes of a component, as the network takes them: for its repair, and others."""

    fit: Drawn
    held: Drawn

    def fewest(self, labels: Sequence[int]) -> int:
        """Of how many images a class was fitted to that has the fewest."""
        return min(int((self.fit.labels == label).sum()) for label in labels)


def images_for(request: Request, component: Component) -> Images:
    """Draw them: for the repair what was given for it, else the first of a seeded draw, of which the rest is held out.

    Raises EmptySelection where there is nothing to repair with, BadBatches, ShapeMismatch.
    """
    if not _repairs(request):
        held = request.some(request.labels, JUDGED)
        return Images(held.at([]), held)
    drawn_from_batches = request.calibration is None
    fit = calibration_images(
        request.batches if request.calibration is None else request.calibration,
        component,
        limit=CALIBRATION + JUDGED if drawn_from_batches else None,
        seed=request.settings.seed,
        progress=request.progress,
    )
    if drawn_from_batches:
        places = range(len(fit.labels))
        return Images(fit.at(places[:CALIBRATION]), fit.at(places[CALIBRATION:]))
    return Images(fit, _unseen(request.some(request.labels, JUDGED), fit))


def verdict_on(
    request: Request,
    component: Component,
    images: Images,
    unrepaired: Cut | None,
    *,
    reference: str = SOURCE,
    untuned: nn.Module | None = None,
) -> Verdict | None:
    """Judge a component beside its source on images that its repair did not see.

    Where too few were held out, a twin of the cut as it was before the repair is judged; without such a cut it is
    judged on all images. With its `untuned` module, that is judged on the same images.
    """
    module, held, held_out = component.module, images.held, True
    like = first_parameter(request.model)
    if _repairs(request) and len(held.labels) < ENOUGH:
        if unrepaired is None:
            held, held_out = _joined(images.fit, held), False
        else:
            twin, held = _twin(request, unrepaired, images.fit)
            module, untuned = twin.module, twin.untuned
    if len(request.labels) == 1:
        held = _joined(held, request.some(request.others, JUDGED))
    fewest = images.fewest(request.labels) if _repairs(request) else None
    columns = list(request.labels)

    def judged(network: nn.Module) -> Verdict | None:
        return judge(
            lambda some: answer_of(network, some.to(like)),
            lambda some: request.graph.program.run(request.model, some.to(like))[:, columns],
            held.seen,
            places_of(request.classes, request.names)[held.labels],
            Basis("cut", reference, held_out, fewest, _kept(component.origin)),
        )

    verdict, before = judged(module), None if untuned is None else judged(untuned)
    return verdict if verdict is None or before is None else replace(verdict, untuned=before.own)


def _kept(origin: Origin) -> float:
    """The share of its source's parameters or multiply-adds in % that a component keeps, whichever is less."""
    before, after = origin.cost_before, origin.cost_after
    return 100 * min(after.parameters / max(before.parameters, 1), after.macs / max(before.macs, 1))


def _repairs(request: Request) -> bool:
    return request.settings.repairing.method != "none"


def needs_twin(images: Images) -> bool:
    """Whether so few images were held out from a repair that the cut has to be kept as it was before it."""
    return len(images.held.labels) < ENOUGH


def _twin(request: Request, unrepaired: Cut, fit: Drawn) -> tuple[Cut, Drawn]:
    """The cut repaired with four fifths of the images, at most as many as a search tries with, and the last fifth."""
    generator = torch.Generator().manual_seed(request.settings.seed)
    order = torch.randperm(len(fit.labels), generator=generator).tolist()
    held, rest = order[: max(1, min(JUDGED, len(order) // FOLDS))], order[len(order) // FOLDS :][:TRIED]
    made, _ = repair_cut(
        unrepaired,
        fit.at(rest).seen,
        request.settings.repairing,
        progress=request.progress,
        group=request.group,
    )
    return made, fit.at(held)


def _unseen(images: Drawn, seen: Drawn) -> Drawn:
    known = set(seen.digests)
    return images.at([place for place, digest in enumerate(images.digests) if digest not in known])


def _joined(one: Drawn, other: Drawn) -> Drawn:
    if not len(one.labels) or not len(other.labels):
        return one
    return Drawn(together(one.seen, other.seen), torch.cat([one.labels, other.labels]), one.digests + other.digests)
