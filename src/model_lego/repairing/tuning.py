"""Tuning: a repaired network comes nearer to its source by gradient steps, on images without labels.

What its layers read is brought to what the source's layers read, at the kept channels, and its answers to the source's.
A part of the images is held out: by them the best state is chosen, of which the first is what the closed form left, so
that no tuned network is further from its source there than it was before.
"""

import math
import time
from collections.abc import Iterator
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from model_lego.cutting.cut import Cut
from model_lego.data.augmentation import cropped, flipped
from model_lego.data.batching import Images, chosen
from model_lego.graph.channels_last import innermost, pays
from model_lego.graph.modules import first_parameter
from model_lego.processes import Group, add_up, place_in
from model_lego.progress import Progress, quiet
from model_lego.repairing.comparing import (
    Hearing,
    Point,
    Squared,
    divergence,
    heard,
    log_ratios,
    moments,
    points_of,
    spread,
)
from model_lego.repairing.holding import taught_bytes
from model_lego.repairing.layerwise import RepairSettings

#: The share of the images that steps are not made on, and the most of them.
HELD, MOST = 5, 256
#: Images of a step, and the part of their shorter side by which they are shifted at most.
BATCH, SHIFT = 16, 8
#: The highest rate of Adam, which falls to nothing along half a cosine, and the steps in which it rises to there.
RATE, RISE = 1e-3, 20
#: How often the held-out images are looked at.
LOOKS = 8
#: What the answers are called beside the names of other values.
ANSWERS = "answers"


def parted(images: Images, seed: int) -> tuple[Images, Images]:
    """Images for the fit and for the steps, and those that are held out from both; of two images one each."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).tolist()
    held = max(1, min(len(images) // HELD, MOST))
    return chosen(images, order[held:]), chosen(images, order[:held])


def tune(
    cut: Cut,
    images: Images,
    held: Images,
    settings: RepairSettings,
    *,
    progress: Progress = quiet,
    group: Group = None,
) -> dict[str, Any]:
    """Bring a repaired network nearer to its source, in place, by steps on images; gives what was done.

    It takes the settings' seconds, or their steps, and leaves the state that was nearest on the `held` images, which
    may be the first. The processes of a `group`, which are given the same images, share those of each step.
    """
    wanted = [(parameter, parameter.requires_grad) for parameter in cut.module.parameters()]
    with torch.enable_grad():
        try:
            for parameter, _ in wanted:
                parameter.requires_grad_(parameter.is_floating_point())
            return _Tuning(cut, images, held, settings, group).run(progress)
        finally:
            for parameter, before in wanted:
                parameter.requires_grad_(before)
                parameter.grad = None


class _Tuning:
    """A tuning as it stands: both networks, their images, the optimiser, the best state so far."""

    def __init__(self, cut: Cut, images: Images, held: Images, settings: RepairSettings, group: Group) -> None:
        self.cut, self.settings, self.group = cut, settings, group
        self.rank, self.count = place_in(group)
        self.start = time.monotonic()
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.images, self.held = images, held
        self.fast = pays(cut.graph.program, cut.source)
        self.at_once = max(1, settings.memory // 2 // taught_bytes(cut.graph.program, cut.program))
        self.points = points_of(cut)
        self.like = first_parameter(cut.source)
        self.spreads = self._measure(images[:BATCH].to(self.like))
        with torch.no_grad():
            self.answers = torch.cat([self._source(some)[0] for some in self._held()])
        self.parameters = [each for each in cut.module.parameters() if each.requires_grad]
        self.optimiser = torch.optim.Adam(self.parameters, lr=RATE)

    def run(self, progress: Progress) -> dict[str, Any]:
        """Make steps until the time is over, and leave the best state; gives what was done."""
        before = best = self._apart()
        state, step, looked, share = self._state(), 0, 0, 0.0
        for batch in self._batches():
            self._step(batch, share, step)
            step += 1
            share = self._share(step)
            progress("tuning", min(99, int(100 * share)) + (share >= 1), 100)
            if share * LOOKS >= looked + 1:
                looked, apart = int(share * LOOKS), self._apart()
                best, state = (apart, self._state()) if apart < best else (best, state)
            if share >= 1:
                break
        with torch.no_grad():
            for parameter, value in zip(self.parameters, state, strict=True):
                parameter.copy_(value)
        return {
            "seconds": round(time.monotonic() - self.start, 1),
            "steps": step,
            "held_out_images": len(self.held),
            "divergence_before": before,
            "divergence": best,
            "gained": best < before,
        }

    def _batches(self) -> Iterator[Tensor]:
        """Images of one step after the other, shifted, half of them mirrored; the same in all processes."""
        while True:
            for places in torch.randperm(len(self.images), generator=self.generator).split(BATCH):
                some = chosen(self.images, places.tolist())[:].to(self.like)
                yield some if some.dim() != 4 else flipped(self._shifted(some), self.generator)

    def _held(self) -> Iterator[Tensor]:
        """The held-out images, as many at a time as have room."""
        for start in range(0, len(self.held), self.at_once):
            yield self.held[start : start + self.at_once].to(self.like)

    def _shifted(self, images: Tensor) -> Tensor:
        return cropped(images, min(images.shape[-2:]) // SHIFT, self.generator)

    def _step(self, batch: Tensor, share: float, step: int) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / RISE) * (1 + math.cos(math.pi * share)) / 2
        self.optimiser.zero_grad()
        mine = batch[self.rank :: self.count]
        for some in mine.split(self.at_once) if len(mine) else ():
            (self._loss(some) * (len(some) / len(batch))).backward()
        if self.group is not None:
            slopes = [torch.zeros_like(each) if each.grad is None else each.grad for each in self.parameters]
            add_up(slopes, self.group)
            for parameter, slope in zip(self.parameters, slopes, strict=True):
                parameter.grad = slope
        self.optimiser.step()

    def _loss(self, images: Tensor) -> Tensor:
        """How far the component's values are from its source's, on average over what its layers read and its answers.

        Each relative to how much it varies. The divergence of the answers takes no part: on a few hundred images it is
        soon learned by heart.
        """
        with torch.no_grad():
            answers, wanted = self._source(images)
        losses = []

        def compare(point: Point, value: Tensor) -> None:
            losses.append(_relative(value, wanted.pop(point.theirs), self.spreads[point.theirs]))

        given = self._own(images, {point.ours: partial(compare, point) for point in self.points})
        losses.append(_relative(given, answers, self.spreads[ANSWERS]))
        return torch.stack(losses).mean()

    @torch.no_grad()
    def _measure(self, images: Tensor) -> dict[str, Tensor]:
        """How much the source's values vary at each point, and its answers."""
        seen: dict[str, list[Tensor]] = {}
        for some in images.split(self.at_once):
            answers, values = self._source(some)
            seen.setdefault(ANSWERS, []).append(moments(answers, 1))
            for point in self.points:
                seen.setdefault(point.theirs, []).append(moments(values[point.theirs], point.dim))
        return {name: spread(torch.stack(each).sum(0)).to(images) for name, each in seen.items()}

    def _source(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The source's answers for the component's classes, and its values at the kept channels of each point."""
        values: dict[str, Tensor] = {}

        def keep(point: Point, value: Tensor) -> None:
            values[point.theirs] = point.of_kept(value)

        hearing = {point.theirs: partial(keep, point) for point in self.points}
        answers = heard(self.cut.graph.program, self.cut.source, self._laid(images), hearing)
        return self._scores(answers[:, list(self.cut.selection.logits)]), values

    def _own(self, images: Tensor, hearing: Hearing = MappingProxyType({})) -> Tensor:
        return self._scores(heard(self.cut.program, self.cut.module, self._laid(images), hearing))

    def _scores(self, answers: Tensor) -> Tensor:
        return log_ratios(answers) if self.cut.graph.normalises else answers

    def _laid(self, images: Tensor) -> Tensor:
        return innermost(images) if self.fast else images

    @torch.no_grad()
    def _apart(self) -> float:
        """How far the component's answers for the held-out images are from its source's."""
        given = torch.cat([self._own(some) for some in self._held()])
        return float(divergence(given.double(), self.answers.double()))

    def _share(self, step: int) -> float:
        """How much of the tuning is done, from 0 to 1; all processes agree."""
        if self.settings.steps is not None:
            return step / self.settings.steps
        spent = torch.tensor(time.monotonic() - self.start, dtype=torch.float64)
        add_up([spent], self.group)
        return min(1.0, float(spent) / self.count / self.settings.seconds)

    def _state(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self.parameters]


def _relative(value: Tensor, wanted: Tensor, variance: Tensor) -> Tensor:
    squared: Tensor = Squared.apply(value - wanted)
    return squared / (wanted.numel() * variance)
