"""Contributions of every layer, summed over the samples of each class: what `attribute` gives."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model_lego.attribution.sampling import Sampling
from model_lego.digest import digest_of
from model_lego.errors import BadConfig, UnknownClass


@dataclass(frozen=True, slots=True, eq=False)
class LayerStats:
    """Sums over the samples of each class of s+ (equation 3), for one layer.

    For each class either `sums` (in_channels x out_channels/groups), or, where a layer reads one number a channel, two
    vectors of in_channels that give them: s+ = relu(weight) * positive + relu(-weight) * negative.
    """

    inputs: int  # number of input channels
    outputs: int
    groups: int
    sums: tuple[Tensor, ...] | None
    positive: tuple[Tensor, ...] | None
    negative: tuple[Tensor, ...] | None
    weight: Tensor | None  # in_channels x out_channels/groups

    def summed(self, place: int) -> Tensor:
        """s+ of one class, summed over its samples: out_channels x in_channels/groups, float64."""
        outputs = torch.ones(self.outputs // self.groups, dtype=torch.bool)
        return torch.cat([self.rows(place, group, outputs) for group in range(self.groups)])

    def rows(self, place: int, group: int, outputs: Tensor) -> Tensor:
        """s+ of one class, summed over its samples, for some outputs (bool) of one group: outputs x in_channels/groups.

        A classifier's first matrix may have 10^8 entries, of which location needs few rows.
        """
        width = self.inputs // self.groups
        inputs = slice(group * width, (group + 1) * width)
        if self.sums is not None:
            return self.sums[place][inputs][:, outputs].T
        assert self.positive is not None
        assert self.negative is not None
        assert self.weight is not None
        weight = self.weight[inputs][:, outputs].T.double()
        s = weight.clamp(min=0).mul_(self.positive[place][inputs])
        return s.addcmul_(weight.clamp_(max=0), self.negative[place][inputs], value=-1)


@dataclass(frozen=True, slots=True, eq=False)
class ContributionStats:
    """Contributions of all layers for some classes (label numbers of the source), with how they were sampled.

    `source` is the digest of the network that they were taken from.
    """

    classes: tuple[int, ...]
    counts: tuple[int, ...]  # samples a class
    layers: Mapping[str, LayerStats]
    sampling: Sampling
    source: str
    fallbacks: tuple[int, ...] = ()

    def mean(self, layer: str, label: int) -> Tensor:
        """s+ of one class, averaged over its samples: out_channels x in_channels/groups, float64 (Eq. 3)."""
        place = self._place(label)
        return self.layers[layer].summed(place) / self.counts[place]

    def mean_rows(self, layer: str, label: int, group: int, outputs: Tensor) -> Tensor:
        """The same for some outputs (bool) of one group only: outputs x in_channels/groups."""
        place = self._place(label)
        return self.layers[layer].rows(place, group, outputs) / self.counts[place]

    def _place(self, label: int) -> int:
        if label not in self.classes:
            raise UnknownClass(f"class {label} is not in the statistics, which have {list(self.classes)}")
        return self.classes.index(label)

    def __str__(self) -> str:
        return (
            f"ContributionStats({len(self.layers)} layers, classes {list(self.classes)}, samples {list(self.counts)})"
        )


def check_owner(stats: ContributionStats, model: nn.Module) -> None:
    """Raise BadConfig for statistics of another network."""
    if stats.source != digest_of(model):
        raise BadConfig("the statistics were taken from another network; take them from this one, or leave them out")
