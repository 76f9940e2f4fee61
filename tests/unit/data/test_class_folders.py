"""What of an image folder is a class, in which order classes come, and what is left out: counted in one line."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model_lego.data import batches, open_data, subset
from model_lego.errors import BadBatches, EmptySelection
from model_lego.parts.preprocessing import Preprocessing

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def picture(path, *, value=None, **how):
    """Write a picture of noise, or of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(COLOURS if value is None else np.full_like(COLOURS, value)).save(path, **how)
    return path


@pytest.fixture
def root(tmp_path):
    """Two classes with two training images and a test image each."""
    return with_classes(tmp_path / "photos", "ant", "bee")


def with_classes(root, *names):
    for number, name in enumerate(names):
        for file in ("train/{}/0.png", "train/{}/1.png", "test/{}/0.png"):
            picture(root / file.format(name), value=number)
    return root


def opened(root, **how):
    """A data set, and the one line that is said of it; none where nothing is."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        split = open_data(root, **how)
    ours = [warning for warning in told if "model_lego" in warning.filename]  # Pillow warns of damaged files, too
    assert tuple(str(warning.message) for warning in ours) == split.notes
    assert len(split.notes) <= 1
    return split, "".join(split.notes)


def values(images):
    ((x, labels),) = batches(images, batch_size=100)
    return (x[:, 0, 0, 0] * 255).round().int().tolist(), labels.tolist()


# ----------------------------------------------------------------------------------------------- the order of classes


def test_folders_that_are_numbers_come_by_number_and_that_is_said(tmp_path):
    split, note = opened(with_classes(tmp_path, *map(str, range(12))))
    assert split.class_names == tuple(map(str, range(12)))
    assert values(split.test) == ([*range(12)], [*range(12)])
    assert "are numbers and come by number (0, 1, 2, 3, 4 …), not by name (0, 1, 10, 11, 2 …)" in note
    assert "--source-classes" in note


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("100", "20", "3"), ("3", "20", "100")),
        (("010", "9"), ("9", "010")),
        (("2", "10", "02"), ("02", "2", "10")),
    ],
)
def test_any_numbers_come_by_number(tmp_path, names, order):
    split, note = opened(with_classes(tmp_path, *names))
    assert split.class_names == order
    assert "come by number" in note or list(order) == sorted(order)


@pytest.mark.parametrize("names", [("0", "1", "2"), ("00", "01", "10"), ("0", "1", "10", "a"), ("n2", "n10")])
def test_where_numbers_are_names_or_both_are_the_same_nothing_is_said(tmp_path, names):
    split, note = opened(with_classes(tmp_path, *names))
    assert split.class_names == tuple(sorted(names))
    assert note == ""


@pytest.mark.parametrize("name", ["tench, Tinca tinca", "0-2", "a;b", " ", "naïve (1)"])
def test_a_class_may_have_any_name(tmp_path, name):
    split, note = opened(with_classes(tmp_path, "bee", name))
    assert set(split.class_names) == {"bee", name}
    assert (len(split.train), len(split.test), note) == (4, 2, "")


# --------------------------------------------------------------------------------------------------------- dot-names


@pytest.mark.parametrize("place", ["train", "test", "train/ant", "test/bee"])
@pytest.mark.parametrize("name", [".ipynb_checkpoints", ".git", ".Trash-0"])
def test_a_hidden_folder_is_no_class_and_its_pictures_are_counted(root, place, name):
    picture(root / place / name / "0.png")
    split, note = opened(root)
    assert split.class_names == ("ant", "bee")
    assert (len(split.train), len(split.test)) == (4, 2)
    assert note == f"left out of '{root}': hidden 1: {place}/{name}"


@pytest.mark.parametrize("name", [".DS_Store", ".gitkeep", ".directory"])
def test_hidden_files_that_are_no_pictures_go_without_saying(root, name):
    for place in ("train", "test", "train/ant", "test/bee"):
        (root / place / name).write_bytes(b"x")
    (root / "train" / ".cache").mkdir()
    assert opened(root)[1] == ""


@pytest.mark.parametrize("place", ["train", "test", "train/ant"])
def test_a_hidden_folder_that_is_closed_to_us_does_no_harm(root, monkeypatch, place):
    picture(root / place / ".Trash-0" / "0.png")
    listed = Path.iterdir

    def closed(path):
        if path.name == ".Trash-0":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", closed)
    assert opened(root)[1] == ""


def test_hidden_pictures_are_counted(root):
    picture(root / "train" / "ant" / "._0.png")
    split, note = opened(root)
    assert (len(split.train), note) == (4, f"left out of '{root}': hidden 1: train/ant/._0.png")


# ----------------------------------------------------------------------------------------------- what else is left out


@pytest.mark.parametrize("name", ["new.gif", "new.jfif", "new.JPG", "new.jpe", "new.pnm", "new.TIFF"])
def test_formats_that_pillow_reads_are_read(root, name):
    file = picture(root / "train" / "ant" / name, value=7, format="JPEG" if "jf" in name else None)
    split, note = opened(root)
    assert (len(split.train), note) == (5, "")
    assert values(split.train)[0].count(7) == 1
    assert file.is_file()


def test_of_a_moving_picture_the_first_image_is_read(root):
    frames = [Image.new("RGB", (5, 6), (shade, 0, 0)) for shade in (200, 10, 20)]
    frames[0].save(root / "train" / "ant" / "new.gif", save_all=True, append_images=frames[1:])
    split, _ = opened(root)
    assert values(split.train)[0].count(200) == 1


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("notes.txt", "another suffix 1: train/ant/notes.txt"),
        ("new.heic", "another suffix 1: train/ant/new.heic"),
        ("picture", "another suffix 1: train/ant/picture"),
        ("old/", "sub-folders 1: train/ant/old"),
        ("old.png/", "sub-folders 1: train/ant/old.png"),
        ("empty.png", "unreadable 1: train/ant/empty.png (it holds no picture)"),
        ("page.jpg", "unreadable 1: train/ant/page.jpg (it holds no picture)"),
        ("lost.png", "no regular files 1: train/ant/lost.png"),
        ("pipe.png", "no regular files 1: train/ant/pipe.png"),
    ],
)
def test_whatever_is_left_out_is_counted_and_named(root, name, line):
    path = root / "train" / "ant" / name
    if name.endswith("/"):
        picture(path / "0.png")
    elif name == "lost.png":
        path.symlink_to("nowhere")
    elif name == "pipe.png":
        os.mkfifo(path)
    else:
        path.write_bytes(b"" if "empty" in name else b"<html>not found</html>")
    split, note = opened(root)
    assert note == f"left out of '{root}': {line}"
    assert len(values(split.train)[0]) == 4


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"caf\xc3\xa9 1", "café 1"), (b"a\nb", r"a\nb"), (b"caf\xe9", r"caf\udce9"), (b"\x1b[31m", r"\x1b[31m")],
)
def test_a_name_that_cannot_be_printed_is_shown_in_one_line(root, name, shown):
    Path(os.fsdecode(bytes(root / "train" / "ant") + b"/" + name)).write_bytes(b"")
    assert opened(root)[1] == f"left out of '{root}': another suffix 1: train/ant/{shown}"


@pytest.mark.parametrize("part", ["train", "test"])
def test_pictures_beside_the_class_folders_are_counted_and_other_files_are_not(root, part):
    picture(root / part / "0.jpg")
    (root / part / "labels.csv").write_text("ant, bee")
    assert opened(root)[1] == f"left out of '{root}': in no class folder 1: {part}/0.jpg"


def test_there_is_one_line_for_all_of_it_and_of_many_names_the_first_are_shown(root):
    for number in range(7):
        (root / "train" / "ant" / f"{number}.heic").write_bytes(b"x")
    (root / "test" / "bee" / "bad.png").write_bytes(b"x")
    picture(root / "train" / "bee" / "old" / "0.png")
    picture(root / "train" / ".ipynb_checkpoints" / "0.png")
    assert opened(root)[1] == (
        f"left out of '{root}': hidden 1: train/.ipynb_checkpoints; sub-folders 1: train/bee/old; another suffix 7: "
        "train/ant/0.heic, train/ant/1.heic, train/ant/2.heic, train/ant/3.heic, train/ant/4.heic …; "
        "unreadable 1: test/bee/bad.png (it holds no picture)"
    )


def test_a_class_of_which_all_is_left_out_keeps_its_number_and_that_is_said(root):
    for path in (root / "train" / "ant").iterdir():
        path.rename(path.with_suffix(".heic"))
    with pytest.warns(UserWarning, match="ant") as told:
        split = open_data(root)
    assert split.class_names == ("ant", "bee")
    assert (split.train.labels.tolist(), split.test.labels.tolist()) == ([1, 1], [0, 1])
    assert [str(each.message) for each in told] == [
        f"'{root / 'train'}' holds no image of class ant",
        f"left out of '{root}': another suffix 2: train/ant/0.heic, train/ant/1.heic",
    ]
    with pytest.raises(EmptySelection, match="there is no image of class 'ant' in the data"):
        subset(split.train, [0, 1], class_names=split.class_names)


def test_a_part_of_which_all_is_left_out_says_what(root):
    for path in (root / "test").rglob("*.png"):
        path.rename(path.with_suffix(".heic"))
    words = r"test' holds no image; left out of it: another suffix 2: ant/0\.heic, bee/0\.heic"
    with pytest.raises(EmptySelection, match=words):
        open_data(root)


# -------------------------------------------------------------------------------------------------------- bad pictures


def cut_short(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def spoiled(path):
    """Turn bytes in the middle of a file around, so that its checksums are wrong."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(255 - byte for byte in content[middle : middle + 8])
    path.write_bytes(content)


@pytest.mark.parametrize("share", [0.95, 0.6, 0.1])
@pytest.mark.parametrize("name", ["bad.jpg", "bad.png", "bad.bmp", "bad.tif", "bad.webp"])
def test_a_truncated_picture_is_left_out_by_name(root, name, share):
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "train" / "bee" / name)
    cut_short(root / "train" / "bee" / name, share)
    split, note = opened(root)
    assert f"unreadable 1: train/bee/{name} (" in note
    assert len(values(split.train)[0]) == 4


def test_a_picture_with_a_wrong_checksum_is_left_out_by_name(root):
    spoiled(picture(root / "train" / "bee" / "bad.png"))
    split, note = opened(root)
    assert "unreadable 1: train/bee/bad.png (" in note
    assert len(values(split.train)[0]) == 4


@pytest.mark.parametrize("tail", [b"\0\0\0", b"\r\n", b"more than a picture"])
@pytest.mark.parametrize("name", ["new.jpg", "new.png"])
def test_what_stands_behind_a_whole_picture_does_no_harm(root, name, tail):
    file = picture(root / "train" / "bee" / name)
    file.write_bytes(file.read_bytes() + tail)
    split, note = opened(root)
    assert (note, len(values(split.train)[0])) == ("", 5)


def test_a_picture_with_too_many_pixels_is_left_out_by_name(root, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("RGB", (11, 10)).save(root / "train" / "bee" / "large.png")
    Image.new("RGB", (30, 10)).save(root / "train" / "bee" / "vast.jpg")
    line = "{} (it has more than 100 pixels)".format
    names = ", ".join(line(f"train/bee/{name}") for name in ("large.png", "vast.jpg"))
    assert f"unreadable 2: {names}" in opened(root)[1]


def test_with_a_size_bad_pictures_are_left_out_alike(root):
    picture(root / "train" / "ant" / "9.png").write_bytes(b"broken")
    Image.new("L", (9, 9)).save(root / "train" / "ant" / "8.png")
    split, note = opened(root, preprocessing=Preprocessing(size=4))
    assert values(split.train)[1] == [0, 0, 0, 1, 1]
    assert note == f"left out of '{root}': unreadable 1: train/ant/9.png (it holds no picture)"


def test_a_picture_whose_white_is_not_known_is_refused_before_any_work(root):
    Image.fromarray(np.linspace(-1, 1, 30, dtype=np.float32).reshape(6, 5)).save(root / "train" / "ant" / "9.tif")
    with pytest.raises(BadBatches, match=r"9\.tif' has values from -1 to 1, of which white is not known"):
        open_data(root)


def test_a_picture_that_is_spoiled_later_is_named_when_it_is_read(root):
    split = open_data(root)
    cut_short(root / "train" / "bee" / "1.png", 0.5)
    assert len(values(split.test)[0]) == 2
    with pytest.raises(BadBatches, match=r"image '.*train/bee/1\.png' cannot be read: "):
        values(split.train)


def test_notes_stay_with_the_data_when_classes_are_chosen_or_sets_are_joined(root, tmp_path):
    from model_lego.data.union import joined, of_classes

    (root / "train" / "ant" / "notes.txt").write_text("ants")
    split, note = opened(root)
    other, _ = opened(with_classes(tmp_path / "more", "cow"))
    assert of_classes(split, ["bee"]).notes == (note,)
    assert joined([other, split]).notes == (note,)
    assert torch.equal(joined([other, split]).test.labels, torch.tensor([0, 1, 2]))
