"""What verbs ask of a source: its graph, its classes by number, its batches as it takes them, and its statistics."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from model_lego.attribution import ContributionStats, attribute
from model_lego.attribution.sampling import SampleChoice
from model_lego.attribution.statistics import check_owner
from model_lego.budgets.budget import Budget
from model_lego.budgets.removal_order import refuse_unreachable
from model_lego.budgets.settings import CutOptions, CutSettings, SizeOptions
from model_lego.budgets.trials import Trials, trials
from model_lego.cutting.tracing import keeps_fewer_classes, trace
from model_lego.data.batching import Batches, Drawn, absent, drawn, first_images, prepared, refuse_one_shot
from model_lego.disassembly.timing import rounding, times_of
from model_lego.errors import EmptySelection, RefusedError
from model_lego.graph import ChannelGraph
from model_lego.graph.modules import first_parameter
from model_lego.latency.network_times import NetworkTimes
from model_lego.parts.class_names import Classes, ClassNames, label_numbers, source_names
from model_lego.parts.image_shapes import taken
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.wrappers import unwrapped
from model_lego.processes import Group
from model_lego.progress import Progress, quiet
from model_lego.verdicts.judging import JUDGED


class InputOptions(SizeOptions, total=False):
    """Keyword arguments of every verb that cuts: those about sizes, and what is at hand."""

    calibration: Batches | None  # images for choosing and repair; by default seeded ones of the classes from `batches`
    preprocessing: Preprocessing | None  # with it, images are taken scaled to 0..1 and normalised here
    graph: ChannelGraph | None  # a channel graph of this network, where it is at hand
    stats: ContributionStats | None  # statistics of this network, where they are at hand
    progress: Progress  # called with what is being done
    group: Group  # of torch.distributed; its processes, all of which make this call, share the work


class PlanOptions(CutOptions, InputOptions, total=False):
    """Keyword arguments of `plan` and `disassemble`."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """Some classes of a network, with what is needed to find their channels.

    `batches` are as they were given, `feed` as the network takes them, `example` their first two images; `names` are of
    all classes, `calibration` and `stats` what was given of these.
    """

    model: nn.Module
    graph: ChannelGraph
    names: tuple[str, ...]
    labels: tuple[int, ...]
    settings: CutSettings
    batches: Batches
    feed: Batches
    example: Tensor
    calibration: Batches | None = None
    preprocessing: Preprocessing | None = None
    stats: ContributionStats | None = None
    progress: Progress = quiet
    group: Group = None
    times: NetworkTimes | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that were asked for."""
        return tuple(self.names[label] for label in self.labels)

    def refuse_unreachable(self, budget: Budget) -> None:
        """Refuse a budget that no network cut from this one is within, before any image is read; raises BadConfig."""
        refuse_unreachable(
            self.model,
            self.graph,
            budget,
            classes=self.labels,
            multiple=self.settings.multiple,
            times=self.times,
        )

    def statistics(self) -> ContributionStats | None:
        """Those that are given, or new ones where they are needed; raises BadConfig for those of another network."""
        if self.stats is not None:
            check_owner(self.stats, self.model)
            return self.stats
        if not self.settings.needs_statistics:
            return None
        return attribute(
            self.model,
            self.feed,
            graph=self.graph,
            classes=self.labels,
            class_names=self.names,
            sampling=self.settings.sampling,
            per_class=self.settings.per_class,
            seed=self.settings.seed,
            progress=self.progress,
            group=self.group,
        )

    def trials(self) -> Trials:
        """Calibration images on which components of several sizes are tried; raises EmptySelection."""
        found = trials(
            self.model,
            self.graph,
            self.batches if self.calibration is None else self.calibration,
            classes=self.labels,
            settings=self.settings,
            preprocessing=self.preprocessing,
            progress=self.progress,
            group=self.group,
        )
        tried = replace(found, times=self.times)
        if tried.lacking and self.settings.budget is None:  # a budget of the caller is kept with what there is
            raise EmptySelection(SampleChoice(class_names=self.names).no_samples(tried.lacking))
        alone = len(self.labels) == 1 and self.settings.searches  # a single class is told from the others
        return tried.beside(self.some(self.others, JUDGED).seen) if alone else tried

    @property
    def others(self) -> tuple[int, ...]:
        """The labels of the classes that were not asked for."""
        return tuple(label for label in range(len(self.names)) if label not in self.labels)

    def some(self, labels: Sequence[int], limit: int) -> Drawn:
        """A seeded sample of images of some labels, as the network takes them; empty where there are none."""
        return drawn(
            self.batches,
            labels,
            shape=taken(self.graph.program.image_shape, self.preprocessing),
            labels=len(self.names),
            limit=limit,
            prepare=self.preprocessing,
            seed=self.settings.seed,
            progress=self.progress,
        )


def ask(
    model: nn.Module,
    batches: Batches,
    classes: Classes | None,
    class_names: ClassNames | None,
    settings: CutSettings,
    options: InputOptions,
) -> Request:
    """Find classes by name or number in a network, all of them for None; it is traced where no graph is given.

    Raises BadBatches, UnknownClass, EmptySelection, RefusedError, UnsupportedOpError, TraceFailed.
    """
    model = unwrapped(model)
    settings = settings if options.get("stats") is None else settings.published()
    calibration, preprocessing = options.get("calibration"), options.get("preprocessing")
    feed = prepared(batches, preprocessing)
    if calibration is not None:
        refuse_one_shot(calibration)
    example = first_images(feed)
    graph = options.get("graph") or trace(model, example.to(first_parameter(model)))
    _say_which(graph)
    names = source_names(model, class_names, len(graph.head))
    labels = label_numbers(range(len(names)) if classes is None else classes, names)
    if not keeps_fewer_classes(model, graph, example.to(first_parameter(model)), labels):
        raise RefusedError(
            f"the forward has the number of classes, {len(graph.head)}, written into it, so that only all of them "
            "together can be kept; take that number from the size of a tensor, or `compress`"
        )
    if missing := absent(batches, labels):
        raise EmptySelection(SampleChoice(class_names=names).no_samples(missing))
    times = times_of(model, graph, settings, options.get("progress", quiet), options.get("group"))
    return Request(
        model=model,
        graph=graph,
        names=names,
        labels=labels,
        settings=settings if times is None else rounding(settings, times),
        batches=batches,
        feed=feed,
        example=example,
        calibration=calibration,
        preprocessing=preprocessing,
        stats=options.get("stats"),
        progress=options.get("progress", quiet),
        group=options.get("group"),
        times=times,
    )


def _say_which(graph: ChannelGraph) -> None:
    """Warn where a network gives several values and nothing but their order says which are the logits."""
    if graph.program.taken.endswith("[0]"):
        warnings.warn(
            f"the network gives several values; output{graph.program.taken} is taken as its logits, "
            f"{len(graph.head)} of them",
            stacklevel=4,
        )


def traced(model: nn.Module, batches: Batches, preprocessing: Preprocessing | None) -> ChannelGraph:
    """The graph of a network, by the first images of batches. Raises as `ask`."""
    return trace(model, first_images(prepared(batches, preprocessing)).to(first_parameter(model)))
