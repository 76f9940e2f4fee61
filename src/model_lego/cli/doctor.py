"""model-lego doctor: can a network be taken apart, and how far?"""

from dataclasses import asdict
from typing import Annotated

import torch
import typer
from torch import nn

from model_lego.cli import options as o
from model_lego.cli.networks import is_folder, open_named, refuse_said
from model_lego.cli.render import show, show_json
from model_lego.cli.sources import open_component
from model_lego.errors import BadConfig
from model_lego.models import image_shape

Side = Annotated[int | None, typer.Option("--size", help="side of the images in pixels; the network's own by default")]
Everything = Annotated[str, typer.Argument(help=f"{o.NAMED}, or a saved component's folder")]


def doctor_command(
    model: Everything,
    opening: o.ModelOptions,
    size: Side = None,
    json: o.Json = False,
) -> None:
    """Say whether a network can be taken apart, what is kept whole and why, and how much can be cut."""
    from model_lego import canonize, diagnose

    network, shape = network_and_shape(model, opening)
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


def network_and_shape(model: str, options: o.ModelOptions) -> tuple[nn.Module, tuple[int, ...]]:
    """A network, trained or not, and the shape of its images."""
    if is_folder(model):
        refuse_said(model, o.SourceOptions(**asdict(options)))
        component = open_component(model, options)
        return component.module, component.origin.input_shape
    opened = open_named(model, options, trained=False)
    channels, *sides = image_shape(opened.builder, opened.model)
    final = None if opened.preprocessing is None else opened.preprocessing.final_size
    return opened.model, (channels, *(final or sides))
