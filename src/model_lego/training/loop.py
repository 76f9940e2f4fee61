"""The training loop: from a seed to the same network, also when it is interrupted."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from model_lego.data.augmentation import cropped, flipped
from model_lego.errors import BadConfig, TrainingFailed
from model_lego.graph.modules import device_of
from model_lego.progress import Progress, quiet
from model_lego.store.outputs import bytes_of, check_file, check_room, writing
from model_lego.training.accelerator import engine
from model_lego.training.examples import Examples, steps
from model_lego.training.settings import TrainingSettings

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True, slots=True, eq=False)
class Goal:
    """What is trained, and towards what.

    `loss` takes the network (compiled where that is asked for), images as `prepare` left them, and labels. A checkpoint
    has to agree in `identity`. `others` are networks that `loss` needs, on the same device.
    """

    network: nn.Module
    loss: Callable[[Callable[[Tensor], Any], Tensor, Tensor], Tensor]
    prepare: Callable[[Tensor], Tensor] | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[nn.Module, ...] = ()


def fit(
    goal: Goal,
    examples: Examples,
    settings: TrainingSettings,
    *,
    checkpoint: Path | None = None,
    what: str = "training",
    progress: Progress = quiet,
) -> None:
    """Train a goal's network in place and leave it in eval mode, on the device that it came from.

    With a `checkpoint` file its state is kept there after every epoch, and taken up from there if the file exists.
    Order, augmentation and dropout come from the settings' seed; the global random state is left alone. Raises
    BadConfig (the checkpoint is of another training, nothing can be trained), CannotWrite, TrainingFailed.
    """
    if checkpoint is not None:  # the state of the optimizer and averaged weights are as large as the network, each
        check_file(checkpoint)
        check_room(checkpoint, (2 + bool(settings.ema)) * bytes_of(goal.network))
    with engine(settings.amp) as accelerator, _moved((goal.network, *goal.others), accelerator.device):
        run = _Run(goal, examples, settings, accelerator)
        first = run.resume(checkpoint) if checkpoint is not None and checkpoint.exists() else 0
        for epoch in range(first, settings.epochs):
            run.epoch(epoch, what, progress)
            if checkpoint is not None:
                run.keep(checkpoint, epoch + 1)
        run.finish()


class _Run:
    """A training as it stands: network, optimiser, schedule, averaged weights."""

    def __init__(self, goal: Goal, examples: Examples, settings: TrainingSettings, accelerator: "Accelerator") -> None:
        self.goal, self.examples, self.settings, self.accelerator = goal, examples, settings, accelerator
        self.network = goal.network
        self.format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.network.to(memory_format=self.format)
        self.dtype = next((p.dtype for p in self.network.parameters()), torch.float32)
        self.call: Any = torch.compile(self.network) if settings.compile else self.network
        self.steps = steps(len(examples), settings.batch_size)
        optimizer = _optimizer(self.network, settings)
        schedule = _schedule(optimizer, settings, settings.epochs * self.steps)
        self.optimizer, self.schedule = accelerator.prepare(optimizer, schedule)
        average = get_ema_multi_avg_fn(settings.ema)
        self.ema = AveragedModel(self.network, multi_avg_fn=average, use_buffers=True) if settings.ema else None

    def epoch(self, number: int, what: str, progress: Progress) -> None:
        """Train one epoch; what is random in it comes from the seed and its number alone."""
        self.network.train()
        seed = self.settings.seed * 1_000_003 + number
        generator = torch.Generator().manual_seed(seed)
        device = self.accelerator.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)  # dropout draws from the global state
            for step, (x, labels) in enumerate(self._batches(generator)):
                self._step(x, labels, number)
                progress(what, number * self.steps + step + 1, self.settings.epochs * self.steps)

    def _step(self, x: Tensor, labels: Tensor, epoch: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with self.accelerator.autocast():
            loss = self.goal.loss(self.call, x, labels)
        if not bool(torch.isfinite(loss)):
            raise TrainingFailed(f"the loss is {loss.item()} in epoch {epoch + 1}; use a lower learning rate")
        self.accelerator.backward(loss)
        if self.settings.clip:
            self.accelerator.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimizer.step()
        self.schedule.step()
        if self.ema is not None:
            self.ema.update_parameters(self.network)

    def _batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        device = self.accelerator.device
        for x, labels in self.examples.drawn(self.settings.batch_size, generator):
            x = x.to(self.dtype)
            x = cropped(x, self.settings.crop, generator) if self.settings.crop else x
            x = flipped(x, generator) if self.settings.flip else x
            x = x if self.goal.prepare is None else self.goal.prepare(x)
            yield x.to(device, memory_format=self.format), labels.to(device)

    def _state(self) -> dict[str, Any]:
        scaler = self.accelerator.scaler
        return {
            "settings": asdict(self.settings) | {"images": len(self.examples)} | dict(self.goal.identity),
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def keep(self, path: Path, epochs: int) -> None:
        """Write the checkpoint, whole or not at all."""
        with writing(path, RuntimeError):  # which is what torch says of a full disk
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f"{path.name}.part")
            torch.save(self._state() | {"epochs": epochs}, fresh)
            fresh.replace(path)

    def resume(self, path: Path) -> int:
        """Take up the state of a checkpoint; gives the number of epochs that are done."""
        try:
            kept = torch.load(path, map_location="cpu", weights_only=True)
            here, there = self._state()["settings"], {"optimizer": "sgd"} | kept["settings"]  # once there was no other
            if here == there:
                self.network.load_state_dict(kept["model"])
                self.optimizer.load_state_dict(kept["optimizer"])
                self.schedule.load_state_dict(kept["schedule"])
                if self.ema is not None:
                    self.ema.load_state_dict(kept["ema"])
                if self.accelerator.scaler is not None:
                    self.accelerator.scaler.load_state_dict(kept["scaler"])
                return int(kept["epochs"])
        except Exception as error:
            raise BadConfig(f"'{path}' is no checkpoint of this training ({error}); remove it to start anew") from error
        other = sorted(key for key in here if there.get(key) != here[key])
        raise BadConfig(f"'{path}' is a checkpoint of another training: {', '.join(other)} differ; use another file")

    def finish(self) -> None:
        """Put in the averaged weights, where there are any."""
        if self.ema is not None:
            self.network.load_state_dict(self.ema.module.state_dict())
        self.network.eval()


@contextmanager
def _moved(networks: tuple[nn.Module, ...], device: torch.device) -> Iterator[None]:
    """Networks on a device for a while, and then back where they were, whatever happens."""
    homes = [device_of(network) for network in networks]
    try:
        for network in networks:
            network.to(device)
        yield
    finally:
        for network, home in zip(networks, homes, strict=True):
            network.to(home)


def _optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not trained:
        raise BadConfig("the network has no parameter that can be trained")
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.learning_rate)
    nesterov = settings.momentum > 0
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=nesterov)


def _schedule(optimizer: torch.optim.Optimizer, settings: TrainingSettings, steps: int) -> LambdaLR:
    """Half a cosine down to zero; for "one-cycle" behind a rise from a twenty-fifth over the first quarter.

    Not torch's own schedules: they round otherwise, which shows in what networks in float64 learn, and OneCycleLR
    cannot take up the checkpoints that there are.
    """
    rise = max(1, steps // 4) if settings.schedule == "one-cycle" else 0

    def share(step: int) -> float:
        if step < rise:
            return 1 - 0.96 * (1 + math.cos(math.pi * step / rise)) / 2
        return (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2

    return LambdaLR(optimizer, share)
