"""The probe of a saved part: what it answers to a seeded image, by which it is known again.

A builder or a factory makes the uncut network again, but a manifest holds only its name, its tensors and their widths:
another stride, activation or temperature would not show. So the answer is saved, `save` proves that the builder gives
it, and `load` proves it again.
"""

import platform
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from model_lego.graph.modules import device_of, first_parameter
from model_lego.models.node_classifier import NodeClassifier
from model_lego.parts.answers import TOLERANCE, Watcher, answer_and_operators, answer_of, difference
from model_lego.parts.assembly import Assembly, leaves
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import noise_of, taken_by
from model_lego.store.bounded import outlined
from model_lego.store.manifest import ProbeRecord
from model_lego.store.steps import Steps

#: Significant digits of a logit, and the difference (in parts of the largest) that says that it is another network.
DIGITS = 5
ALIKE = 1e-3
#: Sides of small images, which are asked much faster, in the order in which they are tried.
SIDES = (64, 128)


def probe_of(part: Component | Assembly) -> ProbeRecord | None:
    """Ask a part; None where it gives no finite answer to a random image, and of a classifier of nodes.

    The answers of that one are those of the graph that it is given, which is no part of the network and is not saved.
    """
    if any(isinstance(network.module, NodeClassifier) for network in leaves(part)):
        return None
    try:
        shape = next(_telling(part), shape_for(part))
        given, operators = answer_and_operators(part, image_of(shape, part))
    except (RuntimeError, ValueError, IndexError):  # graphs as images: random ones need not be any
        return None
    logits = given[0].double().cpu()
    if not bool(torch.isfinite(logits).all()):
        return None
    rounded = tuple(float(f"{value:.{DIGITS}g}") for value in logits.tolist())
    return ProbeRecord(shape=shape, logits=rounded, operators=operators, ran_on=_here(part))


def other_answer(part: Component | Assembly, probe: ProbeRecord | None, watcher: Watcher | None = None) -> str:
    """How a part answers otherwise than its probe, in words; empty where it does not, or there is no probe."""
    if probe is None:
        return ""
    image = image_of(probe.shape, part)
    given, operators = answer_and_operators(part, image, expected=probe.operators, watcher=watcher)
    logits = given[0]
    tolerance = max(ALIKE, TOLERANCE.get(logits.dtype, ALIKE))
    expected = torch.tensor(probe.logits, dtype=torch.float64)
    if apart := difference(expected, logits.double().cpu(), tolerance=tolerance):
        return f"it gives {apart}"
    if probe.ran_on == _here(part) and operators != probe.operators:
        return "it gives these logits by other operators, which on other images may give others"
    return ""


def first_difference(one: nn.Module, other: nn.Module) -> str:
    """The first module that is another one in `other`, in words; empty where all say the same of themselves."""
    theirs = dict(other.named_modules())
    for path, module in one.named_modules():
        found = theirs.get(path)
        if found is None:
            return f"layer '{path}' is missing"
        if _said(module) != _said(found):
            return f"layer '{path}' is {_said(found)} instead of {_said(module)}"
    return ""


def _said(module: nn.Module) -> str:
    """What a module says of itself alone."""
    return f"{type(module).__name__}({module.extra_repr()})"


def shape_for(part: Component | Assembly) -> tuple[int, ...]:
    """The shape of the seeded image, channels x height x width."""
    return tuple(side or own for side, own in zip(taken_by(part), next(leaves(part)).origin.input_shape, strict=True))


def _telling(part: Component | Assembly) -> Iterator[tuple[int, ...]]:
    """Shapes of small images that tell as much of a part as its own do.

    On them it takes the same steps with the same settings, by what it does on images of no memory, and each tap of a
    kernel sees some pixel.
    """
    own = shape_for(part)
    if None in taken_by(part):  # they would be brought to the own size
        return
    smaller = {(own[0], *(min(side, small) for side in own[1:])): None for small in SIDES}
    try:
        outline = outlined(part)
    except Exception:  # networks of everybody's fail in every possible way to be copied
        return
    own_steps = _steps(outline, own)
    for shape in smaller if own_steps else ():
        steps = _steps(outline, shape) if shape != own else None
        if own_steps and steps and steps.taken == own_steps.taken and not steps.blind:
            yield shape


def _steps(outline: nn.Module, shape: tuple[int, ...]) -> Steps | None:
    """The steps that a network on the meta device takes on an image of a shape; None where only a real one tells."""
    steps = Steps()
    try:
        with torch.device("meta"):
            image = torch.empty(1, *shape).to(first_parameter(outline))
            with steps:
                answer_of(outline, image)
    except Exception:  # or it takes no images of this shape, in whatever way that shows
        return None
    return steps


def image_of(shape: tuple[int, ...], part: nn.Module) -> Tensor:
    """A seeded image of a shape as a part takes it, always the same."""
    return noise_of(shape)[:1].to(first_parameter(part))


def _here(part: nn.Module) -> str:
    return f"torch {torch.__version__}, {platform.machine()}, {device_of(part).type}"
