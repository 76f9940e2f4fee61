"""How an image folder may be laid out: two parts by several names, three, or classes alone, which are then divided."""

import shutil

import pytest
from PIL import Image

from model_lego.data import batches, open_data
from model_lego.data.folders import open_folder
from model_lego.data.photo_sets import Reading
from model_lego.errors import BadConfig, EmptySelection
from model_lego.parts.preprocessing import Preprocessing


def pictures(folder, count, *, shade=0):
    """So many pictures in a folder, each of a shade of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (4, 4), (shade + number, 0, 0)).save(folder / f"{number:02}.png")


def values(images):
    ((x, _),) = batches(images, batch_size=1000)
    return (x[:, 0, 0, 0] * 255).round().int().tolist()


# ---------------------------------------------------------------------------------------------------- classes alone


@pytest.fixture
def alone(tmp_path):
    """Two classes of ten pictures and one of four; no parts."""
    for number, (name, count) in enumerate({"ant": 10, "bee": 10, "cat": 4}.items()):
        pictures(tmp_path / "alone" / name, count, shade=50 * number)
    return tmp_path / "alone"


def test_of_classes_alone_a_fifth_of_each_is_measured_and_that_is_said(alone):
    with pytest.warns(UserWarning, match=r"has no parts train/ and test/: of each class a fifth .* \(5 of 24\)"):
        split = open_data(alone)
    assert split.class_names == ("ant", "bee", "cat")
    assert split.train.labels.tolist() == [0] * 8 + [1] * 8 + [2] * 3
    assert split.test.labels.tolist() == [0, 0, 1, 1, 2]
    assert sorted(values(split.train) + values(split.test)) == [*range(10), *range(50, 60), *range(100, 104)]


def test_which_are_measured_is_the_same_everywhere(alone, tmp_path):
    assert values(open_folder(alone).test) == MEASURED
    shutil.copytree(alone, tmp_path / "elsewhere")
    assert values(open_folder(tmp_path / "elsewhere").test) == MEASURED


#: By the digests of "ant/00.png" to "cat/03.png".
MEASURED = [5, 9, 51, 56, 101]


def test_a_new_class_moves_no_picture_of_the_others(alone):
    pictures(alone / "ape", 5, shade=200)
    split = open_folder(alone)
    assert split.class_names == ("ant", "ape", "bee", "cat")
    assert [value for value in values(split.test) if value < 200] == MEASURED


@pytest.mark.parametrize(("count", "measured"), [(2, 1), (3, 1), (7, 1), (8, 2), (12, 2), (13, 3)])
def test_of_few_pictures_one_at_least_is_measured(tmp_path, count, measured):
    pictures(tmp_path / "ant", count)
    split = open_folder(tmp_path)
    assert (len(split.train), len(split.test)) == (count - measured, measured)


def test_a_class_of_one_picture_is_not_measured_and_that_is_said(alone):
    pictures(alone / "dog", 1, shade=200)
    pictures(alone / "elk", 0)
    split = open_folder(alone)
    assert split.class_names == ("ant", "bee", "cat", "dog", "elk")
    assert values(split.train)[-1] == 200
    assert values(split.test) == MEASURED
    assert split.notes[1:] == (
        f"'{alone}' holds no image of class elk",
        "classes of one image, which is learned from and not measured: dog",
    )


def test_another_seed_measures_others(alone):
    found = [values(open_folder(alone, seed=seed).test) for seed in (0, 1, 1, 2)]
    assert found[0] == MEASURED
    assert found[1] == found[2]
    assert len({tuple(each) for each in found}) == 3
    assert [len(each) for each in found] == [5] * 4


def test_of_classes_alone_bad_pictures_are_left_out_before_they_are_divided(alone):
    (alone / "ant" / "10.png").write_bytes(b"rubbish")
    (alone / "beside.jpg").write_bytes(b"")
    split = open_folder(alone)
    assert values(split.test) == MEASURED
    assert split.notes[-1] == (
        f"left out of '{alone}': unreadable 1: ant/10.png (it holds no picture); in no class folder 1: beside.jpg"
    )


def test_classes_alone_of_several_sizes_are_brought_to_one(alone):
    Image.new("L", (9, 5)).save(alone / "ant" / "10.png")
    Image.new("L", (9, 5)).save(alone / "bee" / "10.png")
    split = open_folder(alone, Reading(Preprocessing(size=4)))
    assert next(iter(batches(split.train, batch_size=100)))[0].shape[1:] == (3, 4, 4)


def test_classes_alone_that_are_numbers(tmp_path):
    for name in ("1", "2", "10"):
        pictures(tmp_path / name, 2)
    split = open_folder(tmp_path)
    assert split.class_names == ("1", "2", "10")
    assert len(split.notes) == 2


@pytest.mark.parametrize("name", ["train", "test", "val"])
def test_a_class_may_be_called_as_a_part(alone, name):
    pictures(alone / name, 5, shade=200)
    assert open_folder(alone).class_names == tuple(sorted(["ant", "bee", "cat", name]))


def test_a_folder_above_the_data_set_says_what_is_in_it(alone):
    with pytest.raises(EmptySelection, match=r"holds no image; left out of it: sub-folders 3: alone/ant, alone/bee"):
        open_data(alone.parent)


@pytest.mark.parametrize("inside", [None, "readme.txt", "one.png"])
def test_a_folder_without_any_class(tmp_path, inside):
    if inside is not None:
        (tmp_path / inside).write_bytes(b"x")
    with pytest.raises(BadConfig, match=r"has no folders train/CLASS and test/CLASS \(or val/CLASS\), nor CLASS alone"):
        open_data(tmp_path)


# -------------------------------------------------------------------------------------------------------------- parts


@pytest.fixture
def parts(tmp_path):
    """A training part of two classes; gives a function that makes another part, its pictures from a shade on."""
    for number, name in enumerate(("ant", "bee")):
        pictures(tmp_path / "train" / name, 3, shade=10 * number)

    def make(part, shade):
        for name in ("ant", "bee"):
            pictures(tmp_path / part / name, 1, shade=shade)
        return tmp_path

    return make


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation"])
def test_the_part_that_is_measured_has_one_of_these_names(parts, name):
    split = open_data(parts(name, 100))  # a note would be an error
    assert (values(split.train), values(split.test)) == ([0, 1, 2, 10, 11, 12], [100, 100])
    assert split.notes == ()


@pytest.mark.parametrize("other", ["val", "valid", "validation"])
def test_of_three_parts_test_is_measured_and_the_other_said_to_be_unused(parts, other):
    parts(other, 100)
    root = parts("test", 200)
    with pytest.warns(UserWarning, match=f"test/ is measured; not used: {other}/$"):
        split = open_data(root)
    assert values(split.test) == [200, 200]
    assert len(split.train) == 6


def test_of_parts_without_labels_none_is_measured(parts):
    root = parts("valid", 100)
    pictures(root / "test", 4, shade=200)
    split = open_folder(root)
    assert values(split.test) == [100, 100]
    assert split.notes == (f"of '{root}' valid/ is measured; not used: test/",)


def test_a_training_part_alone_is_refused_with_the_way_out(parts):
    root = parts("elsewhere", 100)
    words = r"no folders train/CLASS and test/CLASS \(or val/CLASS\); with '.*/train' itself a fifth of it is measured"
    with pytest.raises(BadConfig, match=words):
        open_data(root)
    assert len(open_folder(root / "train").test) == 2


def test_parts_of_which_none_has_classes(tmp_path):
    for name in ("train", "test"):
        pictures(tmp_path / name, 3)
    with pytest.raises(BadConfig, match=r"no folders train/CLASS and test/CLASS"):
        open_data(tmp_path)


def test_a_test_part_without_labels_and_no_other(parts):
    root = parts("train", 100)
    pictures(root / "test", 3)
    with pytest.raises(BadConfig, match=r"\(or val/CLASS\); with '.*/train' itself a fifth of it is measured"):
        open_data(root)
