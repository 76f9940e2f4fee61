"""A folder that is replaced is the old one or the new one, whatever happens to who replaces it."""

import sys
import threading
import warnings

import pytest

from benchmarks.kills import killed, left, part
from model_lego.errors import CorruptComponent
from model_lego.store import load, save, swapping
from model_lego.store.swapping import exchanged, locked, making, put, read_whole

posix = pytest.mark.skipif(sys.platform == "win32", reason="folders are not held on Windows")


@pytest.fixture
def parts():
    return [part("a"), part("bb")]


@pytest.mark.skipif(sys.platform != "linux", reason="folders are exchanged on Linux")
def test_writers_that_are_killed_leave_one_whole_part_and_the_next_cleans_up(tmp_path, parts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
        found = killed(tmp_path / "part", parts, kills=6, seconds=0.3)
    assert sum(found.values()) == 6
    save(parts[0], tmp_path / "part", overwrite=True)
    assert left(tmp_path / "part") == []


def test_readers_beside_writers_see_one_part_or_the_other(tmp_path, parts):
    folder, done = save(parts[0], tmp_path / "part"), threading.Event()

    def write():
        for number in range(8):
            save(parts[(number + 1) % 2], folder, overwrite=True)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        there = load(folder)
        assert {round(float(one.detach().mean()), 4) for one in there.parameters()} == {len(there.classes[0]) / 100}
    writer.join()


@pytest.mark.skipif(sys.platform != "linux", reason="folders are exchanged on Linux")
def test_two_folders_change_places(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert exchanged(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "b").exists()
    assert not exchanged(tmp_path / "a", tmp_path / "nowhere")


@posix
def test_what_is_left_is_removed_and_what_is_held_or_not_ours_stays(tmp_path):
    for name in (".part.saving-12345678", ".part.saving-abcdefgh", ".part.saving-87654321", ".other.saving-12345678"):
        (tmp_path / name / "new").mkdir(parents=True)
    (tmp_path / ".part.saving-87654321" / "thesis.txt").touch()
    with locked(tmp_path / ".part.saving-abcdefgh") as held:
        assert held
        with making(tmp_path / "part") as fresh:
            assert fresh.parent.name.startswith(".part.saving-")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {".part.saving-abcdefgh", ".part.saving-87654321", ".other.saving-12345678"}


@posix
def test_a_kill_between_two_renames_is_mended_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(swapping, "exchanged", lambda *_: False)
    (tmp_path / ".part.saving-12345678" / "old" / "mine").mkdir(parents=True)
    with making(tmp_path / "part"):
        assert (tmp_path / "part" / "mine").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


@posix
def test_a_folder_is_held_once_and_nobody_waits_for_ever(tmp_path):
    with locked(tmp_path) as one, locked(tmp_path, patience=0.02) as other:
        assert (one, other) == (True, False)
    with locked(tmp_path, patience=0) as again:
        assert again
    with locked(tmp_path / "nowhere") as none:
        assert not none


def test_what_is_read_while_it_is_replaced_is_read_again(tmp_path):
    folder = tmp_path / "part"
    folder.mkdir()

    def torn():
        if not (folder / "new").exists():
            with making(folder) as fresh:
                (fresh / "new").touch()
                put(fresh, folder)
            raise CorruptComponent("half of the old")
        return [path.name for path in folder.iterdir()]

    assert read_whole(folder, torn) == ["new"]
    with pytest.raises(CorruptComponent, match="damaged"):
        read_whole(folder, damaged)


def damaged():
    raise CorruptComponent("damaged")
