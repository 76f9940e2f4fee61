"""Copies in a folder for each class: names kept, nothing overwritten, copies known again, classes made folder names."""

import os

import pytest

from model_lego.errors import CannotWrite
from model_lego.store.sorting import Sorter, folder_names
from tests.support.squares import contents


@pytest.fixture
def put(tmp_path):
    """Sort a file of some bytes, which lies in a folder of its own, below `out`."""

    def put(sorter, text, *, name="x.jpg", source="a", to="ant"):
        path = tmp_path / source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, (1e9, 1e9))
        sorter.add(path, to)

    return put


def files(folder):
    return {path.as_posix(): text.decode() for path, text in contents(folder).items()}


def test_files_keep_their_names_and_times_and_others_of_the_name_get_a_number(tmp_path, put):
    sorter = Sorter(tmp_path / "out", ["ant", "bee"])
    put(sorter, "one")
    put(sorter, "two", source="b")
    put(sorter, "three", source="c")
    put(sorter, "one", source="d", to="bee")
    put(sorter, "none", name="no suffix", source="d", to="bee")
    put(sorter, "other", name="no suffix", source="e", to="bee")
    assert files(tmp_path / "out") == {
        "ant/x.jpg": "one", "ant/x-2.jpg": "two", "ant/x-3.jpg": "three",
        "bee/x.jpg": "one", "bee/no suffix": "none", "bee/no suffix-2": "other",
    }  # fmt: skip
    assert (tmp_path / "out/ant/x-2.jpg").stat().st_mtime == 1e9
    assert (sorter.copied, sorter.known) == (6, 0)
    assert files(tmp_path / "a") == {"x.jpg": "one"}  # which was copied, not moved


def test_a_copy_that_is_there_is_known_again_in_this_run_and_the_next(tmp_path, put):
    first = Sorter(tmp_path / "out", ["ant"])
    for text, source in (("one", "a"), ("two", "b"), ("two", "c"), ("one", "d")):
        put(first, text, source=source)
    assert (first.copied, first.known) == (2, 2)
    again = Sorter(tmp_path / "out", ["ant"])
    put(again, "two", source="e")
    again.add(tmp_path / "out/ant/x-2.jpg", "ant")
    assert (again.copied, again.known) == (0, 2)
    assert files(tmp_path / "out") == {"ant/x.jpg": "one", "ant/x-2.jpg": "two"}


def test_what_is_no_file_is_in_the_way_and_stays(tmp_path, put):
    (tmp_path / "out/ant/x.jpg").mkdir(parents=True)
    (tmp_path / "out/ant/x-2.jpg").symlink_to(tmp_path / "nowhere.jpg")
    put(Sorter(tmp_path / "out", ["ant"]), "one")
    assert files(tmp_path / "out") == {"ant/x-3.jpg": "one"}
    assert not (tmp_path / "nowhere.jpg").exists()


def test_a_copy_that_fails_leaves_nothing(tmp_path, put, monkeypatch):
    def full(file, copy):
        copy.write(b"on")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(CannotWrite, match=r"x\.jpg' cannot be written: No space left on device"):
        put(Sorter(tmp_path / "out", ["ant"]), "one")
    assert files(tmp_path / "out") == {}


def test_classes_become_names_of_folders_each_of_its_own():
    classes = [
        "a/b",
        "a_b",
        "..",
        ".net",
        "Ant",
        "ant",
        "CON",
        "tench, Tinca tinca",
        "what?",
        "end. ",
        "\0",
        "é",
        "e\u0301",
    ]
    assert folder_names(classes) == {
        "a/b": "a_b-2",  # since another class is called so
        "a_b": "a_b",
        "..": "_",
        ".net": "_.net",
        "Ant": "Ant",
        "ant": "ant-2",  # which is the same folder on some systems
        "CON": "_CON",
        "tench, Tinca tinca": "tench, Tinca tinca",
        "what?": "what_",
        "end. ": "end",
        "\0": "_-2",
        "é": "é",
        "e\u0301": "e\u0301-2",
    }
    long = folder_names(["ü" * 300])["ü" * 300]
    assert long == "ü" * 75
