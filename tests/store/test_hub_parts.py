"""Parts on the Hub: what is fetched, at which commit, without a connection, and what is refused, one error each."""

import json
import sys
from pathlib import Path

import pytest
import torch

import model_lego as ml
from model_lego.errors import BadConfig, CannotFetch, CorruptComponent
from model_lego.store import inspect, load, save
from model_lego.store.hub_parts import in_cache, snapshot
from model_lego.store.located import located
from tests.support.handmade_parts import read_json
from tests.support.hub_server import READS

PETS = "hub:user/pets"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a saved component of a LeNet."""
    from benchmarks.kills import part

    return save(part("cat"), tmp_path_factory.mktemp("saved") / "cat")


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def commit(hub, saved, cache):
    """Of a repository with the part."""
    return hub.make("user/pets", files(saved))


def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def fetched(hub):
    return [path.rpartition("/")[2] for method, path in hub.asked if method == "GET" and "/resolve/" in path]


@pytest.mark.parametrize("revision", ["", "@main", "@{commit}", "@first", "@some/branch"])
def test_a_part_is_loaded_at_the_commit_that_is_meant_and_remembers_it(revision, hub, commit, saved, tmp_path):
    hub.repositories["user/pets"].refs |= {"first": commit, "some/branch": commit}
    name = PETS + revision.format(commit=commit)
    part = load(name)
    assert part.origin.provenance.revisions == (f"{PETS}@{commit}",)
    assert files(snapshot(name)) == files(saved)
    images = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(part(images), load(saved)(images))
    again = read_json(save(part, tmp_path / "again"))
    assert again["parts"][0]["origin"]["provenance"]["revisions"] == [f"{PETS}@{commit}"]
    assert {**again, "parts": []} == {**read_json(saved), "parts": []}


def test_an_assembly_remembers_it_too_and_so_does_what_is_made_of_a_part(hub, commit, saved, tmp_path):
    part = load(PETS)
    other = load(saved)
    other.classes = tuple(f"other {name}" for name in other.classes)
    joined = save(ml.assemble([part, other]), tmp_path / "joined")
    assert read_json(joined)["parts"][0]["origin"]["provenance"]["revisions"] == [f"{PETS}@{commit}"]
    whole = hub.make("user/joined", files(joined))
    assert load("hub:user/joined").record.provenance.revisions == (f"hub:user/joined@{whole}",)


def test_only_files_of_a_part_are_fetched_and_others_are_said(hub, saved, cache):
    others = dict.fromkeys(("config.json", "pytorch_model.bin", "run.py", "a/manifest.json", "\x1b[31m.txt"), b"boo")
    hub.make("user/pets", files(saved) | others)
    with pytest.warns(UserWarning, match=r"holds what is of no part and is not fetched: \\x1b\[31m.txt, a/man"):
        load(PETS)
    assert sorted({*fetched(hub)}) == ["README.md", "manifest.json", "model.safetensors"]


def test_a_manifest_is_looked_at_without_weights(hub, commit):
    assert inspect(PETS).parts[0].classes[0] == "cat"
    assert "model.safetensors" not in fetched(hub)
    inspect(PETS, check_weights=True)
    assert fetched(hub).count("model.safetensors") == 1


def test_a_pinned_part_in_the_cache_needs_no_connection(hub, commit):
    load(f"{PETS}@{commit}")
    hub.asked.clear()
    load(f"{PETS}@{commit}", sha256=None)
    assert hub.asked == []


def test_a_branch_is_what_it_is_now(hub, commit, saved, tmp_path):
    load(PETS)
    part = load(saved)
    part.classes = ("dog", *part.classes[1:])
    newer = hub.make("user/pets", files(save(part, tmp_path / "dog")))
    assert load(PETS).origin.provenance.revisions == (f"{PETS}@{newer}",)
    assert load(f"{PETS}@{commit}").classes[0] == "cat"


def test_without_a_connection_the_cache_gives_what_was_fetched(hub, commit, monkeypatch):
    load(PETS)
    offline(monkeypatch)
    hub.asked.clear()
    assert load(PETS).origin.provenance.revisions == (f"{PETS}@{commit}",)
    assert (str(in_cache(PETS)), hub.asked) == (f"{PETS}@{commit}", [])
    with pytest.raises(CannotFetch, match=r"'hub:user/none@main' is not in the cache '.*', and HF_HUB_OFFLINE is set"):
        load("hub:user/none")
    with pytest.raises(CannotFetch, match=r"'hub:user/pets@v2' is not in the cache"):
        load(f"{PETS}@v2")


def test_without_a_connection_a_manifest_alone_is_no_part(hub, commit, monkeypatch):
    inspect(PETS)
    offline(monkeypatch)
    assert inspect(PETS).parts[0].classes[0] == "cat"
    with pytest.raises(CannotFetch, match=r"the weights of 'hub:user/pets@.*' are not in the cache"):
        load(PETS)


def test_a_hub_that_does_not_answer(hub, commit, monkeypatch):
    load(PETS)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.warns(UserWarning, match="the Hub does not answer: hub:user/pets@main is taken as it was"):
        assert load(PETS).origin.provenance.revisions == (f"{PETS}@{commit}",)
    with pytest.raises(
        CannotFetch, match=r"'hub:user/none@main' is not in the cache '.*', and the Hub does not answer"
    ):
        load("hub:user/none")


def test_a_manifest_that_was_fetched_is_looked_at_where_the_hub_does_not_answer(hub, commit, monkeypatch):
    inspect(f"{PETS}@{commit}")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert inspect(f"{PETS}@{commit}").parts[0].classes[0] == "cat"
    with pytest.raises(CannotFetch, match="the Hub does not answer, or not to the end"):
        load(f"{PETS}@{commit}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hub:user/none", "cannot be fetched: there is no such repository, or it is private, and no token"),
        ("hub:user/secret", "cannot be fetched: there is no such repository, or it is private, and no token"),
        ("hub:user/gated", "cannot be fetched: its owner lets only those in whom they know: ask on its page"),
        ("hub:user/pets@v9", "'hub:user/pets@v9' cannot be fetched: it has no branch, tag or commit 'v9'"),
        (f"hub:user/pets@{'0' * 40}", "it has no branch, tag or commit '0000"),
    ],
)
def test_what_is_not_there_or_not_for_everybody(name, words, hub, commit, saved):
    hub.make("user/secret", files(saved), private=True)
    hub.gated = "user/gated"
    with pytest.raises(CannotFetch, match=words):
        load(name)


def test_a_private_part_is_loaded_with_a_token(hub, saved, cache, monkeypatch):
    hub.make("user/secret", files(saved), private=True)
    monkeypatch.setenv("HF_TOKEN", READS)
    assert load("hub:user/secret").classes[0] == "cat"


@pytest.mark.parametrize(
    "name", ["hub:", "hub:pets", "hub:a/b/c", "hub:user/..", "hub:../../x", "hub:user/pets@", "hub:u/p@../x"]
)
def test_names_that_are_none(name):
    with pytest.raises(BadConfig, match="is no name of a part on the Hub: write hub:USER/NAME"):
        load(name)


def test_the_sha256_of_an_author_holds_here_too(commit, saved):
    from model_lego.names.bin_names import manifest_digest

    assert load(PETS, sha256=manifest_digest(saved)).classes[0] == "cat"
    with pytest.raises(CorruptComponent, match="it is not the part that is meant"):
        load(PETS, sha256="0" * 64)


def spoilt(folder, change):
    """The files of a part, its manifest changed."""
    manifest = change(json.loads((folder / "manifest.json").read_text()))
    return files(folder) | {"manifest.json": json.dumps(manifest).encode()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda given, _: {"README.md": given["README.md"]}, "is no saved part: it has no manifest.json"),
        (lambda given, _: {"manifest.json": given["manifest.json"]}, "is no saved part: it has no model.safetensors"),
        (lambda given, _: given | {"manifest.json": b"{"}, "manifest.json"),
        (lambda given, _: given | {"manifest.json": b"[" * 200_000}, "more than 150,000 lists and objects"),
        (lambda given, _: given | {"manifest.json": b" " * (32 * 2**20 + 1)}, r"larger than 33,554,432 bytes"),
        (lambda given, _: given | {"model.safetensors": given["model.safetensors"] + b"?"}, "was not pushed whole"),
        (lambda given, _: given | {"model.safetensors": given["model.safetensors"][:-1] + b"?"}, "sha256 differs"),
        (
            lambda _, folder: spoilt(folder, lambda raw: raw | {"weights": {**raw["weights"], "file": "../../x"}}),
            "weights",
        ),
    ],
)
def test_repositories_that_are_no_part(change, words, hub, saved, cache):
    hub.make("user/pets", change(files(saved), saved))
    with pytest.raises(CorruptComponent, match=words):
        load(PETS)
    fetched_bytes = sum(path.stat().st_size for path in Path(cache).rglob("blobs/*"))
    assert fetched_bytes < 2**20


def test_a_card_that_is_too_large_is_left_out(hub, saved, cache):
    hub.make("user/pets", files(saved) | {"README.md": b"x" * (2**20 + 1)})
    with pytest.warns(UserWarning, match="not fetched: README.md"):
        load(PETS)
    assert "README.md" not in fetched(hub)


def test_half_a_download_is_one_error_and_the_next_is_whole(hub, commit, cache, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.broken = "model.safetensors"
    with pytest.raises(CannotFetch, match="the Hub does not answer, or not to the end"):
        load(PETS)
    assert sorted(path.name for path in cache.rglob("snapshots/*/*")) == ["README.md", "manifest.json"]
    assert len(list(cache.rglob("blobs/*"))) == 2
    hub.broken = "nothing"
    assert load(PETS).classes[0] == "cat"


def test_links_of_others_are_refused_as_ever(commit, saved, tmp_path, cache):
    """Only in the cache itself, and only to what came from the same repository."""
    folder = snapshot(PETS)
    own = folder.parents[1]
    for where in (tmp_path / "x/snapshots/y", own / "snapshots/deeper/y", cache / "other/snapshots/y"):
        where.mkdir(parents=True)
        for name in ("manifest.json", "model.safetensors"):
            (where / name).symlink_to((folder / name).resolve())
        with pytest.raises(CorruptComponent, match="is a symbolic link"):
            load(where)
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to(secret)
    with pytest.raises(CorruptComponent, match="is a symbolic link"):
        load(folder)


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BadConfig, match=r"parts on the Hub need the extra: pip install model-lego\[hub\]"):
        load(PETS)


def test_a_part_of_the_hub_goes_into_the_bin(hub, commit, tmp_path):
    added = ml.bin_add(PETS, folder=tmp_path / "bin")
    assert (added.name, added.classes[0]) == ("pets", "cat")
    assert not any(path.is_symlink() for path in added.folder.iterdir())
    assert located(added.reference, tmp_path / "bin") == added.folder
