"""train: fit a classifier to labelled images, from a seed to the same network, also when it is interrupted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.data.sets import ImageSet
from model_lego.errors import EmptySelection, ShapeMismatch
from model_lego.graph.modules import device_of
from model_lego.parts.logits import main_logits
from model_lego.parts.preprocessing import Preprocessing
from model_lego.progress import Progress, quiet
from model_lego.training import Goal, TrainingSettings, Whole, fit


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
    _try(model, images, preprocessing)

    def loss(call: Callable[[Tensor], Any], x: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(main_logits(call(x)), labels, label_smoothing=settings.smoothing)

    fit(
        Goal(model, loss, prepare=preprocessing),
        Whole(images),
        settings,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        progress=progress,
    )
    return model


def _try(model: nn.Module, images: ImageSet, preprocessing: Preprocessing | None) -> None:
    """Refuse images that the network does not take, and labels that it has no logit for."""
    x = Whole(images).first()
    x = x if preprocessing is None else preprocessing(x)
    try:
        with torch.no_grad():
            logits = main_logits(model.eval()(x.to(device_of(model))))
    except RuntimeError as error:
        raise ShapeMismatch(f"the network does not take images of shape {tuple(x.shape[1:])}: {error}") from error
    if logits.dim() != 2 or logits.shape[1] <= int(images.labels.max()):
        raise ShapeMismatch(
            f"the network gives {tuple(logits.shape[1:])} numbers an image, but labels go up to "
            f"{int(images.labels.max())}"
        )
