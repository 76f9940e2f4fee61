"""The server of the examples, which knows nothing of the package, answers as `predict` does, from the file alone."""

import pytest
import torch
from classifier import Classifier, Resizing  # of examples/serve
from photos import pixels_of
from torchvision.transforms.functional import to_pil_image

import model_lego as ml
from model_lego.parts.preprocessing import Preprocessing
from model_lego.pictures.reading import read_picture
from tests.support.handmade_parts import tiny_component

TAKINGS = {
    "sides": Preprocessing(size=(8, 9)),
    "shorter side": Preprocessing(size=7, interpolation="bicubic"),
    "crop, half of an odd number cut off": Preprocessing(size=(11, 12), crop=(8, 9)),
    "shorter side and crop": Preprocessing(size=12, crop=(8, 9), interpolation="bicubic"),
    "nearest": Preprocessing(size=(8, 9), interpolation="nearest"),
}


@pytest.fixture
def photo(tmp_path):
    noise = torch.rand(3, 20, 33, generator=torch.Generator().manual_seed(0))
    pixels = 0.2 + 0.6 * noise  # bicubic values stay in 0..1: Pillow clips them between its two passes, too
    to_pil_image(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("taking", TAKINGS.values(), ids=TAKINGS)
def test_a_photo_is_resized_as_by_the_package(taking, photo):
    resizing = Resizing(taking.size, taking.crop, taking.interpolation)
    served = torch.tensor(pixels_of(photo.read_bytes(), resizing, 3, 1000)).permute(2, 0, 1)
    ours = 255 * taking.resized(read_picture(photo)[None])[0]
    assert served.shape == ours.shape
    assert (served - ours).abs().max() < 1  # bytes are rounded


def test_a_photo_is_seen_as_by_predict(photo, tmp_path):
    tiny = tiny_component()
    known = {"classes": tiny.classes, "labels": tiny.labels, "origin": tiny.origin}
    part = ml.Component(tiny.module, **known, preprocessing=TAKINGS["shorter side and crop"]).eval()
    ml.export(part, tmp_path / "part.onnx", with_preprocessing=True)
    served = Classifier.open(tmp_path / "part.onnx")
    assert served.classes == tuple(part.classes)
    shares = served(pixels_of(photo.read_bytes(), served.resizing, served.colours, 1000)[None])[0]
    assert shares == pytest.approx(part.predict([photo]).probabilities[0].numpy(), abs=1e-5)
