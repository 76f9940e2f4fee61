"""Components of several sizes, tried: cut, repaired, and measured beside their source on images that neither saw."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import torch
from torch import Tensor, nn

from model_lego.budgets.settings import CutSettings
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.verification import cut_of
from model_lego.data.batching import Batches, Images, chosen, drawn, together
from model_lego.digest import packed
from model_lego.errors import EmptySelection
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.graph.modules import first_parameter
from model_lego.graph.selection import keeps_all
from model_lego.latency.network_times import NetworkTimes
from model_lego.parts.image_shapes import taken
from model_lego.parts.logits import main_logits
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.verdict import SOURCE, Verdict
from model_lego.processes import Group
from model_lego.progress import Progress, quiet
from model_lego.repairing.refitting import CALIBRATION, repair_cut
from model_lego.verdicts.judging import Basis, compared
from model_lego.verdicts.metrics import LEVEL, believed_losses, exchanged_losses, mean_and_error

#: Images that a trial is repaired with; the component itself gets all.
TRIED = 500
#: The part of the images that is held out where a size is searched for, since repairs need images more than answers do.
HELD = 3
#: How many times as much new images lose as held-out ones tell: the source has mostly learnt these and answers them
#: more surely, and the search takes the smallest of several sizes.
ON_NEW_IMAGES = 2.0
#: Standard errors of what is lost at most, and of an interval with both ends.
SURE, TWO_SIDED = NormalDist().inv_cdf(LEVEL), NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Trial:
    """A component of one size: its verdict, the points that it is expected to lose, and those that it loses at most.

    Expected is what the source's own probabilities tell, of a single class the area under the ROC curve. At most is
    the largest of what labels tell, and ON_NEW_IMAGES times what those probabilities tell, and the upper end of what
    labels tell where errors are exchanged between the images of a class (one-sided, 95 %); of a single class that of
    the area.
    """

    verdict: Verdict
    expected: float
    at_most: float


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """A network and images of some classes, on which components of several sizes are tried.

    `images` are those that channels are chosen by and repairs fitted to; `held` those that are measured, whose places
    in `classes` are `answers`, -1 for the other classes that a single class is told from; `digests` tells both.
    `lacking` are classes without any image, where all images were taken; `times` tell what the network takes on a
    device, where one is named.
    """

    model: nn.Module
    graph: ChannelGraph
    classes: tuple[int, ...]
    images: Images
    held: Images
    answers: Tensor
    digests: str
    settings: CutSettings
    lacking: tuple[int, ...] = ()
    progress: Progress = quiet
    group: Group = None
    times: NetworkTimes | None = None

    @property
    def measured(self) -> int:
        """How many held-out images are of the classes."""
        return int((self.answers >= 0).sum())

    @property
    def tells(self) -> bool:
        """Whether the held-out images can tell what is lost: for a single class it takes some of others."""
        return len(self.classes) > 1 or bool((self.answers < 0).any())

    def beside(self, others: Images) -> "Trials":
        """The same with images of other classes among those that are held out."""
        strange = torch.full((len(others),), -1, dtype=self.answers.dtype)
        held = together(self.held, others) if len(others) else self.held
        return replace(self, held=held, answers=torch.cat([self.answers, strange]))

    def restricted(self) -> float:
        """Accuracy in % of the source over the classes, on the held-out images."""
        return self._right(self.source_logits())

    def accuracy(self, selection: ChannelSelection) -> float:
        """Accuracy in % of the source cut and repaired, on the held-out images."""
        return self._right(self._logits(self._cut(selection), list(range(len(self.classes)))))

    def source_logits(self) -> Tensor:
        """What the source gives for the classes, held-out images x classes."""
        return self._logits(self.model, list(self.classes))

    def trial(self, selection: ChannelSelection, source_logits: Tensor) -> Trial:
        """The source cut and repaired beside itself on the held-out images, which tell (`tells`)."""
        mine = self._logits(self._cut(selection), list(range(len(self.classes))))
        verdict = compared(mine, source_logits, self.answers, Basis("cut", SOURCE, held_out=True))
        assert verdict is not None
        if len(self.classes) == 1:
            low, high = verdict.interval
            return Trial(verdict, verdict.lost, verdict.lost + SURE * (high - low) / (2 * TWO_SIDED))
        expected, _ = mean_and_error(believed_losses(source_logits, mine))
        exchanged, error = mean_and_error(exchanged_losses(source_logits, mine, self.answers))
        return Trial(verdict, expected, max(verdict.lost, ON_NEW_IMAGES * max(expected, exchanged + SURE * error)))

    def _cut(self, selection: ChannelSelection) -> nn.Module:
        module = slice_model(self.model, self.graph, selection).module.eval()
        if self.settings.repairing.method != "none" and not keeps_all(self.graph, selection):
            images = chosen(self.images, range(min(TRIED, len(self.images))))
            cut = cut_of(module, self.model, self.graph, selection, images[:2].to(first_parameter(self.model)))
            repair_cut(cut, images, self.settings.repairing.training_free, group=self.group)
        return module

    def _right(self, logits: Tensor) -> float:
        return 100 * float((logits.argmax(1) == self.answers).double().mean())

    @torch.no_grad()
    def _logits(self, module: nn.Module, columns: list[int]) -> Tensor:
        if not len(self.held):
            raise EmptySelection("there is no calibration image to measure with; give at least two")
        program, chunk, like = self.graph.program, self.settings.repairing.chunk, first_parameter(self.model)
        logits = []
        for start in range(0, len(self.held), chunk):
            some = self.held[start : start + chunk].to(like)
            output = program.run(module, some) if module is self.model else module(some)
            logits.append(main_logits(output)[:, columns].double().cpu())
        return torch.cat(logits)


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
    """Draw a seeded sample of images of the classes and hold half of it out, or a third where a size is searched for.

    Raises EmptySelection, BadBatches, ShapeMismatch.
    """
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
    if not len(sample.labels):
        raise EmptySelection("there is no calibration image of the classes; a budget is met by looking at some")
    count = len(sample.labels)
    seen = min(CALIBRATION, count - count // HELD) if settings.searches else (count + 1) // 2
    # of one or two images all are measured: they are too few to tell, so that none is fitted to
    first = seen if count // HELD or not settings.searches else 0
    return Trials(
        model=model,
        graph=graph,
        classes=tuple(classes),
        images=sample.at(range(seen)).seen,
        held=sample.at(range(first, count)).seen,
        answers=(sample.labels[first:, None] == torch.tensor(list(classes))).int().argmax(1),
        digests=packed(sample.digests),
        settings=settings,
        lacking=tuple(sorted(set(classes) - set(sample.labels.tolist()))) if count < 2 * CALIBRATION else (),
        progress=progress,
        group=group,
    )
