"""Parts are added, checked and removed; nothing is lost, whoever writes."""

import sys
import warnings
from pathlib import Path

import pytest
import torch

from benchmarks.kills import part
from benchmarks.parts import add_at_once
from model_lego.errors import BadConfig, CannotWrite, CorruptComponent, OutputExists
from model_lego.parts_bin import keeping
from model_lego.parts_bin.index import indexed, rows_without_folder
from model_lego.parts_bin.keeping import bin_add, bin_gc, bin_remove, bin_verify
from model_lego.store import load, save

forks = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked, and folders held")


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_part_is_copied_as_it_is_and_told_of(place, cat):
    added = bin_add(cat, folder=place)
    assert contents(added.folder) == contents(cat)
    assert (added.name, added.kind, added.classes[:2], added.broken) == ("cat", "component", ("cat", "class 1"), "")
    assert added.sources == ("zoo:lenet5 (width=0.2)",)
    assert added.bytes == (cat / "model.safetensors").stat().st_size
    assert (added.accuracy, added.licence) == (None, "")
    assert torch.equal(next(load(added.folder).parameters()), next(load(cat).parameters()))


def test_the_same_part_is_there_once_and_another_of_its_name_beside_it(place, cat, bird):
    one, again = bin_add(cat, folder=place), bin_add(cat, folder=place)
    assert one == again
    other = bin_add(bird, name="cat", folder=place)
    assert set(indexed(place)) == {one, other}


def test_a_part_of_the_bin_is_added_under_another_name(place, cat):
    one = bin_add(cat, folder=place)
    other = bin_add(one.reference, name="kitten", folder=place)
    assert (other.name, other.digest) == ("kitten", one.digest)
    assert bin_add(one.folder, folder=place) == one


def test_a_licence_is_written_into_the_card_of_the_copy(place, cat):
    before = contents(cat)
    added = bin_add(cat, licence="apache-2.0", folder=place)
    card = (added.folder / "README.md").read_text()
    assert added.licence == "apache-2.0"
    assert card.startswith("---\nlibrary_name: model-lego\n")
    assert card.count("license: apache-2.0") == 1
    assert card.partition("\n---\n")[2] == (cat / "README.md").read_text().partition("\n---\n")[2]
    assert bin_add(cat, licence="mit", folder=place).licence == "mit"
    assert sorted(path.name for path in added.folder.iterdir()) == ["README.md", "manifest.json", "model.safetensors"]
    assert contents(cat) == before


def test_cards_of_every_kind_give_a_licence_or_none(place, cat):
    added = bin_add(cat, folder=place)
    for text, licence in (
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\nlicense:\n- mit\n- 3\n---\n", "mit, 3"),
        ("---\nlicense: mit", ""),
        ("license: mit", ""),
        ("---\n- mit\n---\n", ""),
        ("---\n{[\n---\n", ""),
        ("", ""),
    ):
        (added.folder / "README.md").write_text(text)
        assert indexed(place)[0].licence == licence, text
    (added.folder / "README.md").write_bytes(b"---\nlicense: \xff\n---\n")
    assert indexed(place)[0].licence == ""


def test_what_is_of_no_part_is_not_copied_and_said(place, tmp_path):
    folder = save(part("cat"), tmp_path / "cat")
    (folder / "notes.txt").touch()
    with pytest.warns(UserWarning, match=r"holds what is of no part and is not copied: notes\.txt"):
        added = bin_add(folder, folder=place)
    assert not (added.folder / "notes.txt").exists()


def test_damaged_parts_are_refused_and_leave_nothing(place, tmp_path, cat):
    folder = save(part("cat"), tmp_path / "cat")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptComponent, match="sha256 differs"):
        bin_add(folder, folder=place)
    with pytest.raises(CorruptComponent, match="is not a folder"):
        bin_add(tmp_path / "nowhere", folder=place)
    with pytest.raises(BadConfig, match="is no name for a part"):
        bin_add(cat, name="a b", folder=place)
    assert list(place.glob("*")) == []


def test_a_bin_that_may_not_be_written(place, cat, bird, monkeypatch):
    bin_add(cat, folder=place)

    def refuse(*given, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(CannotWrite, match=r"does not allow it \(Permission denied\)"):
        bin_add(bird, folder=place)


@forks
def test_processes_that_add_at_once_lose_nothing(place):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
        assert add_at_once(place, writers=4, each=4) == 16
    assert bin_gc(folder=place, dry_run=True) == ()


def test_verifying_tells_which_parts_are_broken(place, cat, bird):
    one, two = bin_add(cat, folder=place), bin_add(bird, folder=place)
    assert [part.broken for part in bin_verify(folder=place)] == ["", ""]
    weights = two.folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert [(part.name, bool(part.broken)) for part in bin_verify(folder=place)] == [("bird", True), ("cat", False)]
    assert "sha256 differs" in bin_verify("bird", folder=place)[0].broken
    (one.folder / "manifest.json").write_text("{}")
    assert "is not the part that its name says" in bin_verify("bin:cat", folder=place)[0].broken
    with pytest.raises(CorruptComponent, match="the bin has this part already, and broken; remove it first"):
        bin_add(bird, folder=place)


def test_a_part_is_removed_by_its_digest_alone(place, cat, bird):
    one, two = bin_add(cat, folder=place), bin_add(bird, folder=place)
    with pytest.raises(BadConfig, match=r"has to be told which part 'cat' is meant.*name one of cat@"):
        bin_remove("cat", folder=place)
    assert bin_remove(f"cat@{one.digest[:3]}", folder=place) == one
    assert indexed(place) == (two,)
    assert rows_without_folder(place) == []
    assert sorted(path.name for path in place.iterdir()) == [two.folder.name, "parts-index.sqlite"]


def test_a_broken_part_can_be_removed_and_added_again(place, cat):
    added = bin_add(cat, folder=place)
    (added.folder / "manifest.json").unlink()
    assert bin_remove(str(added), folder=place).broken
    assert bin_add(cat, folder=place) == added


def test_files_of_somebody_else_are_not_removed(place, cat):
    added = bin_add(cat, folder=place)
    (added.folder / "thesis.txt").touch()
    with pytest.raises(OutputExists, match=r"holds what is of no part, 'thesis.txt': move it first"):
        bin_remove(str(added), folder=place)
    assert len(list(added.folder.iterdir())) == 4


@forks
def test_what_killed_processes_left_is_collected(place, cat, monkeypatch):
    added = bin_add(cat, folder=place)
    left = place / f".{added.folder.name}.saving-12345678"
    (left / "new").mkdir(parents=True)
    (left / "new" / "model.safetensors").touch()
    gone = bin_add(cat, name="gone", folder=place)
    for path in gone.folder.iterdir():
        path.unlink()
    gone.folder.rmdir()
    expected = (left.name, gone.folder.name)
    assert bin_gc(folder=place, dry_run=True) == expected
    assert left.exists()
    assert bin_gc(folder=place) == expected
    assert bin_gc(folder=place) == ()
    assert sorted(path.name for path in place.iterdir()) == [added.folder.name, "parts-index.sqlite"]


@forks
def test_what_a_living_process_holds_stays(place, cat):
    from model_lego.store.swapping import making

    added = bin_add(cat, folder=place)
    with making(added.folder) as fresh:
        assert bin_gc(folder=place) == ()
        assert fresh.is_dir()


def test_a_part_that_is_written_to_while_it_is_copied_is_refused(place, cat, tmp_path, monkeypatch):
    def other(source, fresh):
        for path in save(part("other"), tmp_path / "other").iterdir():
            path.rename(Path(fresh) / path.name)

    monkeypatch.setattr(keeping, "_copy", other)
    with pytest.raises(CorruptComponent, match="was written to while it was copied"):
        bin_add(cat, folder=place)
    assert list(place.iterdir()) == []
