"""Trained networks as folders: the weights, and the record of how they were made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from model_lego.data import DataSplit, batches
from model_lego.data.sets import ImageSet, relabelled, subset
from model_lego.errors import EmptySelection, ShapeMismatch
from model_lego.graph.modules import device_of
from model_lego.models import Network, open_network
from model_lego.models.registry import for_classes
from model_lego.models.weights_file import held
from model_lego.parts.answers import answer_of
from model_lego.parts.logits import main_logits
from model_lego.parts.preprocessing import Preprocessing
from model_lego.progress import Progress, quiet
from model_lego.store.files import is_plain_file
from model_lego.store.outputs import writing
from model_lego.training import TrainingSettings
from model_lego.training.classifier import train
from model_lego.training.examples import Whole

WEIGHTS, RECORD, CHECKPOINT = "model.safetensors", "training.json", "checkpoint.pt"
#: Files that are being written, which a kill may leave.
PARTS = frozenset(f"{name}.part" for name in (WEIGHTS, RECORD, CHECKPOINT))


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """Which network learns which classes, and how.

    `per_class` training images a class are drawn by the seed, all by default; it starts from `pretrained` weights, from
    those of a file, `weights` (`weights_key`: where in it they are), or from random ones.
    """

    network: str  # as `build` knows it
    classes: Sequence[str]
    settings: TrainingSettings
    arguments: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    per_class: int | None = None
    pretrained: bool = False
    weights: str | Path | None = None
    weights_key: str | None = None

    @property
    def built_with(self) -> dict[str, Any]:
        """The arguments of its network, with the number of its classes."""
        return for_classes(self.network, self.arguments, len(self.classes))


def opened(task: TrainingTask) -> Network:
    """The network that a task starts from; random weights are by its seed. Raises as `open_network`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.settings.seed)
        return open_network(
            task.network,
            pretrained=task.pretrained,
            weights=task.weights,
            weights_key=task.weights_key,
            arguments=task.built_with,
        )


def train_into(
    folder: Path, split: DataSplit, task: TrainingTask, model: nn.Module, progress: Progress = quiet
) -> dict[str, Any]:
    """Train the network that was opened for a task and write it into a folder; gives the record that stands beside it.

    A checkpoint that is in the folder is taken up. Raises BadConfig, EmptySelection, ShapeMismatch, TrainingFailed.
    """
    settings, preprocessing, names = task.settings, task.preprocessing, split.class_names
    numbers = [names.index(name) for name in task.classes]
    test = relabelled(split.test, [numbers.index(label) if label in numbers else -1 for label in range(len(names))])
    if not len(test):
        raise EmptySelection("there is no test image of the classes that are to be learned")
    images = subset(split.train, numbers, per_class=task.per_class, seed=settings.seed, class_names=names)
    _refuse_width(model, images, task)
    train(model, images, settings, preprocessing=preprocessing, checkpoint=folder / CHECKPOINT, progress=progress)
    record = {
        "network": task.network,
        "arguments": task.built_with,
        "classes": list(task.classes),
        "settings": asdict(settings),
        "images": len(images),
        "test_accuracy": _accuracy(model, test, preprocessing),
        "preprocessing": None if preprocessing is None else asdict(preprocessing),
    }
    _write(folder, model, record)
    return record


def is_of_training(folder: Path) -> bool:
    """Whether a folder holds what a training wrote and nothing else, as its record or its checkpoint proves."""
    files = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    if files.keys() - {WEIGHTS, RECORD, CHECKPOINT, *PARTS} or not all(map(is_plain_file, files.values())):
        return False
    try:
        if RECORD in files:
            proof, told = json.loads(files[RECORD].read_bytes()), {"network", "classes", "settings", "test_accuracy"}
        else:  # it was interrupted
            proof, told = held(files[CHECKPOINT]), {"settings", "model", "optimizer", "epochs"}
    except (KeyError, ValueError, RecursionError, OSError):  # BadWeights is a ValueError
        return False
    return isinstance(proof, dict) and told <= proof.keys()


def _refuse_width(model: nn.Module, images: ImageSet, task: TrainingTask) -> None:
    """Refuse a network with a logit that no class has, which only the user's own code can give."""
    prepare = task.preprocessing or Preprocessing()
    example = prepare(Whole(images).first())
    try:
        logits = answer_of(model, example.to(device_of(model))).shape[1]
    except (RuntimeError, ValueError) as error:
        raise ShapeMismatch(f"the network does not take images of shape {tuple(example.shape[1:])}: {error}") from error
    if logits > len(task.classes):
        raise ShapeMismatch(
            f"{task.network} gives {logits} logits, but {len(task.classes)} classes are to be learned; say how many "
            "it gives by an argument of its own"
        )


def _accuracy(network: nn.Module, images: ImageSet, preprocessing: Preprocessing | None) -> float:
    device = device_of(network)
    right = 0
    with torch.no_grad():
        for x, labels in batches(images):
            x = x if preprocessing is None else preprocessing(x)
            right += int((main_logits(network(x.to(device))).argmax(1).cpu() == labels).sum())
    return 100 * right / len(images)


def _write(folder: Path, network: nn.Module, record: dict[str, Any]) -> None:
    """Weights last: where they are, the training is finished and all else is there.

    Those of an earlier training are there until these are written; between the two the checkpoint goes on to the same.
    """
    weights, told = folder / f"{WEIGHTS}.part", folder / f"{RECORD}.part"
    with writing(folder):
        told.write_text(json.dumps(record, indent=2) + "\n")
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}, weights)
        weights.chmod(folder.stat().st_mode & 0o666)  # it comes readable for its owner alone
        (folder / WEIGHTS).unlink(missing_ok=True)
        told.replace(folder / RECORD)
        weights.replace(folder / WEIGHTS)
        (folder / CHECKPOINT).unlink()
