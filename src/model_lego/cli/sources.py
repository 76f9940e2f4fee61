"""What the words on a command line stand for: a source with its data, classes, preprocessing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from model_lego.class_surgery.restricting import from_the_source_on
from model_lego.cli.network_classes import asked_classes, in_classes, source_classes
from model_lego.cli.networks import is_folder, open_named, parse_arguments, preprocessing_for, refuse_said
from model_lego.cli.options import DataOptions, LoadingOptions, SourceOptions
from model_lego.cutting.canonizing import can_be_plain, canonize
from model_lego.cutting.tracing import trace
from model_lego.data import DataSplit, batches, open_data
from model_lego.data.batching import checked
from model_lego.data.class_matching import match_classes
from model_lego.data.matched import matched
from model_lego.data.sets import Batched, subset
from model_lego.errors import BadConfig, EmptySelection
from model_lego.graph import ChannelGraph
from model_lego.graph.modules import first_parameter
from model_lego.models.registry import suggested
from model_lego.parts.assembly import Assembly, leaves, told_classes
from model_lego.parts.class_names import label_numbers, spelled, spoken
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import common_preprocessing, taken, taken_by
from model_lego.parts.origin import OWN_CODE, Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.provenance import UNSAID, Provenance
from model_lego.pictures.left_out import first
from model_lego.store.loading import load
from model_lego.store.located import located


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A network with its data, in the network's own label numbers."""

    model: nn.Module
    graph: ChannelGraph
    builder: Builder | None
    class_names: tuple[str, ...]
    preprocessing: Preprocessing | None
    train: Batched
    test: Batched
    part: Component | None = None  # whose module it is
    published: Provenance = UNSAID  # what is said of its weights

    @property
    def present(self) -> list[str]:
        """The classes that have training images."""
        return [self.class_names[label] for label in self.train.images.labels.unique().tolist()]

    def asked(self, texts: Sequence[str] | None) -> list[str | int]:
        """Classes as they are written, by default all that have images; raises UnknownClass, BadConfig."""
        return asked_classes(texts, self.class_names, self.present)

    def weights_of(self, licence: str | None) -> Provenance:
        """What is said of its weights, with a licence that is given in the place of the publisher's."""
        return self.published if licence is None else replace(self.published, licences=(licence,))

    def as_saved(self, component: Component) -> Component:
        """A component that was cut from it as it is saved: one of a part is of the part's own source."""
        return component if self.part is None else from_the_source_on(self.part, self.graph, component)


def open_source(
    model: str, data: DataOptions, options: SourceOptions, batch_size: int, *, like: Preprocessing | None = None
) -> Source:
    """Open a network, or a saved component as one, and its data; raises LegoError.

    `like` is how it takes its images where the options do not say.
    """
    if is_folder(model):
        return _of_part(model, data, options, batch_size)
    opened = open_named(model, options)
    preprocessing = preprocessing_for(options, opened, like)
    split = read_data(data, preprocessing=preprocessing)
    named = source_classes(options.source_classes, split.class_names) or opened.class_names
    if opened.classes is not None:  # what is wrong with names is said before anything is run
        split = in_classes(split, opened.classes, named, options.class_map)
    network, graph = _opened(opened.model, batches(split.train, batch_size=batch_size), preprocessing)
    if opened.classes is None:
        split = in_classes(split, len(graph.head), named, options.class_map)
    train, test = (batches(images, batch_size=batch_size) for images in (split.train, split.test))
    _check_taken(test, graph, preprocessing)
    return Source(
        model=network,
        graph=graph,
        builder=opened.builder,
        class_names=split.class_names,
        preprocessing=preprocessing,
        train=train,
        test=test,
        published=opened.published,
    )


def _of_part(folder: str, data: DataOptions, options: SourceOptions, batch_size: int) -> Source:
    """A saved component as a source: its module, classes and preprocessing."""
    refuse_said(folder, options)
    part = open_component(folder, options)
    split = part_data([part], data, part.classes, options.class_map)
    train, test = (batches(images, batch_size=batch_size) for images in (split.train, split.test))
    network, graph = _opened(part.module, train, part.preprocessing)
    _check_taken(test, graph, part.preprocessing)
    return Source(network, graph, part.origin.builder, part.classes, part.preprocessing, train, test, part)


def _check_taken(test: Batched, graph: ChannelGraph, preprocessing: Preprocessing | None) -> None:
    """Refuse test images that a network does not take, where there are any."""
    for _ in checked(test.few(2), shape=taken(graph.program.image_shape, preprocessing)) if len(test) else ():
        return


def check_measured(data: DataOptions, test: Batched, names: Sequence[str], labels: Iterable[int] | None = None) -> None:
    """Refuse test images of which none has one of the labels (by default all), before work begins.

    Raises EmptySelection.
    """
    asked = list(range(len(names)) if labels is None else labels)
    if len(test.absent(asked)) == len(asked):
        raise EmptySelection(
            f"'{data.data}' has no test image of {first([names[label] for label in asked])}, and without any "
            "nothing can be measured; give it some (in test/CLASS, or rows of split test), or where it has no "
            "such part at least two images of a class, one of which is then measured"
        )


def _opened(network: nn.Module, train: Batched, preprocessing: Preprocessing | None) -> tuple[nn.Module, ChannelGraph]:
    """A network and its graph; what `canonize` makes plain is made so, since it could not be cut."""
    images, _ = next(checked(train))
    example = (images[:2] if preprocessing is None else preprocessing(images[:2])).to(first_parameter(network))
    graph = trace(network, example)
    if not can_be_plain(network, graph):
        return network, graph
    plain = canonize(network, example)
    return plain, trace(plain, example)


def open_part(folder: str, options: LoadingOptions, *, source: str | None = None) -> Any:
    """Load a saved component or assembly; raises LegoError.

    A `source` that is the user's own code is named in the call already, and builds the network of the part as well.
    """
    if not located(folder).is_dir():
        hint = "; a network by its name is taken apart with `disassemble` first" if ":" in folder else suggested(folder)
        raise BadConfig(f"'{folder}' is no folder of a saved component or assembly{hint}")
    names = options.uncut or ([source] if source is not None and source.startswith(OWN_CODE) else [])
    arguments = parse_arguments(options.argument) if names else None  # else they are those of a network by name
    return load(folder, model=names, arguments=arguments)


def open_component(folder: str, options: LoadingOptions, *, source: str | None = None) -> Component:
    """Load a saved component as `open_part` does; raises LegoError."""
    part = open_part(folder, options, source=source)
    if not isinstance(part, Component):
        raise BadConfig(
            f"'{folder}' holds an assembly, and here one network is needed: name a component of it. "
            "Assemblies go into the commands remove (takes classes out), report (shows the routes of their parts) and "
            "distill (makes one network of them)"
        )
    return part


def read_data(
    data: DataOptions,
    *,
    download: bool = False,
    preprocessing: Preprocessing | None = None,
    channels: int | None = None,
) -> DataSplit:
    """Open data as a command line names it; raises as `open_data`."""
    return open_data(
        data.data, download=download, preprocessing=preprocessing, channels=channels, cache=data.cache << 20
    )


def open_data_for(parts: Sequence[Component | Assembly], data: DataOptions) -> DataSplit:
    """Data whose picture files come in the size and the colours that some parts take."""
    return read_data(data, preprocessing=common_preprocessing(*parts), channels=taken_by(*parts)[0])


def data_for(
    parts: Sequence[Component | Assembly],
    data: DataOptions,
    names: Sequence[str],
    batch_size: int,
    *,
    class_map: str | None = None,
    per_class: int | None = None,
    seed: int = 0,
) -> tuple[Batched, Batched]:
    """Training batches of all the named classes for some parts, and test batches; labels are positions of the names."""
    split = part_data(parts, data, names, class_map)
    train = subset(split.train, range(len(names)), per_class=per_class, seed=seed, class_names=names)
    return batches(train, batch_size=batch_size), batches(split.test, batch_size=batch_size)


def part_data(
    parts: Sequence[Component | Assembly],
    data: DataOptions,
    names: Sequence[str],
    class_map: str | None,
    *,
    more: bool = False,
) -> DataSplit:
    """Data in the named classes of some parts; with `more` the data's other classes come behind them.

    Numbers are those of the parts' sources. Raises LegoError.
    """
    split = open_data_for(parts, data)
    return matched(split, names, class_map=class_map, sources=_sources(parts), more=more)


def _sources(parts: Sequence[Component | Assembly]) -> list[tuple[str, ...]]:
    """The classes of the parts' sources, whose numbers count."""
    return [each.origin.source_classes for each in leaves(*parts)]


def names_in(part: Component | Assembly, data: DataOptions, class_map: str | None = None) -> list[str]:
    """What images of a part's classes are labelled by in some data: each class, or the members of a group."""
    aliases = part.aliases() if isinstance(part, Assembly) else {}
    return told_in(data, [part], told_classes(part), aliases, class_map)


def told_in(
    data: DataOptions,
    parts: Sequence[Component | Assembly],
    classes: Sequence[str],
    aliases: Mapping[str, str],
    class_map: str | None = None,
) -> list[str]:
    """The same for classes of parts and what counts as them; a class that the data does not have stays in."""
    every = spoken(classes, aliases)
    if not aliases:
        return every
    words = read_data(data).class_names
    matching = match_classes(words, every, class_map=class_map, sources=_sources(parts), more=True)
    present = {matching.names[place] for place in matching.places if place >= 0}
    there = {aliases.get(name, name) for name in every if name in present}
    return [name for name in every if name in present or (name in classes and name not in there)]


def of_data(texts: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """Classes of the data as they are written, all by default; raises UnknownClass, BadConfig."""
    if not texts:
        return tuple(known)
    return tuple(known[label] for label in label_numbers(spelled(texts, known), known, owner="data"))
