"""Image folders: one sub folder a class."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from model_lego.data import batches, open_data
from model_lego.errors import BadBatches, BadConfig, EmptySelection
from model_lego.parts.preprocessing import Preprocessing


def picture(path, *, mode="RGB", size=(5, 4), value=0):
    """Write an image, width x height, whose first channel counts up from `value`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    x = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    x[..., 0] = value + np.arange(size[0] * size[1]).reshape(size[1], size[0])
    Image.fromarray(x if mode == "RGB" else x[..., 0]).convert(mode).save(path)
    return x


@pytest.fixture
def root(tmp_path):
    """Two classes, three training images and one test image each; their first pixels are 10, 20, 30 … and 100, 110."""
    for number, name in enumerate(("bee", "ant")):
        for count in range(3):
            picture(tmp_path / "train" / name / f"{count}.png", value=30 * number + 10 * (count + 1))
        picture(tmp_path / "test" / name / "only.png", value=100 + 10 * number)
    return tmp_path


def everything(images):
    (pair,) = batches(images, batch_size=100)
    return pair


def first_pixels(images):
    return (everything(images)[0][:, 0, 0, 0] * 255).round().int().tolist()


def test_classes_are_folders_in_the_order_of_their_names(root):
    split = open_data(root)
    assert split.class_names == ("ant", "bee")
    assert everything(split.train)[1].tolist() == [0, 0, 0, 1, 1, 1]
    assert first_pixels(split.train) == [40, 50, 60, 10, 20, 30]
    assert first_pixels(split.test) == [110, 100]


def test_images_are_read_as_they_were_written(root):
    images, _ = everything(open_data(str(root)).test)
    x = picture(root / "copy.png", value=110)
    assert images.shape == (2, 3, 4, 5)
    assert images.dtype == torch.float32
    assert torch.equal(images[0], torch.from_numpy(x).permute(2, 0, 1).float() / 255)


def test_the_test_part_may_be_called_val(root):
    (root / "test").rename(root / "val")
    assert len(open_data(root).test) == 2


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("1", 1), ("P", 3), ("RGBA", 3), ("RGB", 3), ("LA", 3)])
def test_grey_stays_one_channel_and_all_else_becomes_colour(tmp_path, mode, channels):
    for part in ("train", "test"):
        picture(tmp_path / part / "ant" / "a.png", mode=mode)
    assert everything(open_data(tmp_path).train)[0].shape == (1, channels, 4, 5)


def test_grey_of_16_bits_keeps_its_shades(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part / "ant").mkdir(parents=True)
        Image.fromarray(np.array([[0, 16384, 32768, 65535]], dtype=np.uint16)).save(tmp_path / part / "ant" / "a.png")
    shades = everything(open_data(tmp_path).train)[0].flatten()
    assert torch.allclose(shades, torch.tensor([0.0, 0.25, 0.5, 1.0]), atol=1e-2)


def test_other_files_are_no_images(root):
    (root / "train" / "list.csv").write_text("ant, bee")
    assert len(open_data(root).train) == 6
    (root / "train" / "ant" / "notes.txt").write_text("about ants")
    with pytest.warns(UserWarning, match=r"left out of '.*': another suffix 1: train/ant/notes\.txt$"):
        assert len(open_data(root).train) == 6


def test_an_image_is_read_only_when_it_is_asked_for(root):
    split = open_data(root)
    (root / "train" / "ant" / "0.png").write_bytes(b"broken")
    assert len(everything(split.test)[0]) == 2
    with pytest.raises(BadBatches, match=r"0\.png' cannot be read"):
        everything(split.train)


def test_images_of_different_sizes_are_refused(root):
    picture(root / "train" / "ant" / "9.png", size=(6, 4))
    with pytest.raises(BadBatches, match=r"different sizes \[\(3, 4, 5\), \(3, 4, 6\)\]; bring them .*size=N\)"):
        everything(open_data(root).train)


def test_of_many_different_sizes_three_are_named(root):
    for number in range(4):
        picture(root / "train" / "ant" / f"9{number}.png", size=(6 + number, 4))
    with pytest.raises(BadBatches, match=r"\(3, 4, 5\), \(3, 4, 6\), \(3, 4, 7\) …\]"):
        everything(open_data(root).train)


def as_expected(root, part, size, *, channels):
    """The pictures of a part as Pillow reads them, brought to a size by torch."""
    found = []
    for path in sorted((root / part).rglob("*.png")):
        x = torch.from_numpy(np.array(Image.open(path))).float() / 255
        x = x.permute(2, 0, 1) if x.dim() == 3 else x[None].expand(channels, -1, -1)
        found.append(F.interpolate(x[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0])
        found[-1] = (255 * found[-1]).round() / 255
    return torch.stack(found)


def test_images_of_several_sizes_are_brought_to_one(root):
    picture(root / "train" / "ant" / "9.png", size=(9, 3))
    picture(root / "train" / "bee" / "1.png", size=(2, 7))
    split = open_data(root, preprocessing=Preprocessing(size=(4, 6)))
    images, labels = everything(split.train)
    assert images.shape == (7, 3, 4, 6)
    assert torch.equal(images, as_expected(root, "train", (4, 6), channels=3))
    assert labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert torch.equal(everything(split.test)[0], as_expected(root, "test", (4, 6), channels=3))


def test_images_of_the_final_size_are_left_as_they_are(root):
    split = open_data(root, preprocessing=Preprocessing(size=16, crop=(4, 5)))
    assert torch.equal(everything(split.train)[0], everything(open_data(root).train)[0])


@pytest.mark.parametrize("sizes", [[(5, 4)], [(6, 4), (7, 4)]])
def test_grey_images_among_coloured_ones_become_colour(root, sizes):
    for number, size in enumerate(sizes):
        picture(root / "train" / "ant" / f"{number}.png", mode="L", size=size, value=80)
    images, _ = everything(open_data(root, preprocessing=Preprocessing(size=(4, 5))).train)
    assert torch.equal(images, as_expected(root, "train", (4, 5), channels=3))


def test_grey_images_of_several_sizes_stay_grey(tmp_path):
    for number in range(2):
        for part in ("train", "test"):
            picture(tmp_path / part / "ant" / f"{number}.png", mode="L", size=(5 + number, 4))
    images, _ = everything(open_data(tmp_path, preprocessing=Preprocessing(size=(3, 3))).train)
    assert torch.equal(images, as_expected(tmp_path, "train", (3, 3), channels=1))


@pytest.mark.parametrize(
    ("empty", "error", "words"),
    [
        ("train", BadConfig, "no folders train/CLASS and test/CLASS"),
        ("test", BadConfig, "no folders train/CLASS and test/CLASS"),
    ],
)
def test_a_missing_part(root, empty, error, words):
    (root / empty).rename(root / "elsewhere")
    with pytest.raises(error, match=words):
        open_data(root)


def test_a_training_part_without_classes(root):
    (root / "train").rename(root / "elsewhere")
    (root / "train").mkdir()
    with pytest.raises(EmptySelection, match="has no class folders"):
        open_data(root)


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("gone", [False, True])
def test_a_class_without_images(root, part, gone):
    for path in (root / part / "bee").iterdir():
        path.unlink()
    if gone and part == "test":
        (root / part / "bee").rmdir()
    with pytest.warns(UserWarning, match=f"{part}' holds no image of class bee$"):
        split = open_data(root)
    assert split.class_names == ("ant", "bee")
    assert 1 not in getattr(split, part).labels


def test_a_class_that_only_the_test_part_has(root):
    picture(root / "test" / "cow" / "a.png")
    with pytest.raises(BadConfig, match="has class 'cow', which the training part does not have"):
        open_data(root)


def test_colours_are_those_of_the_network_where_it_is_known(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "ant" / "a.png", mode="L", value=80)
    shapes = {
        "as they are": open_data(tmp_path),
        "one mean": open_data(tmp_path, preprocessing=Preprocessing(0.5, 0.5)),
        "three means": open_data(tmp_path, preprocessing=Preprocessing((0.5,) * 3, (0.5,) * 3)),
        "three channels": open_data(tmp_path, channels=3),
    }
    found = {name: tuple(everything(split.train)[0].shape[1:]) for name, split in shapes.items()}
    grey, colour = (1, 4, 5), (3, 4, 5)
    assert found == {"as they are": grey, "one mean": grey, "three means": colour, "three channels": colour}


def test_pictures_are_decoded_once_where_they_have_room(root):
    preprocessing = Preprocessing(size=4)  # 48 bytes a picture
    for cache, kept in ((0, 0), (100, 2), (10_000, 6)):
        split = open_data(root, preprocessing=preprocessing, cache=cache)
        first, _ = everything(split.train)
        moved = (root / "train").rename(root / "elsewhere")
        again = 0
        for number in range(6):
            try:
                assert torch.equal(split.train.image(number), first[number])
                again += 1
            except BadBatches:
                pass
        moved.rename(root / "train")
        assert again == kept
        assert torch.equal(everything(split.train)[0], first)


def test_a_cache_of_less_than_nothing_is_refused(root):
    with pytest.raises(BadConfig, match="give 0 to keep no picture"):
        open_data(root, cache=-1)
