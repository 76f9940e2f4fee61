"""What components and assemblies have in common: they give predictions."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from torch import Tensor

from model_lego.parts.predictions import Predictions
from model_lego.parts.scripting import Unscripted
from model_lego.progress import Progress, quiet

if TYPE_CHECKING:
    from model_lego.parts.assembly import Assembly
    from model_lego.parts.component import Component

#: What predictions are asked for: a path, an image or a batch; or some paths and images.
Images = str | Path | Tensor | Iterable[str | Path | Tensor]


class Classifier(Unscripted):
    """A network with a name for each of its logits."""

    classes: tuple[str, ...]

    def predict(self, images: Images, *, batch_size: int = 128, progress: Progress = quiet) -> Predictions:
        """Say what images are taken for, from their files or as tensors; changes nothing about the part.

        Files are brought to the size and the colours that the part takes, a folder stands for all pictures in it, a
        pattern such as `photos/*.jpg` for what it finds. A tensor is one image, or a batch, as `evaluate` takes it:
        floats in 0..1 or uint8, N x C x H x W. A file that cannot be read has its error in the place of a class, and is
        a UserWarning; raises BadBatches where none can be read or a tensor holds no images, ShapeMismatch, BadConfig.
        """
        from model_lego.parts.predicting import predict  # which has to know both kinds of part

        part = cast("Component | Assembly", self)  # the only ones there are
        return predict(part, images, batch_size=batch_size, progress=progress)
