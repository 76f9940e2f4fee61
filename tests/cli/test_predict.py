"""model-lego predict: a table, csv, lines of JSON and copies; what cannot be read; lists on stdin; pipes and Ctrl-C."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.squares import CLASSES, contents, pictures, refused, run

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two squares of each class in a folder, named by their class, and files that hold no picture."""
    monkeypatch.chdir(tmp_path)
    Path("photos/more").mkdir(parents=True)
    for number, (image, label) in enumerate(zip(*pictures(2, seed=3), strict=True)):
        place = "photos/more" if number >= len(CLASSES) else "photos"
        Image.fromarray(image.numpy()).save(f"{place}/{CLASSES[label]}.png")
    Path("photos/empty.jpg").write_bytes(b"")
    Path("photos/notes.txt").write_text("notes")
    return Path("photos")


@pytest.fixture
def stdin(monkeypatch):
    """Give these bytes on stdin."""

    def give(listed):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listed)))

    return give


def lines(ran):
    return [json.loads(line) for line in ran.out.splitlines()]


GOOD = ("photos/ant.png", "photos/bee.png", "photos/cat.png", "photos/dog.png")


def test_a_table_of_files_classes_and_probabilities(world, photos):
    ran = run("predict", world.both, *GOOD)
    assert (ran.code, ran.err) == (0, "4 images: 1 × ant, 1 × bee, 1 × cat, 1 × dog\n")
    assert [line.split()[1:5:2] for line in ran.out.splitlines() if "png" in line] == [
        [path, Path(path).stem] for path in GOOD
    ]
    more = run("predict", world.both, *GOOD, "--top", "9").out
    assert all(name in more for name in ("then", "bee", "ant", "cat", "dog"))


def test_a_bad_file_is_one_line_and_does_not_stop_the_others(world, photos):
    ran = run("predict", world.one, "photos", "nowhere.png", "--json")
    assert ran.code == 3
    told = lines(ran)
    assert [each["file"] for each in told if "error" not in each] == [
        *GOOD,
        *(f"photos/more/{Path(p).name}" for p in GOOD),
    ]
    assert [each for each in told if "error" in each] == [
        {"file": "photos/empty.jpg", "error": "it holds no picture"},
        {"file": "nowhere.png", "error": "there is no such file or folder"},
    ]
    assert ran.err.splitlines()[:3] == [
        "note: left out of 'photos': another suffix 1: notes.txt",
        "error: 'photos/empty.jpg' cannot be read: it holds no picture",
        "error: 'nowhere.png' cannot be read: there is no such file or folder",
    ]
    assert ran.err.splitlines()[-1].endswith("; 2 could not be read")


def test_a_broken_link_is_named_once(world, photos):
    Path("link.png").symlink_to("nowhere.png")
    ran = run("predict", world.one, "link.png", GOOD[0])
    assert (ran.code, ran.err.splitlines()[0]) == (
        3,
        "error: 'link.png' cannot be read: it is a link that leads nowhere",
    )
    assert ran.err.count("link.png") == 1


def test_where_no_photo_can_be_read_the_command_fails(world, photos):
    ran = run("predict", world.one, "photos/empty.jpg", "photos/notes.txt", "--json")
    assert ran.code == 1
    assert [each["error"] for each in lines(ran)] == ["it holds no picture"] * 2
    assert ran.err.splitlines()[-1] == "error: none of 2 photos could be read"


def test_json_has_a_line_for_each_photo(world, photos):
    (told,) = lines(run("predict", world.both, GOOD[2], "--json"))
    assert (told["file"], told["class"]) == (GOOD[2], "cat")
    assert 0.25 < told["probability"] <= 1
    assert "top" not in told
    (told,) = lines(run("predict", world.both, GOOD[2], "--json", "--top", "3"))
    assert [set(each) for each in told["top"]] == [{"class", "probability"}] * 3


def test_csv_goes_to_stdout_or_a_file(world, photos):
    ran = run("predict", world.both, *GOOD, "photos/empty.jpg", "--csv", "-", "--top", "2")
    rows = list(csv.DictReader(io.StringIO(ran.out, newline="")))
    assert [row["class"] for row in rows] == [*CLASSES, ""]
    assert list(rows[0]) == ["file", "class", "probability", "class_2", "probability_2", "error"]
    assert rows[-1]["error"] == "it holds no picture"
    Path("found.csv").write_text("of an earlier run")
    again = run("predict", world.both, *GOOD, "photos/empty.jpg", "--csv", "found.csv", "--top", "2")
    assert (again.code, again.out) == (3, "")
    assert again.err.splitlines()[-1].endswith("; written to found.csv")
    assert Path("found.csv").read_text() == ran.out.replace("\r\n", "\n")
    both = run("predict", world.both, *GOOD, "--csv", "found.csv", "--json")
    assert len(both.out.splitlines()) == 4


def test_photos_are_sorted_into_folders_of_their_classes(world, photos):
    before = contents(photos)
    ran = run("predict", world.both, "photos", "--sort-into", "sorted/by class")
    assert ran.code == 3
    assert sorted(contents(Path("sorted/by class"))) == sorted(
        Path(name, file) for name in CLASSES for file in (f"{name}.png", f"{name}-2.png")
    )
    assert ran.err.splitlines()[-1].endswith("; 8 copied")
    again = run("predict", world.both, "photos", "sorted", "--sort-into", "sorted/by class")
    assert again.err.splitlines()[-1].endswith("; 0 copied, 16 were there already")
    assert contents(photos) == before


def test_a_photo_that_is_gone_before_it_is_copied_is_a_bad_file(world, photos, monkeypatch):
    from model_lego.store.sorting import Sorter

    add = Sorter.add

    def late(sorter, path, name):
        if "bee" in path:
            Path(path).unlink()
        add(sorter, path, name)

    monkeypatch.setattr(Sorter, "add", late)
    ran = run("predict", world.both, *GOOD, "--sort-into", "sorted", "--json")
    assert (ran.code, len(contents(Path("sorted")))) == (3, 3)
    assert "No such file" in lines(ran)[1]["error"]


def test_a_class_that_is_no_name_of_a_folder_gets_one(world, photos, tmp_path):
    from model_lego import load, save

    part = load(world.one)
    part.classes = ("a/b", "..")
    save(part, tmp_path / "odd")
    ran = run("predict", tmp_path / "odd", "photos/ant.png", "photos/bee.png", "--sort-into", "sorted")
    assert "note: class 'a/b' is no name of a folder; its photos go into 'sorted/a_b'" in ran.err
    assert sorted(contents(Path("sorted"))) == [Path("_/bee.png"), Path("a_b/ant.png")]


def test_patterns_are_expanded_and_photos_that_are_named_twice_are_predicted_once(world, photos):
    ran = run("predict", world.one, "photos/*.png", "photos/**/ant.png", photos.absolute() / "bee.png", "--json")
    assert [each["file"] for each in lines(ran)] == [*GOOD, "photos/more/ant.png"]
    assert "note: 2 photos are named more than once, and are predicted once" in ran.err


@pytest.mark.parametrize("listed", ["photos/ant.png\r\n\nphotos/bee.png", "photos/ant.png\0photos/bee.png\0"])
def test_a_list_comes_on_stdin(world, photos, stdin, listed):
    stdin(listed.encode())
    assert [each["class"] for each in lines(run("predict", world.one, "-", GOOD[1], "--json"))] == ["ant", "bee"]


def test_names_of_all_kinds_are_told(world, photos, stdin):
    names = ["photos/Grüße 🐶.png", "photos/[1] *.png", os.fsdecode(b"photos/\xff.png"), "photos/two\nlines.png"]
    for name in names:
        Path(name).write_bytes(Path(GOOD[0]).read_bytes())
    stdin(b"\0".join(map(os.fsencode, names)))
    assert [each["file"] for each in lines(run("predict", world.one, "-", "--json"))] == names
    shown = run("predict", world.one, *names)
    assert shown.code == 0
    assert r"two\nlines.png" in shown.out
    assert run("predict", world.one, *names, "--csv", "found.csv").code == 0
    assert b"photos/\xff.png" in Path("found.csv").read_bytes()
    assert run("predict", world.one, *names, "--sort-into", "sorted").code == 0
    assert {Path(name).name for name in names} == {path.name for path in contents(Path("sorted"))}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--top", "0"], "--top 0"),
        (["--batch-size", "0"], "batch size 0"),
        (["--json", "--csv", "-"], "both write on stdout"),
        (["--csv", "photos"], "it is a folder"),
        (["--sort-into", "photos/notes.txt"], "so there can be no folder in it"),
        (["--sort-into", "out", "--csv", "out/x.csv"], "which is an output, too"),
    ],
)
def test_what_makes_no_sense_is_refused(world, photos, options, words):
    before = contents(Path())
    assert words in refused(run("predict", world.one, *GOOD, *options))
    assert contents(Path()) == before


def test_a_part_has_to_be_one(photos):
    assert "disassemble" in refused(run("predict", "zoo:lenet5", "photos"))
    assert run("predict").code == 2


def test_an_empty_list_is_refused(world, photos, stdin):
    stdin(b"")
    assert "no images" in refused(run("predict", world.one, "-"))


def test_a_single_class_is_said_to_tell_nothing(world, photos):
    run("remove", world.one, "--classes", "bee", "--data", world.data, "--out", "ant")
    assert "single class, 'ant'" in run("predict", "ant", GOOD[1]).err


def test_ctrl_c_says_what_is_done(world, photos, monkeypatch):
    from model_lego.cli import predict

    several = predict.predicted

    def interrupted(*given, **options):
        yield next(several(*given, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(predict, "predicted", interrupted)
    ran = run("predict", world.one, *GOOD, "--csv", "found.csv", "--batch-size", "2")
    assert ran.code == 130
    assert ran.err == "interrupted; until then 2 images: 1 × ant, 1 × bee; written to found.csv\n"
    assert len(Path("found.csv").read_text().splitlines()) == 3


def test_a_reader_that_has_enough_ends_it_quietly(world, photos):
    command = [sys.executable, "-m", "model_lego", "predict", world.one, *GOOD, "--batch-size", "1", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        started.stdout.close()
        assert started.stderr.read() == b""
    assert started.returncode == 1
