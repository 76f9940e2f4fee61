"""model-lego export: a saved component or assembly as a file of another runtime."""

from typing import Annotated

import torch
import typer
from torch import Tensor

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import open_data_for, open_part
from model_lego.data import batches
from model_lego.errors import EmptySelection
from model_lego.exporting.exporting import check_export, export
from model_lego.exporting.formats import format_of
from model_lego.parts.assembly import Part

#: Real images by which an export is compared, at most.
COMPARED = 256

To = Annotated[str, typer.Option("--to", help="the file to write: .onnx, .pt2, .pte or .safetensors")]
FormatOpt = Annotated[
    str | None, typer.Option("--format", help="onnx, pt2, executorch or safetensors; by default by the file's ending")
]
WithPreprocessing = Annotated[
    bool, typer.Option("--with-preprocessing", help="take bytes, N x H x W x 3, of any size, and give probabilities")
]
Opset = Annotated[int | None, typer.Option("--opset", help="version of ONNX's operators; by default the exporter's")]
Replace = Annotated[bool, typer.Option("--overwrite", help="replace the file")]


def export_command(
    *,
    part: Annotated[str, typer.Argument(help="a saved component or assembly")],
    to: To,
    format: FormatOpt = None,  # noqa: A002  # the name of the option
    with_preprocessing: WithPreprocessing = False,
    comparing: o.CalibrationOptions,
    opset: Opset = None,
    loading: o.LoadingOptions,
    overwrite: Replace = False,
    json: o.Json = False,
) -> None:
    """Write a part as a file of another runtime (ONNX, torch.export), and compare what it gives there."""
    check_export(to, format_of(to, format), overwrite=overwrite)
    opened = open_part(part, loading)
    done = export(
        opened,
        to,
        format=format,
        with_preprocessing=with_preprocessing,
        images=None if comparing.images is None else _images(opened, comparing.images),
        opset=opset,
        overwrite=overwrite,
        progress=Bar(),
    )
    if json:
        show_json(done.to_dict())
    else:
        show(str(done))
    say(f"written to {to}")


def _images(part: Part, data: o.DataOptions) -> Tensor:
    """Test images of some data, as a part takes them; training images where there are no others."""
    split = open_data_for([part], data)
    images = split.test if len(split.test) else split.train
    if not len(images):
        raise EmptySelection(f"'{data.data}' has no image to compare by")
    some, _ = batches(images, batch_size=64).sampled(COMPARED, seed=0)
    return torch.cat([batch for batch, _ in some])
