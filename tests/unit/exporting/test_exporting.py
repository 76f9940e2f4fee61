"""Exported files give what the part gives for any number of images, and say what they are; or they are not kept."""

import errno
import json
import shutil
import tempfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.errors import (
    BadBatches,
    BadConfig,
    CannotWrite,
    ExportFailed,
    OutputExists,
    RefusedError,
    ShapeMismatch,
    TraceFailed,
)
from model_lego.exporting import formats, onnx_file
from model_lego.models import build
from model_lego.parts.assembly import Assembly, Head
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from tests.support.handmade_parts import origin, reading_assembly, tiny_component


def padded():
    """An assembly that is one network, with preprocessing."""
    head = Head("affine", torch.tensor([2.0, 0.5]), torch.tensor([0.0, 1.0]))
    whole = tiny_component(classes=("1.bee", "2.elk"))
    return Assembly([], layout="padded", classes=("bee", "elk"), head=head, padded=whole).eval()


def built():
    """A component that a builder's name makes again."""
    builder = Builder("zoo:lenet5", {"image_size": 12, "width": 0.5, "num_classes": 3})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build(builder.name, **builder.arguments).eval()
    whole = replace(origin(builder=builder), input_shape=(1, 12, 12))
    return Component(module, classes="abc", labels=range(3), origin=whole).eval()


class Sly(nn.Module):
    """Gives something else where it is exported."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, 4)

    def forward(self, x):
        logits = self.last(x.mean((2, 3)))
        return -logits if torch.compiler.is_exporting() else logits


class Fixed(Sly):
    """Has the number of images written into it."""

    def forward(self, x):
        return self.last(x.mean((2, 3))).reshape(2, 4)


def of(module):
    return Component(module, classes="abcd", labels=range(4), origin=origin()).eval()


def floats(count, *, seed=3):
    return torch.rand(count, 3, 8, 9, generator=torch.Generator().manual_seed(seed))


def pixels(count, height=8, width=9):
    generator = torch.Generator().manual_seed(height + count)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def probabilities(part, batch):
    taking = Preprocessing(size=(8, 9))
    with torch.no_grad():
        return part(taking.resized(batch.permute(0, 3, 1, 2) / 255)).softmax(1)


def answers(file, batch):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": batch.numpy()})[0])


# --------------------------------------------------------------------------------------------------- what is written


@pytest.fixture(scope="module", params=[tiny_component, reading_assembly], ids=["component", "parallel assembly"])
def as_onnx(request, tmp_path_factory):
    part = request.param()
    return part, ml.export(part, tmp_path_factory.mktemp("onnx") / "part.onnx")


@pytest.mark.parametrize("count", [1, 3, 7])
def test_onnx_gives_the_logits_of_the_part_for_any_number_of_images(as_onnx, count):
    part, done = as_onnx
    batch = floats(count)
    with torch.no_grad():
        assert torch.allclose(answers(done.file, batch), part(batch), atol=1e-5)


def test_onnx_says_what_it_is(as_onnx):
    part, done = as_onnx
    model = onnx.load(done.file)
    onnx.checker.check_model(model, full_check=True)
    notes = {entry.key.removeprefix("model_lego."): entry.value for entry in model.metadata_props}
    assert json.loads(notes["classes"]) == list(part.classes)
    assert json.loads(notes["takes"]) == {"layout": "N x C x H x W", "type": "float32", "shape": [None, 3, 8, 9]}
    assert json.loads(notes["preprocessing"])[0]["mean"] == [0.1, 0.2, 0.3]
    assert json.loads(notes["sources"])[-1]["source_digest"] == "ab" * 32
    assert (notes["gives"], notes["version"]) == ("logits", ml.__version__)
    (given,), (told,) = model.graph.input, model.graph.output
    assert [given.name, given.type.tensor_type.shape.dim[0].dim_param, told.name] == ["images", "batch", "logits"]


def test_the_comparison_is_told(as_onnx):
    _, done = as_onnx
    assert (done.format, done.images, done.agreeing, done.agreement, done.real) == ("onnx", 64, 64, 100, False)
    assert 0 <= done.difference < 1e-5 < done.largest
    assert done.bytes == done.file.stat().st_size
    assert "same class for 64 of 64" in str(done)
    assert json.loads(json.dumps(done.to_dict()))["files"] == [str(done.file)]
    assert [file.name for file in done.file.parent.iterdir()] == ["part.onnx"]


@pytest.mark.parametrize(("widths", "odd"), [((16, 24), 0), ((16, 23), 1), ((7, 17), 1)])
def test_widths_that_the_runtime_takes_slowly_are_told(widths, odd, tmp_path):
    one, other = widths  # seven channels are fewer than the runtime takes at once
    layers = (nn.Conv2d(3, one, 3), nn.ReLU(), nn.Conv2d(one, other, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    done = ml.export(of(nn.Sequential(*layers, nn.Linear(other, 4))), tmp_path / "part.onnx")
    assert (done.convolutions, done.odd) == (2, odd)
    assert (f"{odd} of 2 convolutions give channels" in str(done)) == bool(odd)


def test_with_preprocessing_bytes_of_any_size_become_probabilities(tmp_path):
    part = padded()
    images = torch.rand(9, 3, 33, 20, generator=torch.Generator().manual_seed(0))
    done = ml.export(part, tmp_path / "part.onnx", with_preprocessing=True, images=images)
    for batch in (pixels(1), pixels(3, 20, 31), pixels(7, 5, 40)):
        assert torch.allclose(answers(done.file, batch), probabilities(part, batch), atol=1e-5)
    assert (done.takes, done.gives) == ("uint8 N x H x W x 3", "probabilities")


def test_pt2_does_so_too_holds_the_notes_and_leaves_the_part_as_it_is(tmp_path):
    part = reading_assembly().train()
    before = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    done = ml.export(part, tmp_path / "part.pt2", with_preprocessing=True, images=floats(5))
    assert part.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in part.state_dict().items())
    extra = {"model_lego.json": ""}
    module = torch.export.load(done.file, extra_files=extra).module()
    for batch in (pixels(1), pixels(3, 20, 31), pixels(7, 5, 40)):
        assert torch.allclose(module(batch), probabilities(part.eval(), batch), atol=1e-5)
    assert json.loads(json.loads(extra["model_lego.json"])["model_lego.classes"])[-1] == "none of these"
    assert (done.images, done.real) == (5, True)


def test_a_state_dict_has_the_names_of_the_source_and_a_recipe_that_builds_it(tmp_path):
    from safetensors import safe_open

    part = built()
    done = ml.export(part, tmp_path / "part.safetensors")
    (tmp_path / "other").touch()
    assert done.file.stat().st_mode == (tmp_path / "other").stat().st_mode
    with safe_open(done.file, "pt") as read:
        recipe = json.loads(read.metadata()["model_lego.recipe"])
        state = {name: read.get_tensor(name) for name in read.keys()}  # noqa: SIM118
    again = build(recipe["parts"][0]["origin"]["builder"]["name"], image_size=12, width=0.5, num_classes=3)
    again.load_state_dict(state)
    assert done.agreeing == done.images
    batch = floats(4)[:, :1].repeat(1, 1, 2, 2)[:, :, :12, :12]
    with torch.no_grad():
        assert torch.equal(again.eval()(batch), part(batch))


def test_a_program_of_executorch(tmp_path):
    pytest.importorskip("executorch", reason="ExecuTorch is an extra of its own")
    done = ml.export(reading_assembly(), tmp_path / "part.pte")
    assert (done.format, done.agreement) == ("executorch", 100)


def test_large_weights_lie_beside_and_replace_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "ONE_FILE", 10)
    (tmp_path / "part.onnx.data").write_bytes(b"of another network")
    with pytest.raises(OutputExists, match=r"part\.onnx\.data' exists already, .* move it away"):
        ml.export(tiny_component(), tmp_path / "part.onnx", overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["part.onnx.data"]
    assert (tmp_path / "part.onnx.data").read_bytes() == b"of another network"
    done = ml.export(tiny_component(), tmp_path / "other.onnx")
    assert [file.name for file in done.files] == ["other.onnx", "other.onnx.data"]
    assert np.isfinite(answers(done.file, floats(2)).numpy()).all()


# --------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("module", [Sly, Fixed])
def test_what_gives_something_else_is_not_kept(module, tmp_path):
    (tmp_path / "part.pt2").write_bytes(b"before")
    kinds = {
        Sly: (ExportFailed, "gives other logits than the part, by"),
        Fixed: (TraceFailed, "cannot follow the part"),
    }
    error, words = kinds[module]
    with pytest.raises(error, match=words):
        ml.export(of(module()), tmp_path / "part.pt2", overwrite=True)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"before"]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("part.tflite", {}, r"does not say what to export to by its ending; there is onnx \(\.onnx\), pt2"),
        ("part.onnx", {"format": "tflite"}, "format 'tflite' is unknown; there is onnx"),
        ("part.onnx", {"format": "pt2"}, r"'.*part.onnx' is no name for format pt2; end it in \.pt2"),
        ("part.pt2", {"opset": 18}, "opset=18 is about ONNX, and the format is pt2"),
        ("part.onnx", {"opset": 99}, "opset 99 lacks an operator of the part, or is none"),
        ("part.safetensors", {"with_preprocessing": True}, "takes no pictures of any size"),
        ("part.safetensors", {}, "cut from a network that no library builds, which no recipe without code"),
    ],
)
def test_formats_and_options_that_make_no_sense(name, options, words, tmp_path):
    with pytest.raises(BadConfig, match=words):
        ml.export(tiny_component(), tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_a_missing_runtime_is_said_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(
        BadConfig, match=r'needs onnxruntime, which is not installed: pip install "model-lego\[export\]"'
    ):
        ml.export(tiny_component(), tmp_path / "part.onnx")


def test_files_that_are_there_stay(tmp_path):
    (tmp_path / "part.pt2").write_bytes(b"before")
    with pytest.raises(OutputExists, match="exists already: choose another file, or pass overwrite=True"):
        ml.export(tiny_component(), tmp_path / "part.pt2")
    with pytest.raises(CannotWrite, match="it is a folder; name a file"):
        ml.export(tiny_component(), tmp_path.rename(tmp_path.with_suffix(".pt2")))


def test_a_saved_part_is_no_place_for_it(tmp_path):
    folder = ml.save(built(), tmp_path / "saved")
    with pytest.raises(OutputExists, match="which is a saved part: put it beside"):
        ml.export(built(), folder / "model.safetensors", overwrite=True)


def refusing(*_, **__):
    raise PermissionError(errno.EACCES, "Permission denied")


def test_a_folder_that_does_not_allow_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", refusing)
    with pytest.raises(CannotWrite, match=r"does not allow it \(Permission denied\)"):
        ml.export(tiny_component(), tmp_path / "part.pt2")


def test_a_disk_without_room_before_and_during(tmp_path, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr(torch.export, "save", full)
    with pytest.raises(CannotWrite, match=r"part\.pt2' cannot be written: PytorchStreamWriter failed"):
        ml.export(tiny_component(), tmp_path / "part.pt2")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(CannotWrite, match="but the disk has 100 left"):
        ml.export(tiny_component(), tmp_path / "part.pt2")


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (torch.rand(2, 1, 8, 9), ShapeMismatch),
        (torch.full((2, 3, 8, 9), torch.nan), BadBatches),
        (torch.rand(0, 3, 8, 9), BadBatches),
        ([torch.rand(3, 8, 9)], BadBatches),
    ],
)
def test_images_that_are_none(images, error, tmp_path):
    with pytest.raises(error):
        ml.export(tiny_component(), tmp_path / "part.pt2", images=images)


def test_what_is_no_part_and_what_takes_no_images(tmp_path):
    with pytest.raises(BadConfig, match="not a Linear: disassemble it first"):
        ml.export(nn.Linear(2, 2), tmp_path / "part.pt2")
    nodes = ml.NodeClassifier(Sly(), torch.rand(4, 3), torch.zeros(2, 1, dtype=torch.int64))
    with pytest.raises(RefusedError, match="network over the nodes of one graph takes no images"):
        ml.export(of(nodes), tmp_path / "part.pt2")
