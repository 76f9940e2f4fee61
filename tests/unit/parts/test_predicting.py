"""predict: files and tensors as a part takes them, what cannot be read, and a part that stays as it is."""

import math
import threading
import time
import warnings

import pytest
import torch
from PIL import Image
from torch import nn

from model_lego.errors import BadBatches, BadConfig, ShapeMismatch
from model_lego.parts import predicting
from model_lego.parts.assembly import Assembly, Head
from model_lego.parts.component import Component
from model_lego.parts.predicting import READERS, ahead, predicted
from model_lego.parts.preprocessing import Preprocessing
from tests.support.components import pixel_part
from tests.support.handmade_parts import images, reading_assembly, tiny_assembly, tiny_component
from tests.support.squares import contents


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two photos, a file that holds none, and something else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number, size in enumerate([(30, 20), (17, 40)]):
        pixels = torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(number))
        Image.fromarray(pixels.numpy()).save(f"photos/{number}.png")
    (tmp_path / "photos/broken.jpg").write_bytes(b"")
    (tmp_path / "photos/notes.txt").write_text("")
    return tmp_path / "photos"


@pytest.mark.parametrize("make", [tiny_component, tiny_assembly, reading_assembly])
def test_a_batch_gets_the_logits_of_the_part(make):
    part, batch = make(), images()
    found = part.predict(batch)
    assert torch.equal(found.logits, part(batch))
    assert found.images == (0, 1, 2)
    assert found.classes == part.classes
    split = part.predict(batch, batch_size=2)
    assert torch.equal(split.logits[2:], part(batch[2:]))
    assert split.images == (0, 1, 2)


def test_tensors_come_as_a_batch_as_one_image_or_in_a_list_in_floats_or_bytes():
    part = tiny_component()
    some = (255 * images()).to(torch.uint8)
    batch = part.predict(some)
    assert torch.equal(batch.logits, part(some / 255))
    assert torch.equal(part.predict(some[1]).logits, part(some[1:2] / 255))
    mixed = part.predict([some[0], torch.rand(3, 40, 30), some[1:]])
    assert (mixed.images, len(mixed)) == ((0, 1, 2, 3), 4)
    assert torch.allclose(mixed.logits[[0, 2, 3]], batch.logits)


def test_files_are_brought_to_colours_and_size_and_keep_their_order(photos):
    part = tiny_component()
    found = part.predict(["photos/1.png", photos / "0.png"])
    assert found.images == ("photos/1.png", str(photos / "0.png"))
    Image.open("photos/0.png").convert("L").save("grey.png")
    grey = part.predict("grey.png")
    pixel = pixel_part("ab", 0, 1, shape=(1, 1, 2))  # without a size of its own: that of its network
    assert pixel.predict("photos/0.png").logits.shape == (1, 2)
    assert not torch.equal(grey.logits[0], found.logits[1])


def test_a_file_that_cannot_be_read_keeps_its_place_and_is_said(photos):
    part = tiny_component()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = part.predict(["photos", "nowhere.jpg"], batch_size=2)
    assert found.images == ("photos/0.png", "photos/1.png", "photos/broken.jpg", "nowhere.jpg")
    assert found.errors == (None, None, "it holds no picture", "there is no such file or folder")
    assert [name is None for name in found.names] == [False, False, True, True]
    assert torch.equal(found.logits[:2], part.predict(["photos/0.png", "photos/1.png"]).logits)
    words = [str(each.message) for each in said]
    assert words == [
        "left out of 'photos': another suffix 1: notes.txt",
        "2 of 4 images cannot be read; 'photos/broken.jpg': it holds no picture",
    ]
    assert {each.filename for each in said} == {__file__}


def test_where_none_can_be_read_that_is_an_error(photos):
    with pytest.raises(BadBatches, match=r"none of 1 images can be read; 'photos/broken.jpg': it holds no picture"):
        tiny_component().predict("photos/broken.jpg")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([], BadBatches, "there are no images"),
        ([3], BadBatches, "paths and tensors of images, not int"),
        ({"a": 1}.items(), BadBatches, "not tuple"),
        (torch.rand(2, 4, 8, 9), ShapeMismatch, r"\(4, 8, 9\).*\(3, any, any\)"),
        (torch.rand(8, 9), ShapeMismatch, r"\(8, 9\)"),
        (torch.full((1, 3, 8, 9), math.nan), BadBatches, "NaN"),
        (torch.full((1, 3, 8, 9), 255.0), BadBatches, "divide them by 255"),
        (torch.ones(1, 3, 8, 9, dtype=torch.int64), BadBatches, "int64"),
    ],
)
def test_what_holds_no_images_is_refused(given, error, words):
    with pytest.raises(error, match=words):
        tiny_component().predict(given)


def test_a_batch_size_of_nothing_is_refused():
    with pytest.raises(BadConfig, match="batch size 0"):
        tiny_component().predict(images(), batch_size=0)


def test_a_part_of_no_pictures_says_so_of_files(photos):
    part = pixel_part("ab", 0, 0, shape=(1,))
    assert part.predict(torch.rand(4, 1)).logits.shape == (4, 2)
    with pytest.raises(BadBatches, match=r"takes \(1,\), which is no picture"):
        part.predict("photos/0.png")


class Logarithm(nn.Module):
    def forward(self, x):
        return x.flatten(1).log()


def test_an_answer_without_a_largest_number_is_no_answer():
    like = pixel_part("ab", 0, 1, shape=(2, 1, 1))
    part = Component(Logarithm(), classes="ab", labels=(0, 1), origin=like.origin)
    rows = torch.tensor([[0.0, 1], [0, 0], [-1, 1]])
    (found,) = predicted(part, list(rows[:, :, None, None]))
    assert found.names == ("b", None, None)
    assert found[0].probability == 1
    assert "no answer" in found.errors[1]


def test_a_single_class_is_said_to_tell_nothing():
    with pytest.warns(UserWarning, match="single class, 'a'"):
        pixel_part("a", 0).predict(torch.rand(2, 4, 1, 1))


class Noticing(nn.Module):
    """Notes its mode, and whether gradients are on."""

    def __init__(self):
        super().__init__()
        self.linear, self.dropout, self.seen = nn.Linear(4, 2), nn.Dropout(0.5), []

    def forward(self, x):
        self.seen.append((self.training, torch.is_grad_enabled(), x.dtype))
        return self.dropout(self.linear(x.flatten(1)))


def test_the_part_stays_as_it_is_and_runs_in_its_own_data_type():
    like = pixel_part("ab", 0, 1)
    part = Component(Noticing().double(), classes="ab", labels=(0, 1), origin=like.origin).train()
    part.module.dropout.eval()
    before = {name: value.clone() for name, value in part.state_dict().items()}
    with torch.enable_grad():
        found = part.predict(torch.rand(3, 4, 1, 1), batch_size=2)
    assert set(part.module.seen) == {(False, False, torch.float64)}
    assert (part.training, part.module.training, part.module.dropout.training) == (True, True, False)
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())
    assert (found.logits.dtype, found.logits.requires_grad) == (torch.float64, False)


def test_progress_counts_images(photos):
    told = []
    tiny_component().predict(images(), batch_size=2, progress=lambda *report: told.append(report))
    assert told[0] == ("predicting", 0, 3)
    assert told[-1] == ("predicting", 3, 3)


def test_so_many_are_read_ahead_and_no_more():
    read, lock = [], threading.Lock()

    def noting(number):
        with lock:
            read.append(number)
        return number

    reader = ahead(noting, range(1000), 10)
    assert [next(reader), next(reader)] == [0, 1]
    time.sleep(0.1)
    assert sorted(read) == list(range(12))
    reader.close()
    assert list(ahead(noting, range(50), 7)) == list(range(50))


def test_files_are_read_by_several_threads(photos, monkeypatch):
    together = threading.Barrier(READERS, timeout=10)
    picture_for = predicting.picture_for

    def waiting(*given):
        together.wait()
        return picture_for(*given)

    monkeypatch.setattr(predicting, "picture_for", waiting)
    assert len(tiny_component().predict(["photos/0.png", "photos/1.png"] * READERS, batch_size=READERS)) == 2 * READERS


def test_nothing_is_written(photos):
    before = contents(photos)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        tiny_assembly().predict(photos)
    assert contents(photos) == before


def test_none_of_these_is_a_class_like_others():
    part = reading_assembly()
    part.head.shift[-1] = 1e4
    assert set(part.predict(images()).names) == {"none of these"}


def test_an_assembly_gives_each_part_its_own_pixels(photos):
    """Files come in the largest size, from which each part makes its own."""
    sizes = ((8, 9), (6, 6))
    parts = [
        Component(
            tiny_component(seed=seed).module,
            classes=classes,
            labels=(0, 1),
            origin=tiny_component().origin,
            preprocessing=Preprocessing((0.1 * seed,) * 3, (0.5,) * 3, size),
        )
        for seed, (size, classes) in enumerate(zip(sizes, ("ab", "cd"), strict=True))
    ]
    joint = Assembly(parts, layout="parallel", classes=tuple("abcd"), head=Head.identity(4)).eval()
    found = joint.predict("photos/0.png").logits
    assert torch.equal(found[:, :2], parts[0].predict("photos/0.png").logits)
    seen = predicting.picture_for("photos/0.png", 3, Preprocessing(size=sizes[0]).resized)
    assert torch.equal(found, joint(seen[None]))
