"""The nouns of opening a network by its name: what is asked for, what is given, and the kinds of names there are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.provenance import UNSAID, Provenance


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network that was opened by its name, in eval mode, and what its weights say of it.

    `class_names` are those of its logits and `preprocessing` is how it takes its images, each None where that is not
    known. `trained` is False for random weights. `notes` say in words what was taken from where. `logits` are as many
    as it gave for a trial image, where there was one. `published` are licence and tag of published weights.
    """

    model: nn.Module
    builder: Builder
    class_names: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    trained: bool = False
    notes: tuple[str, ...] = ()
    logits: int | None = None
    published: Provenance = UNSAID

    @property
    def classes(self) -> int | None:
        """How many classes it has, where that is known."""
        known = self.builder.arguments.get("num_classes") if self.logits is None else self.logits
        return len(self.class_names) if self.class_names else known


@dataclass(frozen=True, slots=True)
class Wanted:
    """A network as it is asked for; `name` is what stands behind the colon."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    pretrained: bool = False
    weights: str | Path | None = None
    weights_key: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """Networks whose names begin alike, `KIND:`.

    `names` are those that a message may suggest. `build` makes the untrained network of a name and plain arguments, as
    a manifest holds them: it fetches nothing and runs no code but the library's own. `image_shape` is what it was made
    for (channels x height x width). `open` gives what a user asks for.
    """

    form: str
    names: Callable[[], Sequence[str]]
    build: Callable[[str, dict[str, Any]], nn.Module]
    image_shape: Callable[[Builder, nn.Module], tuple[int, int, int]]
    open: Callable[[Wanted], Network]
