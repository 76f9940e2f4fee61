"""ONNX: one file, and beside it the weights where they are too many for one; run by onnxruntime."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_lego.errors import BadConfig, ExportFailed
from model_lego.exporting.formats import Run

if TYPE_CHECKING:
    from model_lego.exporting.taken import Writable

#: Bytes of weights above which they lie in a file beside: a file of protobuf has 2 GiB at most.
ONE_FILE = 2**31 - 2**27
#: What the input is called.
INPUT = "images"
#: Names of the dimensions that may have any size, by their place.
DIMENSIONS = ("batch", "height", "width")


def write(given: "Writable", file: Path) -> None:
    """Write the file; raises TraceFailed, ExportFailed, and BadConfig for an opset that lacks an operator."""
    from model_lego.store.outputs import bytes_of

    made = _exported(given)
    reached = made.model.opset_imports[""]
    if given.opset is not None and reached != given.opset:
        raise BadConfig(
            f"opset {given.opset} lacks an operator of the part, or is none that the exporter knows: leave it out, or "
            f"give opset {reached}"
        )
    graph = made.model.graph
    symbols = {str(graph.inputs[0].shape[place]): name for place, name in zip(given.free(), DIMENSIONS, strict=False)}
    for value in [*graph.inputs, *(output for node in graph for output in node.outputs)]:
        _rename(value, symbols)
    graph.name = "model-lego"
    made.model.metadata_props.update(given.notes)
    made.save(file, external_data=bytes_of(given.module) > ONE_FILE)


def _exported(given: "Writable") -> Any:
    import torch

    from model_lego.graph.modules import first_line

    program = given.program()
    try:
        with _quiet():
            return torch.onnx.export(
                program,
                (given.example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[given.gives],
                opset_version=given.opset,
            )
    except Exception as error:  # whatever the exporter and its converter of versions raise
        raise ExportFailed(f"the part cannot be written as ONNX: {first_line(error.__cause__ or error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """What the exporter says of its own doings is no business of whoever exports."""
    from model_lego.graph.program import silence

    with warnings.catch_warnings(), silence():
        warnings.simplefilter("ignore")
        yield


def _rename(value: Any, symbols: dict[str, str]) -> None:
    """Call the dimensions of a value as those of the input are called."""
    if value.shape is None:
        return
    for place, side in enumerate(value.shape):
        if not isinstance(side, int):
            value.shape[place] = re.sub(r"\w+", lambda word: symbols.get(word[0], word[0]), str(side))


def opened(file: Path, threads: int | None = None) -> Run:
    """What runs a file on a batch, with so many threads or as many as the runtime takes.

    Its threads sleep while they wait. By default they spin, and several files that are open at once then take each
    other's processors: each ran two to four times as long.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {INPUT: batch})[0]
