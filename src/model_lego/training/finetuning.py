"""finetune: train a component or an assembly a little further, all of it together."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.data.batching import Batches
from model_lego.digest import digest_of
from model_lego.errors import BadConfig
from model_lego.parts.assembly import Assembly, Head, leaves, rejects
from model_lego.parts.class_names import ClassNames, names_for, places_of
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import taken_by
from model_lego.progress import Progress, quiet
from model_lego.training import Goal, TrainingSettings, fit
from model_lego.training.examples import streamed
from model_lego.training.judging import judged

Part = TypeVar("Part", bound=Component | Assembly)

#: What fine-tuning is by default: short, with a small rate that falls from the start, in mixed precision on a GPU.
GENTLE = TrainingSettings(epochs=5, learning_rate=0.01, schedule="cosine", clip=1.0, crop=0, flip=False, amp="auto")


def finetune(
    part: Part,
    batches: Batches,
    settings: TrainingSettings | None = None,
    *,
    class_names: ClassNames | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress = quiet,
) -> Part:
    """Train a copy of a component or an assembly on labelled images and give it in eval mode; the part stays as it is.

    Labels are positions in `part.classes`, unless `class_names` names the label numbers; images of classes that the
    part does not have are left out (with "none of these" among its classes, they are of that one). Images are given as
    the part takes them. In an assembly everything is trained together: in `padded` layout also the weights between the
    parts, which are zero at first, and a head that is a matrix; factors of logits stay. Parameters that take no
    gradients stay as they are. With a `checkpoint` file the same call after a kill ends in the same part, on the CPU
    bit for bit. What was done is noted in `.origin.settings["finetuned"]` (of all parts) and `.settings["finetuned"]`
    (of an assembly). Its `verdict` compares it with what it was, on images that it was trained on. Raises BadBatches,
    BadConfig, EmptySelection, ShapeMismatch, TrainingFailed, UnknownClass.
    """
    settings = settings or GENTLE
    tuned = twin(part)
    places = places_of(part.classes, names_for(part, class_names), rejecting=rejects(part))
    what = f"the classes {', '.join(part.classes[:10])}"
    images = streamed(batches, places, taken_by(part), progress, what=what)

    def loss(call: Callable[[Tensor], Any], x: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(call(x), labels, label_smoothing=settings.smoothing)

    with trainable_head(tuned):
        fit(
            Goal(tuned, loss, identity={"part": digest_of(part), "digest": images.digest}),
            images,
            settings,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            what="fine-tuning",
            progress=progress,
        )
    done = noted(tuned, "finetuned", record_of(settings, len(images), images.digest))
    return judged(done, twin(part), "what it was before", batches, places, taken_by(part))


def twin(part: Part) -> Part:
    """A copy that can be trained; raises BadConfig for what is neither a component nor an assembly."""
    if not isinstance(part, Component | Assembly):
        raise BadConfig(f"a component or an assembly can be trained further, not a {type(part).__name__}")
    copied: Part = copy.deepcopy(part)
    copied.eval()
    return copied


@contextmanager
def trainable_head(part: nn.Module) -> Iterator[None]:
    """For a while the head of an assembly, if it is a matrix, consists of parameters instead of buffers."""
    head = part.head if isinstance(part, Assembly) else None
    if not isinstance(head, Head) or head.weight.dim() == 1:
        yield
        return
    names = ("weight", "shift")
    try:
        for name in names:
            value = head._buffers.pop(name)
            assert value is not None
            head.register_parameter(name, nn.Parameter(value))
        yield
    finally:
        for name in names:
            parameter = head._parameters.pop(name)
            assert parameter is not None
            head.register_buffer(name, parameter.detach())


def record_of(settings: TrainingSettings, images: int, digest: str) -> dict[str, Any]:
    """What is noted about a training: everything that its result depends on."""
    return asdict(settings) | {"images": images, "images_digest": digest, "torch": torch.__version__}


def noted(part: Part, key: Literal["finetuned", "distilled"], record: Mapping[str, Any]) -> Part:
    """The part with a training noted, behind those before it, in its own record and in those of its components."""
    for each in leaves(part):
        before = each.origin.settings
        each.origin = replace(each.origin, settings={**before, key: [*before.get(key, []), dict(record)]})
    if isinstance(part, Assembly):
        return part.with_record(part.record.with_training(key, record))  # type: ignore[return-value]
    return part
