"""The networks and the data that rows are measured on, opened once, trained where they are missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model_lego.attribution import ContributionStats, attribute
from model_lego.cutting.tracing import trace
from model_lego.data import DataSplit, batches, open_data
from model_lego.data.batching import prepared
from model_lego.data.citations import CitationGraph, open_citations
from model_lego.data.photo_sets import CACHE
from model_lego.data.sets import Batched, ImageSet, resized, subset
from model_lego.data.union import joined, of_classes
from model_lego.errors import BadConfig
from model_lego.graph import ChannelGraph
from model_lego.models import build_from, load_weights
from model_lego.models.node_classifier import NodeClassifier
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.progress import Progress, quiet
from model_lego.tables.recipe import Materials, SourceRecipe, task
from model_lego.training import TrainingSettings
from model_lego.training.trained_folder import WEIGHTS, TrainingTask, opened, train_into

#: Training images, and test images, that are read at once; small batches spare the CPU's memory.
BATCH, TESTED = 250, 50


@dataclass(frozen=True, eq=False)
class Source:
    """A trained network with the images of its classes, labels being positions in `names`."""

    model: nn.Module
    builder: Builder
    names: tuple[str, ...]
    numbers: tuple[int, ...]  # of its classes in the data set
    split: DataSplit
    preprocessing: Preprocessing
    summed: dict[Any, ContributionStats] = field(default_factory=dict)

    def stats(self, labels: tuple[int, ...], seed: int, **how: Any) -> ContributionStats:
        """Its contributions for some classes, summed once."""
        key = (labels, seed, *sorted(how.items()))
        if key not in self.summed:
            feed = prepared(self.train, self.preprocessing)
            self.summed[key] = attribute(self.model, feed, graph=self.graph, classes=labels, seed=seed, **how)
        return self.summed[key]

    @cached_property
    def graph(self) -> ChannelGraph:
        """Its channels."""
        images, _ = next(iter(prepared(self.train, self.preprocessing)))
        return trace(self.model, images[:2])

    @cached_property
    def train(self) -> Batched:
        """Its training images."""
        return batches(self.split.train, batch_size=BATCH)

    def task(self, classes: str) -> tuple[int, ...]:
        """Label numbers of a task that is written in numbers of the data set; raises BadConfig."""
        wanted = task(classes)
        if strange := [number for number in wanted if number not in self.numbers]:
            raise BadConfig(f"task {classes} has class {strange[0]}, which the network does not know")
        return tuple(self.numbers.index(number) for number in wanted)

    def test(self, labels: Sequence[int], *, others: int, seed: int) -> Batched:
        """All test images of some classes, and `others` of each other class, where that is not 0."""
        every = range(len(self.names))
        if not others:
            return batches(_only(self.split.test, labels), batch_size=TESTED)
        most = [None if label in labels else others for label in every]
        return batches(subset(self.split.test, every, per_class=most, seed=seed), batch_size=TESTED)

    @property
    def common(self) -> dict[str, Any]:
        """What every disassembly of it is given."""
        return {
            "class_names": self.names,
            "preprocessing": self.preprocessing,
            "graph": self.graph,
            "builder": self.builder,
        }


@dataclass(eq=False)
class Bench:
    """Opens what recipes name: data sets, and trained networks in a folder.

    `where` says of data sets, by name, that they lie elsewhere. `kept` is a folder of trained networks that come with
    the results. With `trains`, networks that are in neither folder are trained into the first. Of picture files `cache`
    bytes are kept.
    """

    materials: Materials
    folder: Path
    where: Mapping[str, str] = field(default_factory=dict)
    kept: Path | None = None
    trains: bool = True
    download: bool = False
    cache: int = CACHE
    progress: Progress = quiet
    _splits: dict[str, DataSplit] = field(default_factory=dict)
    _opened: dict[tuple[str, int], Source] = field(default_factory=dict)
    _citations: dict[str, CitationGraph] = field(default_factory=dict)
    _nodes: dict[Any, NodeClassifier] = field(default_factory=dict)

    def split(self, name: str) -> DataSplit:
        """A data set, by the name that recipes use."""
        if name not in self._splits:
            recipe = self.materials.data[name]
            split = open_data(self.where.get(name, recipe.where), download=self.download, cache=self.cache)
            if recipe.per_class is not None:
                every = range(len(split.class_names))
                train = subset(split.train, every, per_class=recipe.per_class, class_names=split.class_names)
                split = DataSplit(train, split.test, split.class_names)
            if recipe.size is not None:
                parts = [resized(part, (recipe.size, recipe.size)) for part in (split.train, split.test)]
                split = DataSplit(parts[0], parts[1], split.class_names)
            self._splits[name] = split
        return self._splits[name]

    def weights(self, name: str, seed: int) -> Path:
        """Where the weights of a trained network are, or would be."""
        recipe = self.materials.sources[name]
        plain = [folder / f"{name}.safetensors" for folder in (self.folder, self.kept) if folder is not None]
        trained = self.folder / _called(name, recipe, seed) / WEIGHTS
        return next((file for file in (plain[0], trained, *plain[1:]) if file.is_file()), trained)

    def missing(self, names: Sequence[str], seed: int) -> list[str]:
        """The trained networks among these that are not there and will not be made."""
        absent = [name for name in dict.fromkeys(names) if not self.weights(name, seed).is_file()]
        return [name for name in absent if not self.trains or self.materials.sources[name].given]

    def source(self, name: str, seed: int) -> Source:
        """A trained network; trains it first where it is missing."""
        recipe = self.materials.sources[name]
        key = (name, seed if recipe.seeded else 0)
        if key not in self._opened:
            split = self.split(recipe.data)
            numbers = task(recipe.classes) if recipe.classes else tuple(range(len(split.class_names)))
            names = tuple(split.class_names[number] for number in numbers)
            file = self.weights(name, seed)
            if not file.is_file():
                self._train(name, recipe, seed, split, names)
            builder = Builder(recipe.network, dict(recipe.arguments) | {"num_classes": len(names)})
            model = load_weights(build_from(builder), file).eval()
            self._opened[key] = Source(
                model=model.to(memory_format=torch.channels_last),  # which its parts inherit: pools run faster so
                builder=builder,
                names=names,
                numbers=numbers,
                split=of_classes(split, names),
                preprocessing=Preprocessing(recipe.mean, recipe.std),
            )
        return self._opened[key]

    def joined(self, names: Sequence[str], classes: Sequence[str]) -> DataSplit:
        """The data sets of some trained networks as one, of it the images of some classes."""
        used = dict.fromkeys(self.materials.sources[name].data for name in names)
        return of_classes(joined([self.split(name) for name in used]), classes)

    def citations(self, name: str) -> CitationGraph:
        """A data set that is a citation graph; raises BadConfig."""
        if name not in self._citations:
            where = self.where.get(name, self.materials.data[name].where)
            self._citations[name] = open_citations(where, download=self.download)
        return self._citations[name]

    def once(self, key: Any, make: Callable[[], NodeClassifier]) -> NodeClassifier:
        """A graph network that several rows are about, made for the first of them."""
        if key not in self._nodes:
            self._nodes[key] = make()
        return self._nodes[key]

    def _train(self, name: str, recipe: SourceRecipe, seed: int, split: DataSplit, names: Sequence[str]) -> None:
        settings = TrainingSettings(**{**recipe.training, "seed": seed if recipe.seeded else 0})
        preprocessing = Preprocessing(recipe.mean, recipe.std)
        task = TrainingTask(recipe.network, names, settings, recipe.arguments, preprocessing)
        train_into(self.folder / _called(name, recipe, seed), split, task, opened(task).model, self.progress)


def _called(name: str, recipe: SourceRecipe, seed: int) -> str:
    return f"{name}-{seed}" if recipe.seeded else name


def _only(images: ImageSet, labels: Sequence[int]) -> ImageSet:
    """The images of some classes, their labels as they were."""
    places = torch.isin(images.labels, torch.tensor(list(labels))).nonzero().reshape(-1)
    return ImageSet(images.labels[places], images.image, images.numbers[places])
