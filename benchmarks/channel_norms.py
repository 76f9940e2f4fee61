"""Cuts through norms over channels: repairs of a small ConvNeXt, and norms that predict what was removed.

It is trained here on digits, in a minute. Networks within budgets of multiply-adds are compared with their source on
images that neither saw: their accuracy, and how far their logits are from the source's, in parts of these.

"Predicted" norms take mean and mean square of all channels, as the source has them, by a linear map from the kept ones
(their squares for the mean square): what a norm could know at best without the removed channels.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

import model_lego as ml
from benchmarks.common import record
from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import selection_of
from model_lego.cutting.verification import cut_of
from model_lego.data.digits import open_digits
from model_lego.data.sets import ImageSet, batches
from model_lego.disassembly.disassembling import Plan, cut
from model_lego.graph import select
from model_lego.graph.program import Runner

EPOCHS, BATCH, CALIBRATION = 12, 64, 500
SHARES = (0.7, 0.5, 0.3)
Images = tuple[Tensor, Tensor]


def main() -> None:
    """Run the benchmark and record what comes out."""
    torch.manual_seed(0)
    data = open_digits()
    train, test = _all(data.train), _all(data.test)
    source = trained(*train)
    some = (train[0][:CALIBRATION], train[1][:CALIBRATION])
    found: dict[str, Any] = {"source": figures(source(test[0]), source(test[0]), test[1])}
    for cutting in (within, by_chance):
        for share in SHARES:
            name = f"{share} {cutting.__name__}"
            found[name] = dict(measured(source, cutting(source, share, train), some, test))
            print(name, found[name], flush=True)
    record("channel_norms", found)


def _all(images: ImageSet) -> Images:
    ((x, y),) = batches(images, batch_size=len(images))
    return x.expand(-1, 3, -1, -1).contiguous(), y


def trained(x: Tensor, y: Tensor) -> nn.Module:
    """A ConvNeXt of two stages, trained on digits."""
    model: nn.Module = ConvNeXt([CNBlockConfig(24, 48, 2), CNBlockConfig(48, None, 2)], layer_scale=0.1, num_classes=10)
    steps = EPOCHS * (len(x) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x))[: len(x) // BATCH * BATCH].split(BATCH):
            optimiser.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimiser.step()
            schedule.step()
    model.eval().requires_grad_(False)
    return model


def within(source: nn.Module, share: float, train: Images) -> ml.Component:
    """A network within a budget of multiply-adds, not repaired."""
    return ml.compress(source, [train], ml.Budget(macs=share), repair="none")


def by_chance(source: nn.Module, share: float, train: Images) -> ml.Component:
    """A share of the channels of each group, streams too, drawn by chance: where a budget would not cut."""
    graph, generator = ml.trace(source, train[0][:2]), torch.Generator().manual_seed(0)
    wanted = torch.zeros(graph.width, dtype=torch.bool)
    for group in graph.groups:
        order = torch.randperm(len(group.channels), generator=generator)
        wanted[group.channels[order[: round(share * len(order))]]] = True
    names = tuple(map(str, range(10)))
    selection = select(graph, wanted, logits=range(10))
    return cut(source, Plan(graph, None, selection, names, tuple(range(10)), names, {}, train[0][:2]))


def measured(
    source: nn.Module, bare: ml.Component, some: Images, test: Images
) -> Iterator[tuple[str, dict[str, float]]]:
    """How near a cut network is to its source, by how it was repaired."""
    wanted, graph = source(test[0]), ml.trace(source, test[0][:2])
    yield "none", figures(bare(test[0]), wanted, test[1])
    made = cut_of(bare.module, source, graph, selection_of(bare, graph), test[0][:2])
    yield "none, predicted norms", figures(Predicting(made, some[0]).logits(test[0]), wanted, test[1])
    for method in ("mean", "ridge"):
        mended = ml.repair(bare, source, [some], method=method, graph=graph)
        yield method, figures(mended(test[0]), wanted, test[1])


def figures(logits: Tensor, wanted: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy in per cent, and the distance to the wanted logits."""
    right = 100 * float((logits.argmax(1) == labels).float().mean())
    return {"accuracy": round(right, 1), "apart": round(float((logits - wanted).norm() / wanted.norm()), 3)}


class Predicting:
    """A cut network whose norms predict the mean and the mean square of all channels of its source."""

    def __init__(self, cut: Cut, images: Tensor) -> None:
        self.cut, self.maps = cut, dict[str, tuple[Tensor, Tensor]]()
        self.statistics = {each.node: each for each in cut.graph.statistics}
        cut.graph.program.run(cut.source, images, self._fit)

    def _fit(self, node: fx.Node, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Hear what a norm of the source reads, and fit its maps."""
        if (each := self.statistics.get(node.name)) is not None:
            x = args[0].movedim(each.dim, -1).double().flatten(0, -2)
            kept = x[:, self.cut.selection.keep[each.channels]]
            self.maps[node.name] = (_least(kept, x.mean(1)), _least(kept**2, (x**2).mean(1)))
        return args

    def logits(self, images: Tensor) -> Tensor:
        """What it says of images."""
        return self.cut.program.run_by(_Predicted(self), self.cut.module, images)


class _Predicted(Runner):
    def __init__(self, norms: Predicting) -> None:
        super().__init__(norms.cut.program.module, None)
        self.norms = norms

    def run_node(self, n: fx.Node) -> Any:
        if n.name not in self.norms.maps:
            return super().run_node(n)
        (x, _, weight, bias, eps, *_), _ = self.fetch_args_kwargs_from_env(n)  # of a layer norm: channels last
        mean, square = (
            _given(one, of) for one, of in zip(self.norms.maps[n.name], (x.double(), x.double() ** 2), strict=True)
        )
        variance = (square - mean**2).clamp(min=0)
        return ((x - mean) / (variance + eps).sqrt()).to(x.dtype) * weight + bias


def _least(x: Tensor, y: Tensor) -> Tensor:
    """Weights and intercept of the best linear map."""
    found: Tensor = torch.linalg.lstsq(F.pad(x, (0, 1), value=1.0), y[:, None]).solution
    return found


def _given(weights: Tensor, x: Tensor) -> Tensor:
    return F.pad(x, (0, 1), value=1.0) @ weights


if __name__ == "__main__":
    main()
