"""Which pictures names stand for: files, folders, patterns; and what is said of all else."""

import os

import pytest

from model_lego.pictures.finding import find_pictures


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder as people have them."""
    monkeypatch.chdir(tmp_path)
    for name in (
        *("photos/b.jpg", "photos/a.PNG", "photos/notes.txt", "photos/deep/er/c.jpeg", "photos/.hidden.jpg"),
        *("photos/.DS_Store", "photos/.trash/d.jpg", "photos/d.heic", "empty/notes.txt", "photo [1].jpg", "1.jpg"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_a_folder_stands_for_all_pictures_in_it_by_name(photos):
    found = find_pictures(["photos"])
    assert found.paths == ("photos/a.PNG", "photos/b.jpg", "photos/deep/er/c.jpeg")
    assert found.missing == {}
    assert found.notes == ("left out of 'photos': hidden 2: .hidden.jpg, .trash; another suffix 2: d.heic, notes.txt",)
    assert find_pictures([photos / "photos/deep"]).paths == (str(photos / "photos/deep/er/c.jpeg"),)


def test_a_file_stands_for_itself_whatever_it_is_called(photos):
    names = ("photos/notes.txt", "photos/.hidden.jpg", "photo [1].jpg", "photos/d.heic")
    assert find_pictures(names).paths == names


def test_a_pattern_finds_what_a_shell_finds(photos):
    assert find_pictures(["photos/*.jpg"]).paths == ("photos/b.jpg",)
    assert find_pictures(["photos/**/*.jp*g"]).paths == ("photos/b.jpg", "photos/deep/er/c.jpeg")
    assert find_pictures([str(photos / "[0-9].jpg")]).paths == (str(photos / "1.jpg"),)
    assert find_pictures(["pho*s"]).paths == find_pictures(["photos"]).paths  # folders that it finds are folders


def test_a_name_that_stands_for_nothing_keeps_its_place(photos):
    found = find_pictures(["1.jpg", "2.jpg", "empty", "*.bmp", "photos/b.jpg"])
    assert found.paths == ("1.jpg", "2.jpg", "empty", "*.bmp", "photos/b.jpg")
    assert found.missing == {
        "2.jpg": "there is no such file or folder",
        "empty": "the folder holds no picture; left out of it: another suffix 1: notes.txt",
        "*.bmp": "there is no file of this pattern",
    }


def test_links_lead_to_files_and_not_round_in_circles(photos):
    (photos / "photos/loop").symlink_to(photos / "photos")
    (photos / "photos/link.jpg").symlink_to(photos / "1.jpg")
    (photos / "photos/broken.jpg").symlink_to(photos / "none.jpg")
    found = find_pictures(["photos", "photos/broken.jpg"])
    assert found.paths == (
        *("photos/a.PNG", "photos/b.jpg", "photos/broken.jpg", "photos/link.jpg", "photos/deep/er/c.jpeg"),
        "photos/broken.jpg",  # a picture that cannot be read, which is said when it is
    )
    assert "linked folders 1: loop" in found.notes[0]
    assert found.missing == {}


def test_a_folder_that_is_closed_is_said(photos, monkeypatch):
    scan = os.scandir

    def closed(path):
        if str(path).endswith("er"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = find_pictures(["photos"])
    assert found.paths == ("photos/a.PNG", "photos/b.jpg")
    assert "closed folders 1: deep/er" in found.notes[0]


def test_names_of_all_scripts_are_found(photos):
    names = ["photos/deep/Grüße 🐶.jpg", "photos/deep/日本.png"]
    for name in names:
        (photos / name).write_bytes(b"")
    assert set(names) < set(find_pictures(["photos"]).paths)
    assert find_pictures(["photos/deep/*🐶*"]).paths == (names[0],)


def test_a_name_that_no_system_has_is_missing():
    assert find_pictures(["a\0b"]).missing == {"a\0b": "there is no such file or folder"}
