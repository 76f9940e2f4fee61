"""Components on a budget: which channels stay, found on calibration images of the classes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.attribution import ContributionStats
from model_lego.budgets.budget import Budget
from model_lego.budgets.criteria import Context
from model_lego.budgets.reconstruction import reconstruction
from model_lego.budgets.removal_order import Shrinking, removal_order
from model_lego.budgets.sensitivity import sense
from model_lego.budgets.settings import CutSettings
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.verification import cut_of
from model_lego.data.batching import Batches, drawn
from model_lego.digest import SEEN, packed
from model_lego.errors import BadConfig, EmptySelection
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.graph.modules import first_parameter
from model_lego.parts.component import Cost, Preprocessing
from model_lego.parts.image_shapes import taken
from model_lego.parts.logits import main_logits
from model_lego.processes import Group
from model_lego.progress import Progress, quiet
from model_lego.repairing.refitting import CALIBRATION, repair_cut

#: Images that the criterion looks at.
SENSED = 1000
#: Images that a trial is repaired with; the component itself gets all.
TRIED = 500
#: The search for the smallest component ends where the sizes on both sides of the answer differ by less than this.
NEAR = 1.05


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """A network and images of some classes, on which components of several sizes are tried.

    `images` are those that channels are chosen by and repairs fitted to; `held` those that are measured, whose places
    in `classes` are `answers`; `digests` tells both.
    """

    model: nn.Module
    graph: ChannelGraph
    classes: tuple[int, ...]
    images: Tensor
    held: Tensor
    answers: Tensor
    digests: str
    settings: CutSettings
    progress: Progress = quiet
    group: Group = None

    def restricted(self) -> float:
        """Accuracy in % of the source over the classes, on the held-out images."""
        return self._accuracy(self.model, list(self.classes))

    def accuracy(self, selection: ChannelSelection) -> float:
        """Accuracy in % of the source cut and repaired, on the held-out images."""
        module = slice_model(self.model, self.graph, selection).module.eval()
        if self.settings.repairing.method != "none":
            images = self.images[:TRIED]
            cut = cut_of(module, self.model, self.graph, selection, images[:2])
            repair_cut(cut, images, self.settings.repairing, group=self.group)
        return self._accuracy(module, list(range(len(self.classes))))

    @torch.no_grad()
    def _accuracy(self, module: nn.Module, columns: list[int]) -> float:
        if not len(self.held):
            raise EmptySelection("there is no calibration image to measure with; give at least two")
        program = self.graph.program
        logits = []
        for some in self.held.split(self.settings.repairing.chunk):
            output = program.run(module, some) if module is self.model else module(some)
            logits.append(main_logits(output)[:, columns].argmax(1).cpu())
        return 100 * float((torch.cat(logits) == self.answers).double().mean())


def trials(
    model: nn.Module,
    graph: ChannelGraph,
    batches: Batches,
    *,
    classes: Sequence[int],
    settings: CutSettings,
    preprocessing: Preprocessing | None = None,
    progress: Progress = quiet,
    group: Group = None,
) -> Trials:
    """Draw a seeded sample of images of the classes and halve it; raises EmptySelection, BadBatches, ShapeMismatch."""
    sample = drawn(
        batches,
        classes,
        shape=taken(graph.program.image_shape, preprocessing),
        labels=len(graph.head),
        limit=2 * CALIBRATION,
        prepare=preprocessing,
        seed=settings.seed,
        progress=progress,
    )
    if not len(sample.images):
        raise EmptySelection("there is no calibration image of the classes; a budget is met by looking at some")
    images, half = sample.images.to(first_parameter(model)), (len(sample.images) + 1) // 2
    return Trials(
        model=model,
        graph=graph,
        classes=tuple(classes),
        images=images[:half],
        held=images[half:],
        answers=(sample.labels[half:, None] == torch.tensor(list(classes))).int().argmax(1),
        digests=packed(sample.digests),
        settings=settings,
        progress=progress,
        group=group,
    )


def shrinking(tried: Trials, budget: Budget, stats: ContributionStats | None = None) -> Shrinking:
    """The way of a network from whole to smallest, priced by the costs that the budget limits.

    How many channels each group keeps is told by reconstruction, whatever the criterion; which ones, by the criterion.
    """
    model, graph, settings = tried.model, tried.graph, tried.settings
    images = tried.images[:SENSED]
    senses = sense(
        model,
        graph,
        images,
        classes=tried.classes,
        seed=settings.seed,
        memory=settings.repairing.memory // 2,
        progress=tried.progress,
    )
    scores = reconstruction(graph, senses)
    within = None
    if settings.criterion_name != "reconstruction":
        context = Context(
            model=model,
            graph=graph,
            classes=tried.classes,
            images=images,
            senses=senses,
            stats=stats,
            thresholds=settings.alpha_beta,
            seed=settings.seed,
        )
        within = settings.scored_by.score(context)
    order = removal_order(model, graph, scores, budget.counted or ("parameters", "macs"))
    return Shrinking(model, graph, tried.classes, order, settings.multiple, within)


def within_budget(
    tried: Trials, budget: Budget, stats: ContributionStats | None = None
) -> tuple[ChannelSelection, dict[str, Any]]:
    """The channels of a component within a budget, and the record of it; raises BadConfig where there is none."""
    name = tried.settings.criterion_name
    selection, reached = fitted(tried, shrinking(tried, budget, stats), budget)
    record: dict[str, Any] = {"budget": {"asked": budget.to_dict(), "criterion": name, "reached": reached}}
    if name == "count":
        record["thresholds"] = asdict(tried.settings.alpha_beta)
    return selection, record | {SEEN: tried.digests}


def fitted(tried: Trials, way: Shrinking, budget: Budget) -> tuple[ChannelSelection, dict[str, Any]]:
    """The channels of a component within a budget, and what it reaches; raises BadConfig where there is none."""
    gone = way.within_budget(budget) if budget.counted else 0
    reached: dict[str, Any] = {}
    if budget.accuracy_drop is not None:
        gone, reached = _smallest(tried, way, budget, gone)
    selection = way.after(gone)
    return selection, asdict(way.cost(gone)) | reached


def _smallest(tried: Trials, way: Shrinking, budget: Budget, gone: int) -> tuple[int, dict[str, Any]]:
    """Bisect for the smallest component that loses no more than it may, in geometric steps of its parameters."""
    assert budget.accuracy_drop is not None
    restricted = tried.restricted()
    measured: dict[int, float] = {}

    def loses(gone: int) -> float:
        measured[gone] = tried.accuracy(way.after(gone))
        tried.progress("trying sizes", len(measured), None)
        return restricted - measured[gone]

    low, high = gone, len(way.order)
    if loses(low) > budget.accuracy_drop:
        raise BadConfig(
            f"the budget {budget} cannot be met: the largest component within the limits of size loses "
            f"{restricted - measured[low]:.2f} points ({restricted:.2f} % to {measured[low]:.2f} %) on "
            f"{len(tried.held)} held-out images; allow more points, or a larger component"
        )
    while (middle := _between(way, low, high)) is not None:
        low, high = (low, middle) if loses(middle) > budget.accuracy_drop else (middle, high)
    return low, {
        "accuracy": measured[low],
        "restricted": restricted,
        "accuracy_drop": restricted - measured[low],
        "held_out_images": len(tried.held),
        "trials": len(measured),
    }


def _between(way: Shrinking, low: int, high: int) -> int | None:
    """A number of channels to go whose parameters lie half-way between those of two others; None where these are near.

    `low` channels gone are allowed, `high` channels are taken to be too many.
    """
    large, small = (_parameters(way.cost(gone)) for gone in (low, high))
    if large < NEAR * small or high - low < 2:
        return None
    goal, start, stop = sqrt(large * small), low + 1, high - 1
    while start < stop:
        middle = (start + stop) // 2
        if _parameters(way.cost(middle)) <= goal:
            stop = middle
        else:
            start = middle + 1
    return stop


def _parameters(cost: Cost) -> int:
    return max(1, cost.parameters)
