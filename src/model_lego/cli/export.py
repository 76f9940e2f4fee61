"""model-lego export: a saved component or assembly as a file of another runtime."""

from typing import Annotated

import torch
import typer
from torch import Tensor

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import open_data_for, open_part, part_data
from model_lego.data import batches
from model_lego.data.batching import Batches
from model_lego.errors import BadConfig, EmptySelection
from model_lego.exporting.exporting import check_export, export
from model_lego.exporting.formats import format_of
from model_lego.exporting.quantizing import Quantized, quantize
from model_lego.exporting.results import Exported
from model_lego.parts.assembly import Part, told_classes

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
Int8 = Annotated[
    bool, typer.Option("--int8", help="weights and values as bytes (ONNX), calibrated and measured on --data")
]
Replace = Annotated[bool, typer.Option("--overwrite", help="replace the file")]


def export_command(
    *,
    part: Annotated[str, typer.Argument(help="a saved component or assembly")],
    to: To,
    format: FormatOpt = None,  # noqa: A002  # the name of the option
    with_preprocessing: WithPreprocessing = False,
    comparing: o.CalibrationOptions,
    opset: Opset = None,
    int8: Int8 = False,
    loading: o.LoadingOptions,
    overwrite: Replace = False,
    json: o.Json = False,
) -> None:
    """Write a part as a file of another runtime (ONNX, torch.export), and compare what it gives there."""
    check_export(to, format_of(to, format), overwrite=overwrite)
    if int8 and opset is not None:
        raise BadConfig("--int8 is written with the operators that it needs: leave --opset out")
    if int8 and comparing.images is None:
        raise BadConfig("--int8 takes the ranges of values from images: give --data")
    opened = open_part(part, loading)
    done: Exported | Quantized
    if int8 and comparing.images is not None:
        train, test = _labelled(opened, comparing.images)
        done = quantize(
            opened,
            to,
            train,
            test=test,
            with_preprocessing=with_preprocessing,
            overwrite=overwrite,
            progress=Bar(),
        )
    else:
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


def _labelled(part: Part, data: o.DataOptions) -> tuple[Batches, Batches | None]:
    """Images of a part's classes, to set int8 by and to measure it on, None where there are no others."""
    split = part_data([part], data, told_classes(part), None)
    train, test = (batches(images, batch_size=64) for images in (split.train, split.test))
    return (train, test if len(split.test) else None) if len(split.train) else (test, None)


def _images(part: Part, data: o.DataOptions) -> Tensor:
    """Test images of some data, as a part takes them; training images where there are no others."""
    split = open_data_for([part], data)
    images = split.test if len(split.test) else split.train
    if not len(images):
        raise EmptySelection(f"'{data.data}' has no image to compare by")
    some, _ = batches(images, batch_size=64).sampled(COMPARED, seed=0)
    return torch.cat([batch for batch, _ in some])
