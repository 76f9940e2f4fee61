"""The small network that the server is tried with."""

import pytest
from classifier import Classifier, Resizing


@pytest.fixture
def rgb_file(tmp_path):
    pytest.importorskip("onnx", reason="onnx is not installed: no network is made to try the server with")
    from tiny_model import write

    write(tmp_path / "rgb.onnx")
    return tmp_path / "rgb.onnx"


@pytest.fixture
def classifier(rgb_file):
    opened = Classifier.open(rgb_file)
    assert opened.resizing == Resizing(8, (6, 6))
    return opened
