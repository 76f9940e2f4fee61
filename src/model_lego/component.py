"""The nouns that people handle: Component, Assembly, their classes, preprocessing and origin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.errors import BadConfig, ShapeMismatch

#: The class of an assembly for images that belong to none of its parts.
NONE_OF_THESE = "none of these"


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network expects of an image scaled to 0..1: its size in pixels and its normalisation."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise BadConfig(f"preprocessing has {len(self.mean)} means but {len(self.std)} standard deviations")
        if any(value <= 0 for value in self.std):
            raise BadConfig(f"preprocessing has a standard deviation that is not positive: {self.std}")

    def __call__(self, images: Tensor) -> Tensor:
        """Resize (bilinear, antialiased) and normalise images, batch x channels x height x width.

        Raises ShapeMismatch for another number of channels than there are means; one mean serves them all.
        """
        if len(self.mean) > 1 and images.shape[1] != len(self.mean):
            raise ShapeMismatch(
                f"images have shape {tuple(images.shape[1:])}, but the preprocessing has {len(self.mean)} means; "
                "give one for each channel"
            )
        if self.size is not None and tuple(images.shape[2:]) != self.size:
            images = F.interpolate(images, size=self.size, mode="bilinear", antialias=True, align_corners=False)
        if self.mean:
            mean = images.new_tensor(self.mean)[:, None, None]
            std = images.new_tensor(self.std)[:, None, None]
            images = (images - mean) / std
        return images


@dataclass(frozen=True, slots=True)
class Builder:
    """How to build the uncut network again: a name from the allow-list and plain arguments.

    `name` is `zoo:NAME`, `torchvision:NAME` or `timm:NAME`; `arguments` are JSON values.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """Size of a network: parameters, multiply-adds for one image, bytes of its tensors."""

    parameters: int
    macs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a component comes from and how it was cut; everything that changes the result is in here."""

    builder: Builder | None
    source_digest: str
    source_classes: tuple[str, ...]
    input_shape: tuple[int, ...]  # channels x height x width, as the network sees it
    kept_outputs: Mapping[str, tuple[int, ...]]  # parameterised layer -> original numbers of its output channels
    kept_inputs: Mapping[str, tuple[int, ...]]  # parameterised layer -> original numbers of its input channels
    attributes: Mapping[str, Mapping[str, int]]  # module path -> attribute -> value after the cut
    settings: Mapping[str, Any]  # thresholds, sampling, seed, repair …: JSON values
    cost_before: Cost
    cost_after: Cost


class Component(nn.Module):
    """A smaller network for some classes of its source; called on images it gives logits in the order of `.classes`.

    `module` is an ordinary module of the source's own class. With a `preprocessing`, images are taken scaled to 0..1;
    without, as the source took them.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        classes: Sequence[str],
        labels: Sequence[int],
        origin: Origin,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.classes = tuple(classes)
        self.labels = tuple(labels)
        self.origin = origin
        self.preprocessing = preprocessing

    def forward(self, images: Tensor) -> Tensor:
        """Give logits, batch x len(classes)."""
        if self.preprocessing is not None:
            images = self.preprocessing(images)
        given = self.module(images)  # in training some networks give auxiliary logits after the main ones
        logits: Tensor = given if isinstance(given, Tensor) else given[0]
        return logits

    def __str__(self) -> str:
        before, after = self.origin.cost_before, self.origin.cost_after
        return (
            f"Component({', '.join(self.classes)}; {after.parameters:,} of {before.parameters:,} parameters, "
            f"{after.macs:,} of {before.macs:,} multiply-adds)"
        )


class Head(nn.Module):
    """What makes an assembly's logits: inputs * scale + shift, or a full matrix (`weight` x inputs + shift).

    The inputs are the joined logits, or, where it `reads` layers (their paths, part by part), the joined features. The
    identity unless something was fitted.
    """

    def __init__(self, kind: str, weight: Tensor, shift: Tensor, *, reads: Sequence[Sequence[str]] = ()) -> None:
        super().__init__()
        self.kind = kind
        self.reads = tuple(tuple(layers) for layers in reads)
        self.register_buffer("weight", weight)  # classes (per-logit factors) or classes x inputs
        self.register_buffer("shift", shift)  # classes

    weight: Tensor
    shift: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        """Map joined logits or features, batch x inputs, to the assembly's logits, batch x classes."""
        if self.weight.dim() == 1:
            return inputs * self.weight + self.shift
        return F.linear(inputs, self.weight, self.shift)

    @staticmethod
    def identity(width: int, *, dtype: torch.dtype = torch.float32) -> "Head":
        """Leave the joined logits as they are."""
        return Head("concat", torch.ones(width, dtype=dtype), torch.zeros(width, dtype=dtype))


class Assembly(nn.Module):
    """A classifier built from components; called on images it gives logits in the order of `.classes`.

    `parallel` keeps the parts side by side, each with its own preprocessing; `padded` holds one dense network of the
    parts' own class in `padded`, and `parts` is empty then.
    """

    def __init__(
        self,
        parts: Sequence[Component],
        *,
        layout: str,
        classes: Sequence[str],
        head: Head,
        padded: Component | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts if padded is None else [])
        self.padded = padded
        self.layout = layout
        self.classes = tuple(classes)
        self.head = head
        self.settings = dict(settings or {})

    def forward(self, images: Tensor) -> Tensor:
        """Give logits, batch x len(classes)."""
        return self.both(images)[0]

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give the assembly's logits and, of the same pass, its parts' own side by side."""
        if self.head.reads:
            features, joined = self.features(images, self.head.reads)
        else:
            features = joined = self.joined(images)
        return self.head(features), joined

    def features(self, images: Tensor, layers: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Give what some layers of each part read, one vector an image, side by side; and the parts' own logits.

        `layers` are paths in each part's module (in `padded`'s for that layout), as in `.head.reads`.
        """
        features, logits = [], []
        for part, paths in zip(self.networks(), layers, strict=True):
            given, heard = run_and_hear(part, [f"module.{path}" for path in paths], images)
            logits.append(given)
            for path, x in heard.items():
                features.append(pooled(x, part.get_submodule(path)))
        return torch.cat(features, 1), torch.cat(logits, 1)

    def networks(self) -> list[Component]:
        """The components that run: the parts, or the one dense network."""
        return [self.padded] if self.padded is not None else list(self.parts)  # type: ignore[arg-type]

    def owned(self) -> list[tuple[str, ...]]:
        """Give the classes of each part; in a padded network these have the part's number in front."""
        if self.padded is None:
            return [part.classes for part in self.networks()]
        pairs = [name.split(".", 1) for name in self.padded.classes]
        return [tuple(name for _, name in group) for _, group in groupby(pairs, key=lambda pair: pair[0])]

    def joined(self, images: Tensor) -> Tensor:
        """Give the parts' own logits side by side, before the head."""
        if self.padded is not None:
            return self.padded(images)  # type: ignore[no-any-return]
        return torch.cat([part(images) for part in self.parts], dim=1)

    def __str__(self) -> str:
        lacks = f"; {self.settings['lacks']}" if "lacks" in self.settings else ""
        return f"Assembly({self.layout}; {', '.join(self.classes)}; head {self.head.kind}{lacks})"


def run_and_hear(module: nn.Module, paths: Sequence[str], images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a module on images: what it gives, and by path what some of its layers are given, in the order of `paths`.

    Layers that are not called are left out. Only calls of the running thread are heard, and nothing stays behind.
    """
    thread, found = get_ident(), {}
    handles = []
    try:
        for path in paths:

            def listen(_: nn.Module, given: tuple[Tensor, ...], path: str = path) -> None:
                if get_ident() == thread and given:
                    found[path] = given[0]

            handles.append(module.get_submodule(path).register_forward_pre_hook(listen))
        logits: Tensor = module(images)
    finally:
        for handle in handles:
            handle.remove()
    return logits, {path: found[path] for path in paths if path in found}


def pooled(x: Tensor, layer: nn.Module) -> Tensor:
    """What a layer is given as one vector an image: a map averaged over its pixels, unless the kernel covers it."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    if weight.dim() == 2:  # linear: channels last
        return x if x.dim() == 2 else x.flatten(1, -2).mean(1)
    return x.flatten(2).mean(2) if weight[0, 0].numel() == 1 else x.flatten(1)
