"""Law 7 for classes in groups and in an order, and for assemblies inside assemblies."""

import pytest
import torch

from model_lego.errors import BadConfig, CorruptComponent
from model_lego.parts.assembly import Assembly, Head
from model_lego.store import inspect, load, save
from tests.support.handmade_parts import Tiny, images, read_json, tiny_assembly, tiny_component, write_json

GROUPS = {"pet": ("dog", "elk")}


def grouped() -> Assembly:
    whole = tiny_assembly()
    order = ("fox", "pet", "bee")
    return Assembly(
        list(whole.parts), layout="parallel", classes=order, terms=whole.classes, groups=GROUPS, head=whole.head
    ).eval()


def nested() -> Assembly:
    part, other = grouped(), tiny_component(seed=3, classes=("cow", "ant"))
    ordered = (*part.classes, "cow", "ant")[::-1]
    head = Head.identity(5)
    terms = (*part.classes, "cow", "ant")
    return Assembly([part, other], layout="parallel", classes=ordered, terms=terms, head=head).eval()


def padded() -> Assembly:
    one = tiny_component(classes=("1.bee", "2.dog"))
    return Assembly(
        [],
        layout="padded",
        classes=["dog", "insect"],
        terms=["bee", "dog"],
        groups={"insect": ("bee",)},
        head=Head.identity(2),
        padded=one,
    ).eval()


@pytest.mark.parametrize("make", [grouped, nested, padded])
def test_saved_and_loaded_is_equal_and_saved_twice_the_same_bytes(make, tmp_path):
    part = make()
    save(part, tmp_path / "one")
    again = load(tmp_path / "one", factory=Tiny)
    assert (again.classes, again.terms, again.groups) == (part.classes, part.terms, part.groups)
    assert torch.equal(again(images()), part(images()))
    assert str(again) == str(part)
    save(again, tmp_path / "two")
    for name in ("model.safetensors", "manifest.json", "README.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_parts_of_an_assembly_inside_have_factories_of_their_own(tmp_path):
    save(nested(), tmp_path / "all")
    manifest = inspect(tmp_path / "all")
    assert manifest.prefixes() == ("parts.0.parts.0.", "parts.0.parts.1.", "parts.1.")
    assert manifest.numbers() == ("1.1", "1.2", "2")
    load(tmp_path / "all", factory={"0.0": Tiny, "0.1": Tiny, "1": Tiny})
    with pytest.raises(BadConfig, match=r"part '0\.1' was cut from a network that is not from"):
        load(tmp_path / "all", factory={"0.0": Tiny, "1": Tiny})


def test_the_card_tells_of_groups_and_of_assemblies_inside(tmp_path):
    save(nested(), tmp_path / "all")
    words = (tmp_path / "all" / "README.md").read_text(encoding="utf-8")
    assert "Part 1: Layout parallel, head ridge." in words
    assert "Class pet is any of dog, elk." in words
    assert all(f"## Part {number}" in words for number in ("1.1", "1.2", "2"))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("assembly", "made_of"), [0, 1, 2], "does not fit"),
        (("assembly", "made_of", 0, "terms"), ["bee"], "classes are not its terms"),
        (("assembly", "made_of", 0, "layout"), "padded", "a padded assembly is one network"),
        (("assembly", "made_of", 0, "made_of"), [0, 0], "each once and in order"),
        (("assembly", "head_reads"), [["head"], ["head"]], "head_reads does not name layers with a weight"),
    ],
)
def test_an_edited_assembly_inside(tmp_path, path, value, words):
    save(nested(), tmp_path / "all")
    at = raw = read_json(tmp_path / "all")
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    write_json(tmp_path / "all", raw)
    with pytest.raises(CorruptComponent, match=words):
        load(tmp_path / "all", factory=Tiny)
