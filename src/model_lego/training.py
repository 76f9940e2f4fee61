"""train: fit a classifier to labelled images, from a seed to the same network, also when it is interrupted."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from model_lego.component import Preprocessing
from model_lego.data.augmentation import cropped, flipped
from model_lego.data.sets import ImageSet, stacked
from model_lego.errors import BadConfig, EmptySelection, ShapeMismatch, TrainingFailed
from model_lego.progress import Progress, quiet


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a network is trained: SGD with Nesterov momentum, no decay of biases and norms.

    `crop` is the zero padding in pixels of random crops, `ema` the decay of averaged weights (0: none), `amp` runs the
    forward in bfloat16. Raises BadConfig.
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    smoothing: float = 0.0
    crop: int = 4
    flip: bool = True
    ema: float = 0.0
    amp: bool = False
    channels_last: bool = False
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.schedule not in ("one-cycle", "cosine"):
            raise BadConfig(f"schedule '{self.schedule}' is unknown; use 'one-cycle' or 'cosine'")
        for name in ("epochs", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise BadConfig(f"{name.replace('_', ' ')} {value} has to be more than 0")
        for name in ("momentum", "ema", "smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise BadConfig(f"{name} {getattr(self, name)} has to be at least 0 and less than 1")
        if self.crop < 0 or self.weight_decay < 0:
            raise BadConfig("crop and weight decay cannot be negative")


def train(
    model: nn.Module,
    images: ImageSet,
    settings: TrainingSettings | None = None,
    *,
    preprocessing: Preprocessing | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress = quiet,
) -> nn.Module:
    """Train a network in place on images of one size and give it in eval mode.

    With a `checkpoint` file its state is kept there after every epoch, and taken up from there if the file exists: the
    same call after a kill ends in the same network, on the CPU bit for bit. Order, augmentation and dropout come from
    the settings' seed; the global random state is left alone. Raises BadConfig (the checkpoint is of another training),
    EmptySelection, ShapeMismatch, TrainingFailed (the loss is not finite).
    """
    settings = settings or TrainingSettings()
    if not len(images):
        raise EmptySelection("there are no images to train on")
    run = _Run(model, images, settings, preprocessing)
    path = None if checkpoint is None else Path(checkpoint)
    first = run.resume(path) if path is not None and path.exists() else 0
    for epoch in range(first, settings.epochs):
        run.epoch(epoch, progress)
        if path is not None:
            run.keep(path, epoch + 1)
    return run.result()


class _Run:
    """A training as it stands: network, optimiser, schedule, averaged weights."""

    def __init__(
        self, model: nn.Module, images: ImageSet, settings: TrainingSettings, preprocessing: Preprocessing | None
    ) -> None:
        self.model, self.images, self.settings, self.preprocessing = model, images, settings, preprocessing
        self.format = torch.channels_last if settings.channels_last else torch.contiguous_format
        model.to(memory_format=self.format)
        self.device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self.forward: Any = torch.compile(model) if settings.compile else model
        self._try(images)
        self.steps = math.ceil(len(images) / settings.batch_size)
        self.optimizer = _optimizer(model, settings)
        self.schedule = _schedule(self.optimizer, settings, settings.epochs * self.steps)
        average = get_ema_multi_avg_fn(settings.ema)
        self.ema = AveragedModel(model, multi_avg_fn=average, use_buffers=True) if settings.ema else None

    def _try(self, images: ImageSet) -> None:
        """Refuse images that the network does not take, and labels that it has no logit for."""
        x = images.image(int(images.numbers[0]))[None]
        x = x if self.preprocessing is None else self.preprocessing(x)
        try:
            with torch.no_grad():
                logits = self.model.eval()(x.to(self.device))
        except RuntimeError as error:
            raise ShapeMismatch(f"the network does not take images of shape {tuple(x.shape[1:])}: {error}") from error
        if logits.dim() != 2 or logits.shape[1] <= int(images.labels.max()):
            raise ShapeMismatch(
                f"the network gives {tuple(logits.shape[1:])} numbers an image, but labels go up to "
                f"{int(images.labels.max())}"
            )

    def epoch(self, number: int, progress: Progress) -> None:
        """Train one epoch; what is random in it comes from the seed and its number alone."""
        self.model.train()
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + number)
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.settings.seed * 1_000_003 + number)  # dropout draws from the global state
            for step, (x, labels) in enumerate(self._batches(generator)):
                self._step(x, labels, number)
                progress("training", number * self.steps + step + 1, self.settings.epochs * self.steps)

    def _step(self, x: Tensor, labels: Tensor, epoch: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.amp):
            loss = F.cross_entropy(self.forward(x), labels, label_smoothing=self.settings.smoothing)
        if not bool(torch.isfinite(loss)):
            raise TrainingFailed(f"the loss is {loss.item()} in epoch {epoch + 1}; use a lower learning rate")
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        if self.ema is not None:
            self.ema.update_parameters(self.model)

    def _batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        for places in torch.randperm(len(self.images), generator=generator).split(self.settings.batch_size):
            x = stacked([self.images.image(number) for number in self.images.numbers[places].tolist()])
            x = cropped(x, self.settings.crop, generator) if self.settings.crop else x
            x = flipped(x, generator) if self.settings.flip else x
            x = x if self.preprocessing is None else self.preprocessing(x)
            yield x.to(self.device, memory_format=self.format), self.images.labels[places].to(self.device)

    def _state(self) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings) | {"images": len(self.images)},
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
        }

    def keep(self, path: Path, epochs: int) -> None:
        """Write the checkpoint, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.part")
        torch.save(self._state() | {"epochs": epochs}, fresh)
        fresh.replace(path)

    def resume(self, path: Path) -> int:
        """Take up the state of a checkpoint; gives the number of epochs that are done."""
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
            here, there = self._state()["settings"], found["settings"]
            if here == there:
                self.model.load_state_dict(found["model"])
                self.optimizer.load_state_dict(found["optimizer"])
                self.schedule.load_state_dict(found["schedule"])
                if self.ema is not None:
                    self.ema.load_state_dict(found["ema"])
                return int(found["epochs"])
        except Exception as error:
            raise BadConfig(f"'{path}' is no checkpoint of this training ({error}); remove it to start anew") from error
        other = sorted(key for key in here if there.get(key) != here[key])
        raise BadConfig(f"'{path}' is a checkpoint of another training: {', '.join(other)} differ; use another file")

    def result(self) -> nn.Module:
        """Give the network, with the averaged weights where there are any."""
        if self.ema is not None:
            self.model.load_state_dict(self.ema.module.state_dict())
        return self.model.eval()


def _optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.SGD:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise BadConfig("the network has no parameter that can be trained")
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    nesterov = settings.momentum > 0
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=nesterov)


def _schedule(optimizer: torch.optim.Optimizer, settings: TrainingSettings, steps: int) -> LambdaLR:
    """Half a cosine down to zero; for "one-cycle" behind a rise from a twenty-fifth over the first quarter."""
    rise = max(1, steps // 4) if settings.schedule == "one-cycle" else 0

    def share(step: int) -> float:
        if step < rise:
            return 1 - 0.96 * (1 + math.cos(math.pi * step / rise)) / 2
        return (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2

    return LambdaLR(optimizer, share)
