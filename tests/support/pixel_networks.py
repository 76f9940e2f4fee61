"""Networks whose logits are the pixels of an image and which remember how they were run; parts of them; images."""

import torch
from torch import nn

from model_lego.evaluation.baselines import Contender
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.parts.origin import Cost, Origin
from tests.support.components import FREE


class Pixels(nn.Module):
    """Gives some pixels of an image as logits, the constants behind them, and remembers how it was run."""

    def __init__(self, *pixels, constants=()):
        super().__init__()
        self.pixels, self.constants, self.dropout = list(pixels), constants, nn.Dropout(0.5)
        self.runs, self.modes, self.seen = 0, set(), []

    def forward(self, images):
        self.runs += 1
        self.modes |= {self.training, self.dropout.training}
        self.seen.append(images)
        logits = images.flatten(1)[:, self.pixels]
        return torch.cat([logits, logits.new_tensor([self.constants] * len(logits)).reshape(len(logits), -1)], 1)


def component(module, classes, *, channels, cost=FREE, preprocessing=None):
    origin = Origin(
        builder=None,
        source_digest="",
        source_classes=tuple(classes),
        input_shape=(channels, 1, 1),
        kept_outputs={},
        kept_inputs={},
        attributes={},
        settings={},
        cost_before=FREE,
        cost_after=cost,
    )
    return Component(module, classes=classes, labels=range(len(classes)), origin=origin, preprocessing=preprocessing)


def animals(**options):
    return component(Pixels(0, 1, 2), ["cat", "dog", "owl"], channels=3, **options)


def batch(rows, labels):
    return torch.tensor(rows, dtype=torch.float32)[:, :, None, None], torch.tensor(labels)


ROWS = [[2, 1, 0], [0, 3, 1], [0, 1, 0], [5, 1, 9]]
BATCH = batch(ROWS, [0, 0, 1, 2])  # the second cat is taken for a dog


def pets(model, *, columns=(0, 1), restricted=True, **options):
    return Contender("other", model, columns, restricted, Cost(7, 8, 9), **options)


#: a b | c d: the parts' own logits and the class of each sample.
JOINED = [[3, 1, 0, 0], [3, 1, 5, 0], [3, 1, 0, 0], [0, 2, 1, 1], [9, 0, 2, 1], [0, 0, 2, 1]]
WHOSE = [0, 0, 1, 1, 2, 3]


def assembly(layout, head):
    pixels = [component(Pixels(0, 1), ["a", "b"], channels=4), component(Pixels(2, 3), ["c", "d"], channels=4)]
    padded = component(Pixels(0, 1, 2, 3), ["1.a", "1.b", "2.c", "2.d"], channels=4) if layout == "padded" else None
    return Assembly(pixels, layout=layout, classes=["a", "b", "c", "d"], head=head, padded=padded)
