"""int8 files give nearly what floats give, are smaller, say what was lost; and bad input leaves nothing."""

import json
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest
import torch

import model_lego as ml
from model_lego.errors import BadBatches, BadConfig, EmptySelection, ExportFailed, OutputExists
from model_lego.exporting import quantizing
from model_lego.parts.component import Component
from model_lego.parts.preprocessing import Preprocessing
from tests.support.handmade_parts import origin

SIDE = 16


@pytest.fixture(scope="module")
def part():
    """A network of two convolutions whose classes are brightness: 0 dark, 1 middle, 2 bright."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Conv2d(1, 32, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(32, 64, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(64, 3),
        )
        optimizer = torch.optim.Adam(module.parameters(), 1e-2)
        images, labels = shades(90)
        for _ in range(60):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(images), labels).backward()
            optimizer.step()
    taken = replace(origin(), input_shape=(1, SIDE, SIDE))
    return Component(module, classes="abc", labels=range(3), origin=taken, preprocessing=Preprocessing()).eval()


def shades(count, *, seed=0):
    labels = torch.arange(count) % 3
    noise = torch.rand(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return (0.2 + 0.3 * labels.float()).view(-1, 1, 1, 1) + 0.2 * (noise - 0.5), labels


def test_it_is_smaller_gives_nearly_the_same_and_says_what_it_lost(part, tmp_path):
    file = tmp_path / "small.onnx"
    state = {name: value.clone() for name, value in part.state_dict().items()}
    images, labels = shades(60, seed=2)
    done = ml.quantize(part, file, [shades(60, seed=1)], test=[(images, labels)])
    assert done.bytes == file.stat().st_size < 0.6 * done.float_bytes
    session = onnxruntime.InferenceSession(str(file))
    own = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    with torch.no_grad():
        floats = part(images)
    assert done.accuracy == pytest.approx(100 * float((own.argmax(1) == labels).double().mean()))
    assert done.float_accuracy == pytest.approx(100 * float((floats.argmax(1) == labels).double().mean()))
    assert done.float_accuracy > 90
    off = (own - floats).square().mean().sqrt() / floats.std(0).mean()
    assert done.difference == pytest.approx(100 * float(off), rel=1e-3)
    assert 0 < done.difference < 10
    assert (done.images, done.calibrated, done.held_out) == (60, 60, True)
    assert set(done.faster) == {1, 32}
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["model_lego.classes"]) == ["a", "b", "c"]
    assert "60 images" in notes["model_lego.int8"]
    assert all(torch.equal(value, part.state_dict()[name]) for name, value in state.items())
    assert [each.name for each in tmp_path.iterdir()] == ["small.onnx"]


def test_without_test_images_it_is_measured_on_those_that_set_it(part, tmp_path):
    done = ml.quantize(part, tmp_path / "small.onnx", [shades(30)], with_preprocessing=True)
    assert (done.images, done.held_out, done.gives) == (30, False, "probabilities")
    assert "of these images" in str(done)


def test_what_is_clearly_behind_is_warned_of(part, tmp_path, monkeypatch):
    answers = iter([torch.eye(3)[[1, 1, 0]], torch.eye(3)[[0, 0, 0]]])
    monkeypatch.setattr(quantizing, "fresh_answers", lambda *_: [next(answers)])
    with pytest.warns(ml.DoubtfulResult, match=r"66\.7 points behind floats"):
        ml.quantize(part, tmp_path / "small.onnx", [(shades(3)[0], torch.zeros(3, dtype=torch.int64))])


def there(folder: Path) -> None:
    (folder / "there.onnx").write_text("mine")


@pytest.mark.parametrize(
    ("name", "feed", "error", "words"),
    [
        ("small.pt2", [shades(6)], BadConfig, "int8 is written as ONNX"),
        ("there.onnx", [shades(6)], OutputExists, "exists already"),
        ("small.onnx", [], BadBatches, "empty"),
        ("small.onnx", [(shades(6)[0], torch.full((6,), 3))], BadBatches, "label"),
        ("small.onnx", [(shades(6)[0][:0], torch.zeros(0, dtype=torch.int64))], (EmptySelection, BadBatches), "image"),
    ],
)
def test_what_is_wrong_is_said_and_leaves_nothing(part, tmp_path, name, feed, error, words):
    there(tmp_path)
    with pytest.raises(error, match=words):
        ml.quantize(part, tmp_path / name, feed)
    assert [each.name for each in tmp_path.iterdir()] == ["there.onnx"]
    assert (tmp_path / "there.onnx").read_text() == "mine"


def test_what_onnxruntime_cannot_quantise_is_said_and_leaves_nothing(part, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise ExportFailed("onnxruntime cannot run the file: it ended")

    monkeypatch.setattr(quantizing, "in_fresh_process", broken)
    with pytest.raises(ExportFailed, match="it ended"):
        ml.quantize(part, tmp_path / "small.onnx", [shades(6)])
    assert list(tmp_path.iterdir()) == []


def test_of_a_single_class_no_accuracy_is_told(part, tmp_path):
    narrow = torch.nn.Sequential(*part.module[:-1], torch.nn.Linear(64, 1))
    taken = replace(origin(), input_shape=(1, SIDE, SIDE))
    alone = Component(narrow, classes="a", labels=(0,), origin=taken, preprocessing=Preprocessing()).eval()
    done = ml.quantize(alone, tmp_path / "one.onnx", [(shades(9)[0], torch.zeros(9, dtype=torch.int64))])
    assert "accuracy" not in str(done)
    assert "% of their spread" in str(done)
