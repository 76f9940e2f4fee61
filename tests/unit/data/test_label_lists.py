"""Csv files of file,label[,split] as data sets; all mistakes are told at once, by their lines."""

import pytest
from PIL import Image

from model_lego.data import batches, open_data
from model_lego.errors import BadConfig, EmptySelection
from model_lego.parts.preprocessing import Preprocessing

ANTS, BEES = range(5), range(10, 15)


@pytest.fixture
def folder(tmp_path):
    """Ten pictures, each of a shade of its own that is its name."""
    (tmp_path / "files").mkdir()
    for shade in (*ANTS, *BEES):
        Image.new("RGB", (4, 4), (shade, 0, 0)).save(tmp_path / "files" / f"{shade}.png")
    return tmp_path


def written(folder, *lines, encoding="utf-8"):
    file = folder / "labels.csv"
    file.write_text("".join(f"{line}\n" for line in lines), encoding=encoding)
    return file


def rows(*, header=(), split=lambda shade: "", mark=","):
    """A row a picture: the first five are ants, the others bees."""
    cells = [(f"files/{shade}.png", "ant" if shade < 10 else "bee", split(shade)) for shade in (*ANTS, *BEES)]
    return [*header, *(mark.join(cell for cell in row if cell) for row in cells)]


def values(images):
    ((x, labels),) = batches(images, batch_size=100)
    return (x[:, 0, 0, 0] * 255).round().int().tolist(), labels.tolist()


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("header", [(), ("file,label",), ("Path,Class",), ("filename,label",)])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_pictures_of_a_list_are_divided_where_it_has_no_splits(folder, mark, header, encoding):
    given = rows(header=[line.replace(",", mark) for line in header], mark=mark)
    with pytest.warns(UserWarning, match=r"a fifth of the images, chosen by the digests .* \(2 of 10\)"):
        split = open_data(written(folder, *given, "", encoding=encoding))
    assert split.class_names == ("ant", "bee")
    learned, measured = values(split.train), values(split.test)
    assert (learned[1], measured[1]) == ([0] * 4 + [1] * 4, [0, 1])
    assert sorted(learned[0] + measured[0]) == [*ANTS, *BEES]


def test_splits_say_what_is_learned_from_and_measured(folder):
    given = rows(header=["image,label,split"], split=lambda shade: "Test" if shade in (2, 12) else "train")
    split = open_data(written(folder, *given))  # a note would be an error
    assert values(split.test) == ([2, 12], [0, 1])
    assert values(split.train) == ([0, 1, 3, 4, 10, 11, 13, 14], [0] * 4 + [1] * 4)


def test_columns_may_come_in_any_order_beside_others(folder):
    given = [f"{number},{label},files/{shade}.png,{part}" for number, (shade, label, part) in enumerate(
        [(0, "ant", "train"), (1, "ant", "val"), (10, "bee", "train"), (11, "bee", "val")])]  # fmt: skip
    split = open_data(written(folder, "id,class,path,part", *given))
    assert (values(split.train), values(split.test)) == (([0, 10], [0, 1]), ([1, 11], [0, 1]))


def test_of_three_splits_test_is_measured_and_the_other_said_to_be_unused(folder):
    parts = {0: "valid", 1: "test", 10: "valid", 11: "test"}
    file = written(folder, *rows(split=lambda shade: parts.get(shade, "train")))
    with pytest.warns(UserWarning, match="split test is measured; not used: valid"):
        split = open_data(file)
    assert values(split.test)[0] == [1, 11]
    assert 0 not in values(split.train)[0]


def test_pictures_are_brought_to_the_size_of_the_network(folder):
    parts = {0: "test", 10: "test"}
    file = written(folder, *rows(split=lambda shade: parts.get(shade, "train")))
    split = open_data(file, preprocessing=Preprocessing(size=6, crop=2))
    assert next(iter(batches(split.train)))[0].shape == (8, 3, 2, 2)


def test_a_named_file_is_a_picture_whatever_its_suffix_and_wherever_it_lies(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "no-suffix"
    (folder / "files" / "0.png").rename(elsewhere)
    given = [f"{elsewhere},ant,train", "files/1.png,ant,test", "files/10.png,bee,train", "files/11.png,bee,test"]
    assert values(open_data(written(folder, *given)).train)[0] == [0, 10]


def test_pictures_that_cannot_be_read_are_left_out_by_name(folder):
    (folder / "files" / "0.png").write_bytes(b"")
    (folder / "files" / "broken").write_bytes(b"x")
    given = [*rows(split=lambda shade: "test" if shade in (1, 11) else "train"), "files/broken,bee,test"]
    with pytest.warns(UserWarning, match=r"unreadable 2: files/0.png \(it holds no picture\), files/broken \(it ho"):
        split = open_data(written(folder, *given))
    assert (len(split.train), len(split.test)) == (7, 2)


def test_classes_that_are_numbers_come_by_number(folder):
    given = [f"files/{shade}.png,{label},{part}" for label, shade in ((2, 0), (10, 10)) for part in ("train",)]
    given += ["files/1.png,2,test", "files/11.png,10,test"]
    with pytest.warns(UserWarning, match=r"are numbers and come by number \(2, 10\)"):
        assert open_data(written(folder, *given)).class_names == ("2", "10")


def test_all_mistakes_are_told_with_their_lines(folder):
    file = written(
        folder,
        "file,label,split",
        "files/0.png,ant,train",
        "files/none.png,ant,train",
        "files/1.png,,train",
        "files/2.png,ant",
        "files/0.png,ant,train",
        "files/3.png,ant,learn",
        "files/10.png,bee,test",
        "files/11.png,cow,test",
    )
    with pytest.raises(BadConfig) as caught:
        open_data(file)
    assert str(caught.value) == (
        f"'{file}' cannot be used: line 3: there is no file 'files/none.png'; line 4: there is no label; "
        "line 5: it has 2 values, where 3 were expected; line 6: '0.png' is named by line 2 already; "
        "line 7: split 'learn' is none of train, test, val, valid, validation; and 2 more"
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), "is empty; give rows of file,label"),
        (("file,label",), "has a header, but no row"),
        (("files/0.png",), r"line 1: it has 1 values, where 2 were expected"),
        (("files/0.png,ant,train",), r"has no row of split test \(or val\)"),
        (("files/0.png,ant,val",), r"has no row of split train"),
        (('"files/0.png,ant',), "is no csv file in UTF-8"),
        (("files/0.png,ant,train", "files/10.png,bee,val"), "line 2: class 'bee' is in no row of split train"),
    ],
)
def test_a_list_that_cannot_be_used(folder, lines, words):
    with pytest.raises(BadConfig, match=words):
        open_data(written(folder, *lines))


def test_a_list_in_another_encoding(folder):
    (folder / "labels.csv").write_bytes(b"files/0.png,caf\xe9\n")
    with pytest.raises(BadConfig, match="is no csv file in UTF-8"):
        open_data(folder / "labels.csv")


def test_a_list_of_which_no_picture_can_be_read(folder):
    (folder / "files" / "0.png").write_bytes(b"x")
    with pytest.raises(EmptySelection, match=r"holds no image; left out of it: unreadable 1: files/0\.png"):
        open_data(written(folder, "files/0.png,ant"))


def test_names_may_hold_anything(folder):
    name = "Zebra 🦓, wild é.png"
    (folder / "files" / "0.png").rename(folder / "files" / name)
    given = [f'"files/{name}","tench, Tinca tinca",train', 'files/1.png,"tench, Tinca tinca",test']
    split = open_data(written(folder, *given))
    assert (split.class_names, values(split.train)[0]) == (("tench, Tinca tinca",), [0])
