"""bin:NAME@DIGEST: which folder it is, and what is refused."""

import re

import pytest

from model_lego import load
from model_lego.errors import BadConfig, CorruptComponent
from model_lego.names import bin_names
from model_lego.names.bin_names import bin_folder, checked_name, manifest_digest, parts_in
from model_lego.parts_bin.keeping import bin_add
from model_lego.store import files, inspect
from model_lego.store.located import located


def test_the_files_are_called_as_the_store_calls_them():
    assert (bin_names.MANIFEST, bin_names.CARD) == (files.MANIFEST, files.CARD)


def test_where_the_bin_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MODEL_LEGO_PARTS", raising=False)
    assert bin_folder().name == "parts"
    assert bin_folder().parent.name == "model-lego"
    assert tmp_path in bin_folder().parents
    monkeypatch.setenv("MODEL_LEGO_PARTS", str(tmp_path / "mine"))
    assert bin_folder() == tmp_path / "mine"
    assert bin_folder(tmp_path / "given") == tmp_path / "given"


def test_a_part_is_found_by_its_name_and_by_any_digits_of_its_digest(place, cat, bird, monkeypatch):
    one = bin_add(cat, folder=place)
    bin_add(bird, folder=place)
    for digits in ("", "@" + one.digest[:1], "@" + one.digest[:12], "@" + one.digest):
        assert located(f"bin:cat{digits}", place) == one.folder
    assert located(cat) == cat
    monkeypatch.setenv("MODEL_LEGO_PARTS", str(place))
    assert load("bin:cat").classes[0] == "cat"
    assert inspect(one.reference).parts[0].classes[0] == "cat"


def test_several_parts_of_a_name_are_told_apart_by_digits(place, cat, bird):
    one, two = bin_add(cat, name="pets", folder=place), bin_add(bird, name="pets", folder=place)
    with pytest.raises(BadConfig, match="has several parts 'pets': name one of") as said:
        located("bin:pets", place)
    assert one.folder.name in str(said.value)
    assert two.folder.name in str(said.value)
    assert located(two.reference, place) == two.folder


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("bin:cot", "has no part 'cot'; did you mean cat?"),
        ("bin:horse", "has no part 'horse'"),
        ("bin:cat@000", "has no part 'cat@000': name one of cat@"),
        ("bin:", "'bin:' is no name of a part in a bin: write bin:NAME or bin:NAME@DIGEST"),
        ("bin:../cat", "is no name of a part in a bin"),
        ("bin:cat@xyz", "is no name of a part in a bin"),
    ],
)
def test_what_the_bin_has_not_is_refused_in_words(place, cat, reference, words):
    assert not bin_add(cat, folder=place).digest.startswith("000")
    with pytest.raises(BadConfig, match=re.escape(words)):
        located(reference, place)


def test_a_digest_that_goes_on_otherwise_is_another_part(place, cat):
    digest = bin_add(cat, folder=place).digest
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    with pytest.raises(BadConfig, match=f"has no part 'cat@{other}'"):
        located(f"bin:cat@{other}", place)


def test_a_part_whose_manifest_was_changed_is_not_the_one_that_is_named(place, cat):
    added = bin_add(cat, folder=place)
    manifest = added.folder / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    with pytest.raises(CorruptComponent, match=r"is not the part that its name says \(the sha256"):
        located(added.reference, place)


def test_links_are_not_followed(tmp_path, cat):
    (tmp_path / "link").symlink_to(cat)
    with pytest.raises(CorruptComponent, match="is missing, or a link"):
        manifest_digest(tmp_path / "link")


@pytest.mark.parametrize("name", ["", ".cat", "a b", "a/b", "..", "ü", "a" * 65, "cat\n", "cat@1"])
def test_names_that_no_part_can_have(name):
    with pytest.raises(BadConfig, match="is no name for a part in a bin"):
        checked_name(name)


def test_what_is_no_bin(tmp_path, cat):
    (tmp_path / "file").touch()
    for folder, words in ((tmp_path / "file", "Not a directory"), (tmp_path, "it holds other files"), (cat, "other")):
        with pytest.raises(BadConfig, match=f"is no parts bin.*{words}"):
            parts_in(folder)
    with pytest.raises(BadConfig, match="there is no parts bin"):
        located("bin:cat", tmp_path / "nowhere")
    assert parts_in(tmp_path / "nowhere") == []
