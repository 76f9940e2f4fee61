"""Networks with weights of a file or with published ones, and what these say of classes and images."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch
from torch import nn

from model_lego.errors import BadConfig, BadWeights, CannotFetch, LegoError
from model_lego.graph.modules import first_line
from model_lego.models.building import built
from model_lego.models.network import Network, Wanted
from model_lego.models.weights import infer_classes, load_weights
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.provenance import UNSAID, Provenance


@dataclass(frozen=True, slots=True)
class Published:
    """What published weights say: how many classes they have, how these are called, and how images are taken.

    `origin` is what they are called, `unsaid` what of it cannot be followed, in words; `whose` are licence and tag.
    """

    origin: str
    classes: int
    class_names: tuple[str, ...] | None
    preprocessing: Preprocessing | None
    unsaid: tuple[str, ...] = ()
    whose: Provenance = UNSAID


@dataclass(frozen=True, slots=True)
class Library:
    """Where published weights come from.

    `published` are those of a name (built with some arguments), None where it has none; raises BadConfig for a name
    that is not there. `fetch` gives the network with them, from the library's cache or the net, and all arguments that
    build it again.
    """

    prefix: str
    build: Callable[[str, dict[str, Any]], nn.Module]
    published: Callable[[str, Mapping[str, Any]], Published | None]
    fetch: Callable[[str, dict[str, Any]], tuple[nn.Module, dict[str, Any]]]


def from_a_file(prefix: str, build: Callable[[str, dict[str, Any]], nn.Module], wanted: Wanted) -> Network:
    """A network with the weights of a file, of as many classes as these have; without a file it is untrained."""
    name, given = f"{prefix}:{wanted.name}", dict(wanted.arguments)
    if wanted.weights is None:
        return Network(built(name, lambda plain: build(wanted.name, plain), given).eval(), Builder(name, given))
    classes = infer_classes(wanted.weights, key=wanted.weights_key)
    if classes is not None:
        given.setdefault("num_classes", classes)
    with torch.random.fork_rng(devices=[]):
        model = built(name, lambda plain: build(wanted.name, plain), given)
    model = load_weights(model, wanted.weights, key=wanted.weights_key)
    return Network(model.eval(), Builder(name, given), trained=True)


def open_published(library: Library, wanted: Wanted) -> Network:
    """A network of a library with the weights that are asked for.

    Those of a file say nothing of classes and images. Where they have as many classes as the published ones of this
    name, they are taken to have the same classes, and to take images in the same way.
    """
    said = library.published(wanted.name, wanted.arguments)
    if wanted.pretrained:
        return _pretrained(library, wanted, said)
    network = from_a_file(library.prefix, library.build, wanted)
    if said is None or wanted.weights is None or network.classes != said.classes:
        return network
    why = f"'{wanted.weights}' has {said.classes:,} classes, as {said.origin}"
    return described(network.model, network.builder, said, why)


def described(model: nn.Module, builder: Builder, said: Published, *notes: str) -> Network:
    """A trained network with all that its weights say."""
    taken = tuple(_taken(said))
    return Network(model.eval(), builder, said.class_names, said.preprocessing, True, (*notes, *taken, *said.unsaid))


def _taken(said: Published) -> Iterator[str]:
    if said.class_names:
        first = "', '".join(said.class_names[:2])
        yield f"class names are those of {said.origin}: '{first}' … ({len(said.class_names):,} in all)"
    if said.preprocessing:
        yield f"images are taken as {said.origin} takes them: {said.preprocessing}"


def _pretrained(library: Library, wanted: Wanted, said: Published | None) -> Network:
    name, given = f"{library.prefix}:{wanted.name}", dict(wanted.arguments)
    if said is None or not said.classes:
        raise BadConfig(f"{name} has no published weights of a classifier; give weights=FILE")
    if given.get("num_classes", said.classes) != said.classes:
        raise BadConfig(
            f"{name} has {said.classes:,} classes in {said.origin}; with num_classes={given['num_classes']} its last "
            "layer would be untrained, whether that was given or is the data's: take its own classes, or give "
            "weights=FILE"
        )
    made: dict[str, Any] = {}

    def fetch(plain: dict[str, Any]) -> nn.Module:
        model, made["arguments"] = library.fetch(wanted.name, plain)
        return model

    with torch.random.fork_rng(devices=[]):
        model = built(name, fetch, given)
    network = described(model, Builder(name, made["arguments"]), said, f"weights are {said.origin}")
    return replace(network, published=said.whose)


@contextmanager
def fetching(what: str, cache: str, variable: str, instead: str = "give weights=FILE") -> Iterator[None]:
    """Say in one line what could not be fetched, where it was looked for, and what helps; raises CannotFetch.

    What is in the `cache`, which the `variable` of the environment names, and cannot be read is a BadWeights. What a
    library says meanwhile goes to stderr, where talk belongs.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (LegoError, TypeError):  # of an argument that a network does not take
        raise
    except Exception as error:  # three libraries, the net and the disk fail in every possible way
        if not _unreachable(error):
            raise BadWeights(
                f"{what} cannot be read: {_reason(error)}; if the file in '{cache}' is damaged, remove it there"
            ) from error
        raise CannotFetch(
            f"{what} cannot be fetched, and are not in the cache '{cache}': {_reason(error)}; connect to the net, "
            f"name another cache by the environment's {variable}, or {instead}"
        ) from error


def _reason(error: Exception) -> str:
    """What a library says, without the advice behind it, which is for those who write code."""
    return first_line(error).partition(". ")[0].rstrip(".")


def _unreachable(error: Exception) -> bool:
    """Whether a library did not get what it asked for, rather than something that it cannot read."""
    if isinstance(error, OSError):
        return True
    try:
        errors: Any = import_module("huggingface_hub.errors")
    except ImportError:
        return False
    return isinstance(error, errors.EntryNotFoundError | errors.HTTPError)


def distinct(names: Sequence[str], marks: Sequence[object] | None = None) -> tuple[str, ...]:
    """Names of which none is another's: those that are there twice get their marks, by default their numbers."""
    times = Counter(names)
    marks = range(len(names)) if marks is None else marks
    return tuple(f"{name} ({mark})" if times[name] > 1 else name for name, mark in zip(names, marks, strict=True))
