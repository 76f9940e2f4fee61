"""The noun Assembly: components side by side or as one dense network, and the head behind them."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.parts.component import Component
from model_lego.parts.layer_inputs import pooled, run_and_hear

#: The class of an assembly for images that belong to none of its parts.
NONE_OF_THESE = "none of these"


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
