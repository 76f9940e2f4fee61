"""A file as `model-lego export --with-preprocessing` writes it, of a network that tells red from green from blue.

`python tiny_model.py FOLDER` writes it there as rgb.onnx, with a photo, green.png.
"""

import json
import sys
from pathlib import Path

import onnx
from PIL import Image


def write(file: Path) -> None:
    """Write the network: the means of the colours, of which softmax makes probabilities."""
    types, node = onnx.TensorProto, onnx.helper.make_node
    graph = onnx.helper.make_graph(
        [
            node("Cast", ["images"], ["floats"], to=types.FLOAT),
            node("ReduceMean", ["floats", "sides"], ["means"], keepdims=0),
            node("Softmax", ["means"], ["probabilities"]),
        ],
        "rgb",
        [onnx.helper.make_tensor_value_info("images", types.UINT8, ["batch", "height", "width", 3])],
        [onnx.helper.make_tensor_value_info("probabilities", types.FLOAT, ["batch", 3])],
        [onnx.helper.make_tensor("sides", types.INT64, [2], [1, 2])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    notes = {
        "classes": json.dumps(["red", "green", "blue"]),
        "takes": json.dumps({"type": "uint8", "shape": [None, None, None, 3]}),
        "resizing": json.dumps({"size": 8, "crop": [6, 6], "interpolation": "bilinear", "mean": [], "std": []}),
        "digest": "0f",
    }
    onnx.helper.set_model_props(model, {f"model_lego.{name}": value for name, value in notes.items()})
    onnx.save(model, file)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write(folder / "rgb.onnx")
    Image.new("RGB", (40, 30), (90, 91, 88)).save(folder / "green.png")
