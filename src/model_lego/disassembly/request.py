"""What verbs ask of a source: its graph, its classes by number, its batches as it takes them, and its statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from model_lego.attribution import ContributionStats, Sampling, attribute
from model_lego.attribution.statistics import check_owner
from model_lego.cutting.tracing import trace
from model_lego.data.batching import Batches, first_images, prepared
from model_lego.graph import ChannelGraph
from model_lego.graph.modules import first_parameter
from model_lego.parts.class_names import label_numbers, source_names
from model_lego.parts.component import Preprocessing
from model_lego.processes import Group
from model_lego.progress import Progress, quiet


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Some classes of a network, with what is needed to find their channels.

    `feed` are the batches as the network takes them, `example` their first two images; `names` are of all classes.
    """

    model: nn.Module
    graph: ChannelGraph
    names: tuple[str, ...]
    labels: tuple[int, ...]
    feed: Batches
    example: Tensor

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that were asked for."""
        return tuple(self.names[label] for label in self.labels)

    def statistics(
        self,
        given: ContributionStats | None,
        *,
        needed: bool,
        sampling: Sampling = "confident",
        per_class: int | None = None,
        seed: int = 0,
        progress: Progress = quiet,
        group: Group = None,
    ) -> ContributionStats | None:
        """Those that are given, or new ones where they are needed; raises BadConfig for those of another network."""
        if given is not None:
            check_owner(given, self.model)
            return given
        if not needed:
            return None
        return attribute(
            self.model, self.feed, graph=self.graph, classes=self.labels, sampling=sampling, per_class=per_class,
            seed=seed, class_names=self.names, progress=progress, group=group,
        )  # fmt: skip


def ask(
    model: nn.Module,
    batches: Batches,
    classes: Sequence[str | int],
    *,
    class_names: Sequence[str] | None,
    preprocessing: Preprocessing | None,
    graph: ChannelGraph | None,
) -> Asked:
    """Find classes by name or number in a network, which is traced where no graph is given.

    Raises BadBatches, UnknownClass, EmptySelection, RefusedError, UnsupportedOpError, TraceFailed.
    """
    feed = prepared(batches, preprocessing)
    example = first_images(feed)
    graph = graph or trace(model, example.to(first_parameter(model)))
    names = source_names(model, class_names, len(graph.head))
    return Asked(model, graph, names, label_numbers(classes, names), feed, example)


def traced(model: nn.Module, batches: Batches, preprocessing: Preprocessing | None) -> ChannelGraph:
    """The graph of a network, by the first images of batches. Raises as `ask`."""
    return trace(model, first_images(prepared(batches, preprocessing)).to(first_parameter(model)))
