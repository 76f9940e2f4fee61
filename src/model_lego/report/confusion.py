"""Which classes are taken for which."""

import torch
from torch import Tensor

from model_lego.data.batching import Batches, checked
from model_lego.errors import UnknownClass
from model_lego.graph.modules import device_of
from model_lego.parts.answers import evaluating
from model_lego.parts.assembly import NONE_OF_THESE, Assembly
from model_lego.parts.class_names import ClassNames, names_of
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import taken_by
from model_lego.progress import Progress, quiet, tracked


@torch.no_grad()
def confusion(
    part: Component | Assembly,
    batches: Batches,
    *,
    class_names: ClassNames | None = None,
    progress: Progress = quiet,
) -> Tensor:
    """Count what a part takes images for: (classes + 1) x classes, int64, the last row for images of other classes.

    Labels are positions in `part.classes`, unless `class_names` names them, as in `evaluate`. An assembly's class "none
    of these" is right for images of other classes. Raises UnknownClass, BadBatches, ShapeMismatch.
    """
    names = part.classes if class_names is None else names_of(class_names)
    if absent := [name for name in part.classes if name not in names and name != NONE_OF_THESE]:
        raise UnknownClass(f"class_names do not name the part's class '{absent[0]}'")
    count = len(part.classes)
    places = torch.tensor([part.classes.index(name) if name in part.classes else count for name in names])
    counts = torch.zeros(count + 1, count, dtype=torch.int64)
    device = device_of(part)
    with evaluating(part):
        reader = checked(batches, shape=taken_by(part), labels=len(names))
        for images, labels in tracked(reader, "counting answers", progress):
            if not len(labels):
                continue
            answers = part(images.to(device)).argmax(1).cpu()
            counts.view(-1).add_(torch.bincount(places[labels] * count + answers, minlength=counts.numel()))
    return counts
