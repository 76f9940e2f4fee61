"""The index follows the folders, whatever happens to it."""

import shutil
import sqlite3

import pytest

from model_lego.names.bin_names import INDEX
from model_lego.parts_bin import index
from model_lego.parts_bin.index import indexed
from model_lego.parts_bin.keeping import bin_add


@pytest.fixture
def filled(place, cat, bird):
    return bin_add(bird, folder=place), bin_add(cat, folder=place)


@pytest.fixture
def read(monkeypatch):
    """The folders that are read from now on."""
    names, before = [], index._read

    def reading(folder):
        names.append(folder.name)
        return before(folder)

    monkeypatch.setattr(index, "_read", reading)
    return names


def test_what_was_added_is_not_read_again(place, filled, read):
    assert indexed(place) == filled
    assert read == []


def test_a_folder_that_came_or_went_behind_its_back_is_noticed(place, filled, cat, read):
    other = place / f"kitten@{filled[1].digest[:16]}"
    shutil.copytree(cat, other)
    shutil.rmtree(filled[0].folder)
    assert [part.folder for part in indexed(place)] == [filled[1].folder, other]
    assert read == [other.name]
    indexed(place)
    assert read == [other.name]


def test_a_crash_between_folder_and_index_heals(place, cat, read, monkeypatch):
    def crash(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("model_lego.parts_bin.keeping.write", crash)
    with pytest.raises(KeyboardInterrupt):
        bin_add(cat, folder=place)
    assert [part.name for part in indexed(place)] == ["cat"]
    assert len(read) == 1


def test_a_changed_part_is_read_again_and_broken(place, filled, read):
    manifest = filled[0].folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("bird", "crow"))
    assert [bool(part.broken) for part in indexed(place)] == [True, False]
    assert read == [filled[0].folder.name]


def other_table(path):
    with sqlite3.connect(path) as opened:
        opened.execute("CREATE TABLE parts (folder TEXT)")
    opened.close()


def garbage_rows(path):
    with sqlite3.connect(path) as opened:
        opened.execute("CREATE TABLE parts (folder, stamp, facts, PRIMARY KEY (folder)) WITHOUT ROWID")
        opened.execute("INSERT INTO parts VALUES ('cat@0', 'x', '{'), ('b', 'x', '[]'), ('c', 'x', '{\"size\": 3}')")
    opened.close()


BREAKING = {
    "no index": lambda path: None,
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("this is no index of ours, but a text of some length\n" * 100),
    "torn": lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(5000)),
    "another table": other_table,
    "rows of nobody": garbage_rows,
}


@pytest.mark.parametrize("breaking", BREAKING.values(), ids=BREAKING)
def test_a_broken_index_is_made_anew(place, filled, read, breaking):
    (place / INDEX).unlink()
    breaking(place / INDEX)
    assert indexed(place) == filled
    assert len(read) == 2
    assert indexed(place) == filled
    assert len(read) == 2


def test_an_index_that_is_a_link_leads_nowhere(place, filled, tmp_path):
    (place / INDEX).unlink()
    (tmp_path / "other").write_text("mine")
    (place / INDEX).symlink_to(tmp_path / "other")
    assert indexed(place) == filled
    assert (tmp_path / "other").read_text() == "mine"
    assert not (place / INDEX).is_symlink()


def test_where_no_index_can_be_written_the_folders_are_read(place, filled, read):
    (place / INDEX).unlink()
    (place / INDEX).mkdir()
    assert indexed(place) == filled == indexed(place)
    assert len(read) == 4
    assert (place / INDEX).is_dir()


def test_an_index_that_another_process_holds_is_waited_for_and_then_left(place, filled, read, cat, monkeypatch):
    monkeypatch.setattr(index, "PATIENCE", 0.05)
    holder = sqlite3.connect(place / INDEX, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert indexed(place) == filled
    holder.close()
    read.clear()
    assert indexed(place) == filled
    assert read == []


def test_a_newer_library_reads_again_what_an_older_could_not(place, filled, read, monkeypatch):
    monkeypatch.setattr(index, "__version__", "9.9.9")
    assert indexed(place) == filled
    assert len(read) == 2


def test_a_link_to_a_part_is_broken(place, filled, cat):
    link = place / f"linked@{filled[1].digest[:16]}"
    link.symlink_to(cat)
    assert "is missing, or a link" in indexed(place)[2].broken
