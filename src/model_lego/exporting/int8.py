"""Static quantisation of an ONNX file by onnxruntime: weights and values as bytes, with scales from images.

Usage: `python -m model_lego.exporting.int8 FLOAT.onnx INT8.onnx FOLDER`. Each `N.npy` of the folder is a batch by which
the ranges of values are told.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from model_lego.exporting.formats import Array

#: What stays in floats: pictures are resized as they are without int8, and probabilities are the file's answer.
IN_FLOATS = frozenset({"Resize", "Softmax"})


def main(plain: str, quantised: str, folder: str) -> None:
    """Quantise a file: a scale for each output channel of a weight, one for each value.

    Weights take seven bits, as sums of products saturate with eight on processors that lack instructions for int8.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.registry import QDQRegistry
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # it has no types
        """Gives the batches of the folder, one after the other."""

        def __init__(self) -> None:
            self.batches: Iterator[Array] = map(np.load, sorted(Path(folder).glob("*.npy")))

        def get_next(self) -> dict[str, Array] | None:
            """The next of them."""
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    with tempfile.TemporaryDirectory() as room:
        fused = str(Path(room, "fused.onnx"))
        quant_pre_process(plain, fused, skip_symbolic_shape=True)
        quantize_static(
            fused,
            quantised,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=sorted(set(QDQRegistry) - IN_FLOATS),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
