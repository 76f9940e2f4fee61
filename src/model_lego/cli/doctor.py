"""model-lego doctor: can a network be taken apart, and how far?"""

from typing import Annotated, Any

import torch
import typer
from torch import nn

from model_lego.cli import options as o
from model_lego.cli.render import show, show_json
from model_lego.cli.sources import is_folder, open_component, parse_arguments, refuse_said
from model_lego.errors import BadConfig
from model_lego.models import build, image_shape, load_weights
from model_lego.models.weights import infer_classes
from model_lego.parts.component import Builder

Side = Annotated[int | None, typer.Option("--size", help="side of the images in pixels; the network's own by default")]
Everything = Annotated[str, typer.Argument(help="zoo:NAME, torchvision:NAME, timm:NAME, or a saved component")]


def doctor_command(
    model: Everything,
    weights: o.Weights = None,
    weights_key: o.WeightsKey = None,
    argument: o.Arguments = None,
    size: Side = None,
    json: o.Json = False,
) -> None:
    """Say whether a network can be taken apart, what is kept whole and why, and how much can be cut."""
    from model_lego import canonize, diagnose

    o.check_weights(weights, weights_key)
    if is_folder(model):
        refuse_said(model, o.SourceOptions(weights=weights, argument=argument or None))
    network, shape = _network(model, parse_arguments(argument), weights, weights_key)
    if size is not None and size < 1:
        raise BadConfig(f"--size {size} is no side of an image; give at least 1")
    shape = shape if size is None else (shape[0], size, size)
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    images = images.to(next(network.parameters()))
    diagnosis = diagnose(network.eval(), images)
    if diagnosis.computed:  # as all commands do
        diagnosis = diagnose(canonize(network, images), images)
    if json:
        show_json(diagnosis.to_dict())
        return
    show(str(diagnosis))


def _network(
    model: str, given: dict[str, Any], weights: str | None, key: str | None
) -> tuple[nn.Module, tuple[int, ...]]:
    """A network, trained or not, and the shape of its images."""
    if is_folder(model):
        component = open_component(model)
        return component.module, component.origin.input_shape
    classes = infer_classes(weights, key=key) if weights is not None else None
    if classes is not None:
        given.setdefault("num_classes", classes)
    builder = Builder(model, given)
    network = build(model, **given)
    return (network if weights is None else load_weights(network, weights, key=key)), image_shape(builder, network)
