"""Where nothing can be written is known before work begins, and is said with the place and the reason."""

import collections
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from safetensors import SafetensorError

from model_lego.errors import CannotWrite, OutputExists
from model_lego.store import save
from model_lego.store.outputs import check_apart, check_file, check_place, check_room, writing
from model_lego.store.replacing import check_out
from tests.support.handmade_parts import tiny_component

Usage = collections.namedtuple("Usage", "total used free")


def read_only(*_, **__):
    raise PermissionError(13, "Permission denied")


PLACES = {
    "under a file": (lambda root: root / "file" / "part", "'.*file' is a file, so there can be no folder in it"),
    "far under a file": (lambda root: root / "file" / "a" / "part", "is a file"),
    "a long name": (lambda root: root / ("n" * 250), "the name 'n+…' is too long"),
    "a long folder": (lambda root: root / ("n" * 300) / "part", "the name 'n+…' is too long"),
    "a long path": (lambda root: root / "/".join(["folder"] * 700), "the path is too long"),
    "a NUL": (lambda root: f"{root}/a\0b", "is no path"),
    "half a character": (lambda root: f"{root}/\ud800", "is no path"),
}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "file").write_text("mine")
    return tmp_path


@pytest.mark.parametrize("check", [check_place, check_file, lambda place: check_out(place, overwrite=True)])
@pytest.mark.parametrize("where", PLACES)
def test_a_place_that_there_cannot_be(root, where, check):
    place, words = PLACES[where]
    with pytest.raises(CannotWrite, match=words):
        check(place(root))


@pytest.mark.parametrize("where", PLACES)
def test_saving_refuses_it_too(root, where):
    place, words = PLACES[where]
    with pytest.raises(CannotWrite, match=words):
        save(tiny_component(), place(root))
    assert [path.name for path in root.iterdir()] == ["file"]


def test_a_read_only_folder(root, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    for place in (root / "part", root / "new" / "part"):
        with pytest.raises(CannotWrite, match=rf"the folder '{root}' does not allow it \(Permission denied\)"):
            check_place(place)
        with pytest.raises(CannotWrite, match="does not allow it"):
            save(tiny_component(), place)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a file system that holds no files of ours")
def test_a_folder_that_takes_no_files_whoever_asks():
    with pytest.raises(CannotWrite, match="the folder '/proc' does not allow it"):
        check_place("/proc/part")


def test_a_folder_of_somebody_else(root, monkeypatch):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (root / "closed").mkdir(mode=0o555)
    with pytest.raises(CannotWrite, match="closed' does not allow it"):
        check_place(root / "closed" / "part")


def test_checking_leaves_no_trace(root):
    before = root.stat().st_mtime_ns
    check_place(root / "new" / "part", needs=1)
    check_file(root / "page.html")
    assert [path.name for path in root.iterdir()] == ["file"]
    assert root.stat().st_mtime_ns == before


def test_a_disk_without_room(root, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 900, 100))
    check_room(root / "part", 100)
    for place in (root / "part", root / "new" / "part", root):
        with pytest.raises(CannotWrite, match="may take 1,001 bytes, but the disk has 100 left"):
            check_room(place, 1001)
    with pytest.raises(CannotWrite, match="but the disk has 100 left"):
        save(tiny_component(), root / "part")
    assert [path.name for path in root.iterdir()] == ["file"]


def test_a_file_is_no_folder_and_may_be_replaced(root):
    check_file(root / "file")
    (root / "page.html").mkdir()
    with pytest.raises(CannotWrite, match="it is a folder; name a file"):
        check_file(root / "page.html")


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_put_into_a_saved_part(root, overwrite):
    save(tiny_component(), root / "part")
    for place in (root / "part" / "inner", root / "part" / "new" / ".." / "inner"):
        with pytest.raises(OutputExists, match=r"would lie in '.*part', which is a saved part"):
            save(tiny_component(), place, overwrite=overwrite)
    save(tiny_component(), root / "part", overwrite=True)
    assert len(list((root / "part").iterdir())) == 3


def test_outputs_lie_apart(root):
    check_apart(root / "part", root / "curve.png", None)
    for other in (root / "part" / "curve.png", root / "part", root / "new" / ".." / "part" / "a" / "b.png"):
        with pytest.raises(CannotWrite, match=r"two outputs have this name|it would lie in"):
            check_apart(root / "part", None, other)
        with pytest.raises(CannotWrite):
            check_apart(other, root / "part")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), "'page.html' cannot be written: No space left on device"),
        (PermissionError(13, "Permission denied", "x"), "'page.html' cannot be written: Permission denied"),
        (SafetensorError("I/O error"), "'page.html' cannot be written: I/O error"),
    ],
)
def test_what_the_system_says_is_said_with_the_place(error, words):
    with pytest.raises(CannotWrite, match=words), writing("page.html"):
        raise error


def test_our_own_refusals_stay_what_they_are():
    with pytest.raises(OutputExists, match="mine"), writing("page.html"):
        raise OutputExists("mine")
