"""Data sets in an .npz file: what is read, in which form, and what is refused."""

import gc
import io
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch

from model_lego.data import batches, open_data
from model_lego.errors import BadBatches, BadConfig, ShapeMismatch

CLASSES = np.array(["ant", "bee", "cat"])


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def written(folder, **changes):
    """Write six training and three test images of 4 x 5 pixels, some arrays replaced or (None) left out."""
    arrays = {
        "x_train": pixels(6, 4, 5, 3), "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": pixels(3, 4, 5, 3, seed=1), "y_test": np.array([2, 1, 0]), "class_names": CLASSES,
    }  # fmt: skip
    path = folder / "data.npz"
    np.savez(path, **{key: value for key, value in {**arrays, **changes}.items() if value is not None})
    return path


def everything(images):
    (pair,) = batches(images, batch_size=100)
    return pair


def test_colour_images_come_with_channels_first_in_0_to_1(tmp_path):
    split = open_data(written(tmp_path))
    images, labels = everything(split.train)
    x = pixels(6, 4, 5, 3)
    assert images.shape == (6, 3, 4, 5)
    assert images.dtype == torch.float32
    for number, channel, row, column in [(0, 0, 0, 0), (2, 1, 3, 4), (5, 2, 1, 0)]:
        assert images[number, channel, row, column] == np.float32(x[number, row, column, channel]) / np.float32(255)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert labels.dtype == torch.int64


def test_training_and_test_images_are_not_mixed_up(tmp_path):
    split = open_data(str(written(tmp_path)))
    images, labels = everything(split.test)
    assert torch.equal(images, torch.from_numpy(pixels(3, 4, 5, 3, seed=1)).permute(0, 3, 1, 2).float() / 255)
    assert labels.tolist() == [2, 1, 0]
    assert split.class_names == ("ant", "bee", "cat")


def test_grey_images_may_lack_the_axis_of_channels(tmp_path):
    images, _ = everything(open_data(written(tmp_path, x_train=pixels(6, 4, 5))).train)
    assert images.shape == (6, 1, 4, 5)
    assert torch.equal(images[:, 0], torch.from_numpy(pixels(6, 4, 5)).float() / 255)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_taken_as_they_are(tmp_path, dtype):
    x = (pixels(6, 4, 5, 3) / 255).astype(dtype)
    images, _ = everything(open_data(written(tmp_path, x_train=x)).train)
    assert images.dtype == torch.float32
    assert torch.equal(images, torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_labels_may_be_any_integers_and_a_column(tmp_path, dtype):
    y = np.array([[0], [1], [2], [0], [1], [2]], dtype=dtype)
    _, labels = everything(open_data(written(tmp_path, y_train=y)).train)
    assert (labels.dtype, labels.tolist()) == (torch.int64, [0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("missing", ["x_train", "y_train", "x_test", "y_test", "class_names"])
def test_a_missing_array_is_named(tmp_path, missing):
    with pytest.raises(BadConfig, match=f"misses {missing}; it needs"):
        open_data(written(tmp_path, **{missing: None}))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"x_train": pixels(6, 60)}, ShapeMismatch, r"x_train .* shape \(6, 60\)"),
        ({"x_train": pixels(6, 3, 8, 9)}, ShapeMismatch, r"x_train .* looks like N x C x H x W"),
        ({"x_test": pixels(2, 4, 5, 3)}, ShapeMismatch, "x_test .* for 3 labels"),
        ({"x_train": pixels(6, 4, 5, 3).astype(np.int64)}, BadBatches, "x_train .* is int64"),
        ({"y_train": np.array([0, 1, 2, 0, 1, 3])}, BadBatches, "y_train .* out of range: 0 to 3, but there are 3"),
        ({"y_test": np.array([0, -1, 2])}, BadBatches, "y_test .* out of range: -1 to 2"),
        ({"y_test": np.array([0.0, 1.0, 2.0])}, BadBatches, "y_test .* is float64; labels have to be integers"),
        ({"x_test": np.full((3, 4, 5), np.nan)}, BadBatches, "x_test .* NaN or infinite"),
        ({"x_test": np.full((3, 4, 5), np.inf, dtype=np.float16)}, BadBatches, "x_test .* NaN or infinite"),
        ({"x_test": np.full((3, 4, 5), 255.0)}, BadBatches, "x_test .* from 255 to 255; .* divide those in 0..255"),
        ({"x_test": np.array([[[-1.0, 1.0]]] * 3)}, BadBatches, "x_test .* is float64 from -1 to 1; floats have to"),
        ({"x_test": pixels(3, 4, 5).view(np.int8)}, BadBatches, r"x_test .* is int8 from -\d+ to \d+; .* uint8 in"),
        ({"x_test": pixels(3, 4, 5) > 9}, BadBatches, "x_test .* is bool from 0 to 1; images have to be"),
        ({"x_train": pixels(6, 4, 5) // 128}, BadBatches, "x_train .* is uint8 from 0 to 1, where 0 to 255 is meant"),
        ({"x_train": pixels(6, 4, 5) / 255**2}, BadBatches, "x_train .* is float64 from .*, where 0 to 1 is meant"),
        ({"class_names": np.array([None, "a", "b"], dtype=object)}, BadConfig, "without pickles"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, change, error, words):
    with pytest.raises(error, match=words):
        open_data(written(tmp_path, **change))


LEAK = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # see the test of it below


@LEAK
@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04 the start of one"])
def test_a_file_that_is_no_archive(tmp_path, data):
    (tmp_path / "data.npz").write_bytes(data)
    with pytest.raises(BadConfig, match="cannot be read as"):
        open_data(tmp_path / "data.npz")


@LEAK
def test_a_truncated_file(tmp_path):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadConfig, match="cannot be read as"):
        open_data(path)


def test_a_broken_file_is_closed(tmp_path):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(BadConfig):
            open_data(path)
        gc.collect()
    assert [str(warning.message) for warning in told] == []


@pytest.mark.parametrize("source", ["nowhere.npz", "nowhere", "torchvision", "digit"])
def test_a_source_that_is_not_there(tmp_path, source):
    with pytest.raises(BadConfig, match=f"data '.*{source}' is no .npz file, image folder"):
        open_data(str(tmp_path / source))


def member(shape=(3, 4, 5, 3), data=b"", descr="|u1"):
    """An array in the form of .npy that says its shape and holds these bytes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    return header.getvalue() + data


def with_member(path, name, content, method=zipfile.ZIP_STORED):
    """The file with another member of this name."""
    with zipfile.ZipFile(path) as old:
        kept = {each: old.read(each) for each in old.namelist() if each != name}
    with zipfile.ZipFile(path, "w", method) as new:
        for each, data in {**kept, name: content}.items():
            new.writestr(each, data)
    return path


@pytest.mark.parametrize(
    "content",
    [
        member((10**12,)),
        member((10**30,)),
        member((-5, -5)),
        member((3, 4, 5, 3), b"too short"),
        b"\x93NUMPY\x01\x00\xff\xff",
        b"\x93NUMPY\x09\x00\x01\x00 ",
        b"\x93NUMPY\x01\x00\x0a\x00{'descr': (",
        b"no array",
    ],
)
def test_a_member_that_is_no_array(tmp_path, content):
    with pytest.raises((BadConfig, ShapeMismatch)):
        open_data(with_member(written(tmp_path), "x_test.npy", content))


@pytest.mark.parametrize("spoil", [b"\x63\x00", b"\xff\xff\xff\xff"], ids=["method", "data"])
def test_a_packed_member_that_is_damaged(tmp_path, spoil):
    path = with_member(written(tmp_path), "x_test.npy", member(data=bytes(180)), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("x_test.npy").header_offset
    data = bytearray(path.read_bytes())
    name, extra = struct.unpack_from("<HH", data, start + 26)
    if len(spoil) == 2:  # a way of packing that nobody has, in the directory as well
        data = data.replace(b"\x08\x00", spoil)
    else:
        first = start + 30 + name + extra
        data[first : first + len(spoil)] = spoil
    path.write_bytes(data)
    with pytest.raises(BadConfig, match="cannot be read as"):
        open_data(path)


@pytest.mark.parametrize("dtype", ["U3", "c8", [("red", "u1")], "M8[s]"])
def test_images_that_are_no_numbers(tmp_path, dtype):
    with pytest.raises(BadBatches, match="images have to be uint8"):
        open_data(written(tmp_path, x_test=np.zeros((3, 4, 5, 3), dtype)))


def test_names_of_no_letters(tmp_path):
    names = member((3,), b"\xff\xff\xff\x7f" * 3, "<U1")
    with pytest.raises(BadConfig, match=r"names of the classes in .* are no text"):
        open_data(with_member(written(tmp_path), "class_names.npy", names))


def test_a_single_array_by_another_name(tmp_path):
    with (tmp_path / "data.npz").open("wb") as file:
        np.save(file, pixels(3, 4, 5, 3))
    with pytest.raises(BadConfig, match=r"is one array, a \.npy file"):
        open_data(tmp_path / "data.npz")


def test_arrays_that_nobody_reads_are_not_read(tmp_path):
    path = with_member(written(tmp_path), "notes.npy", b"no array at all")
    assert open_data(path).class_names == ("ant", "bee", "cat")


def test_what_unpacks_to_far_more_than_the_file_is_refused_before_it_is(tmp_path):
    images = member((300, 1000, 1000), bytes(300 * 10**6))
    path = with_member(written(tmp_path, y_train=np.zeros(300, int)), "x_train.npy", images, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**6
    with pytest.raises(BadConfig, match=r"would unpack to 300,[\d,]+ bytes"):
        open_data(path)
