"""Parts put on the Hub: what is there then, loaded again, and what is refused, with nothing lost or left."""

import json
import sys

import pytest
import torch

import model_lego as ml
from model_lego.errors import BadConfig, CannotWrite, CorruptComponent, OutputExists
from model_lego.hub.card_header import header_of
from model_lego.parts.verdict import Verdict
from model_lego.store import load, save
from model_lego.store.card_metadata import UNNAMED
from model_lego.store.hub_parts import snapshot
from tests.support.hub_server import READS, WRITES

PETS = "hub:user/pets"
pytestmark = pytest.mark.filterwarnings("ignore:.*holds what is of no part:UserWarning")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a saved component of a LeNet."""
    from benchmarks.kills import part

    return save(part("cat"), tmp_path_factory.mktemp("saved") / "cat", recipe="steps: {}\n")


@pytest.fixture
def writer(cache, monkeypatch):
    """A token that may write."""
    monkeypatch.setenv("HF_TOKEN", WRITES)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_pushed_is_loaded_with_equal_bytes(hub, writer, saved):
    name = ml.push_to_hub(saved, "user/pets")
    commit = hub.repositories["user/pets"].refs["main"]
    assert name == f"{PETS}@{commit}"
    there = files(snapshot(name))
    assert there.keys() == files(saved).keys()
    for file in ("manifest.json", "model.safetensors", "recipe.yaml"):
        assert there[file] == files(saved)[file]
    images = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(load(name)(images), load(saved)(images))
        assert torch.equal(ml.from_hub("user/pets")(images), load(saved)(images))
    assert ml.from_hub("user/pets", revision=commit).origin.provenance.revisions == (name,)
    assert not hub.repositories["user/pets"].private


def test_the_card_says_by_what_name_it_is_loaded(hub, writer, saved):
    part = load(saved)
    part.verdict = Verdict("cut", "its source", 10, 98, 99, interval=(0.1, 1.0), images=400, held_out=True)
    ml.push_to_hub(part, PETS)
    text = hub.files("user/pets")["README.md"].decode()
    assert 'ml.load("hub:user/pets")' in text
    assert (UNNAMED in text, header_of(text)["model-index"][0]["name"]) == (False, "pets")
    ml.push_to_hub(saved, PETS, revision="tuned")
    assert 'ml.load("hub:user/pets@tuned")' in hub.files("user/pets", "tuned")["README.md"].decode()
    assert 'ml.load("hub:user/pets")' in hub.files("user/pets")["README.md"].decode()


def test_a_part_in_memory_and_an_assembly(hub, writer, saved):
    one, other = load(saved), load(saved)
    other.classes = tuple(f"other {name}" for name in other.classes)
    assert ml.push_to_hub(one, PETS).startswith(f"{PETS}@")
    name = ml.push_to_hub(ml.assemble([one, other]), "user/joined", private=True, message="Two of them")
    assert hub.repositories["user/joined"].private
    assert len(load(name).parts) == 2


def test_pushing_again_is_a_commit_behind_the_first_or_nothing(hub, writer, saved):
    first = ml.push_to_hub(saved, PETS)
    hub.repositories["user/pets"].commit({"picture.png": b"of the user"})
    part = load(saved)
    part.classes = ("dog", *part.classes[1:])
    second = ml.push_to_hub(part, PETS)
    assert (load(first).classes[0], load(second).classes[0]) == ("cat", "dog")
    assert "recipe.yaml" not in hub.files("user/pets")  # it told how the first was made
    assert hub.files("user/pets")["picture.png"] == b"of the user"


def test_a_stale_push_is_refused_and_nothing_is_lost(hub, writer, saved):
    ml.push_to_hub(saved, PETS)
    hub.moves = True
    part = load(saved)
    part.classes = ("dog", *part.classes[1:])
    with pytest.raises(CannotWrite, match="A commit has happened since"):
        ml.push_to_hub(part, PETS)
    assert hub.files("user/pets")["other.txt"] == b"of somebody else"
    assert load(PETS).classes[0] == "cat"


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, r"'hub:user/pets@main' cannot be written: the token that is there, if any, may not do that .*log in"),
        (READS, r"cannot be written: the token that is there, if any, may not do that \(You don't have the rights"),
    ],
)
@pytest.mark.parametrize("exists", [True, False])
def test_who_may_not_write(token, words, exists, hub, cache, saved, monkeypatch):
    if exists:
        hub.make("user/pets", files(saved))
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    part = load(saved)
    part.classes = ("dog", *part.classes[1:])
    with pytest.raises(CannotWrite, match=words):
        ml.push_to_hub(part, PETS)
    assert ("user/pets" in hub.repositories) == exists


def test_what_is_not_there_to_be_pushed_makes_no_repository(hub, writer, saved, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for name, data in files(saved).items():
        (broken / name).write_bytes(data if name != "model.safetensors" else data[:-1] + b"?")
    with pytest.raises(CorruptComponent, match="sha256 differs"):
        ml.push_to_hub(broken, PETS)
    with pytest.raises(CorruptComponent, match="is not a folder"):
        ml.push_to_hub(tmp_path / "none", PETS)
    assert hub.asked == []


@pytest.mark.parametrize(
    "theirs",
    [
        {"model.safetensors": b"of somebody else", "config.json": b"{}"},
        {"manifest.json": b'{"name": "an app"}'},
        {"manifest.json": b"{}", "model.safetensors": b"x"},
    ],
)
def test_another_network_is_not_overwritten(theirs, hub, writer, saved):
    commit = hub.make("user/pets", theirs)
    with pytest.raises(OutputExists, match="and is no saved part, so it is not overwritten"):
        ml.push_to_hub(saved, PETS)
    assert hub.repositories["user/pets"].refs["main"] == commit


def test_a_repository_with_a_card_alone_gets_its_part(hub, writer, saved):
    hub.make("user/pets", {"README.md": b"# Soon"})
    ml.push_to_hub(saved, PETS)
    assert load(PETS).classes[0] == "cat"


def test_what_should_be_private_is_not_put_into_the_open(hub, writer, saved):
    commit = hub.make("user/pets", {"README.md": b"# Soon"})
    with pytest.raises(BadConfig, match="is public: make it private on its page first"):
        ml.push_to_hub(saved, PETS, private=True)
    assert hub.repositories["user/pets"].refs["main"] == commit


def test_an_upload_that_fails_leaves_no_part_and_says_what_there_is(hub, writer, saved):
    hub.broken = "upload"
    with pytest.raises(
        CannotWrite, match=r"the disk of the Hub is full\); its repository is there now, without the part"
    ):
        ml.push_to_hub(saved, PETS)
    assert list(hub.files("user/pets")) == [".gitattributes"]
    hub.broken = "nothing"
    assert load(ml.push_to_hub(saved, PETS)).classes[0] == "cat"


def test_a_card_that_the_hub_refuses_is_one_error(hub, writer, saved, tmp_path):
    part = load(saved)
    folder = save(part, tmp_path / "part")
    (folder / "README.md").write_text("---\nlicense: my-own\n---\n# Mine\n")
    with pytest.raises(CannotWrite, match=r'Invalid metadata in README.md. - "license" must be one of \[apache-2.0'):
        ml.push_to_hub(folder, PETS)


def test_wrong_names_and_no_connection(hub, writer, saved, monkeypatch):
    with pytest.raises(BadConfig, match="is no name of a part on the Hub: write hub:USER/NAME"):
        ml.push_to_hub(saved, "pets")
    with pytest.raises(BadConfig, match="is a commit, which stays as it is: name a branch"):
        ml.push_to_hub(saved, PETS, revision="0" * 40)
    with pytest.raises(BadConfig, match="names a revision already"):
        ml.from_hub("user/pets@main", revision="v1")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CannotWrite, match="the Hub does not answer"):
        ml.push_to_hub(saved, PETS)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CannotWrite, match="HF_HUB_OFFLINE is set"):
        ml.push_to_hub(saved, PETS)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BadConfig, match=r"pip install model-lego\[hub\]"):
        ml.push_to_hub(saved, PETS)
    assert hub.repositories == {}


def test_a_part_of_the_hub_is_pushed_elsewhere_as_it_is(hub, writer, saved):
    first = ml.push_to_hub(saved, PETS)
    second = ml.push_to_hub(first, "user/copy")
    assert files(snapshot(second))["manifest.json"] == files(snapshot(first))["manifest.json"]
    assert json.loads(files(snapshot(second))["manifest.json"])["parts"][0]["origin"]["provenance"]["revisions"] == []
