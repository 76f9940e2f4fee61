"""Parts that were cut from code of the user's own: a manifest has its name to read, and only a caller runs it."""

import sys
import textwrap

import pytest
import torch

from model_lego.digest import digest_of
from model_lego.disassembly.disassembling import whole
from model_lego.errors import BadConfig, CorruptComponent
from model_lego.models import build_from, open_network
from model_lego.parts.assembly import Assembly, Head
from model_lego.parts.origin import Builder
from model_lego.store import inspect, load, save
from tests.support.handmade_parts import read_json, write_json

NET = """
    from pathlib import Path

    from torch import nn

    with (Path(__file__).parent / "runs").open("a") as runs:
        runs.write("x")


    class Net(nn.Module):
        def __init__(self, width=4, act="relu", sizes=(3, 3), path=None, pretrained=False):
            super().__init__()
            self.conv = nn.Conv2d(1, width, sizes, stride=1)
            self.act = {"relu": nn.ReLU(), "silu": nn.SiLU()}[act]
            self.head = nn.Linear(width, 3)

        def forward(self, x):
            return self.head(self.act(self.conv(x)).mean((2, 3)))
"""
NAME = "python:net.py:Net"
IMAGES = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))


class Here:
    """The current folder, in which there is code that notes each time that it is run."""

    def __init__(self, path):
        self.path = path
        self.write()

    def write(self, *change):
        (self.path / "net.py").write_text(textwrap.dedent(NET.replace(*change) if change else NET))

    def runs(self):
        """How often the code was run since this was asked last."""
        file = self.path / "runs"
        times = len(file.read_text()) if file.exists() else 0
        file.write_text("")
        return times

    def part(self, name="part", code=NAME, **arguments):
        """A component of such a network, saved."""
        opened = open_network(code, arguments=arguments)
        made = whole(opened.model, IMAGES, classes=list("abc"), builder=opened.builder)
        return save(made, self.path / name)

    def forget(self):
        """As in a process that has not run the code."""
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(str(self.path)):
                del sys.modules[name]
        self.runs()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Here(tmp_path)
    yield made
    made.forget()


def refused(folder, error=BadConfig, **options):
    with pytest.raises(error) as said:
        load(folder, **options)
    return str(said.value)


def test_loading_never_runs_what_a_file_names(here):
    folder = here.part(width=5)
    here.forget()
    assert inspect(folder).parts[0].origin.builder.name == NAME
    words = refused(folder)
    assert "was cut from python:net.py:Net (width=5), code that does not run because a file names it" in words
    assert (
        "pass factory=, a function without arguments that builds the uncut network, or model=python:net.py:Net" in words
    )
    with pytest.raises(BadConfig, match="never because a file names it"):
        build_from(Builder(NAME, {"width": 5}))
    assert here.runs() == 0


def test_a_caller_names_it_and_its_arguments_are_those_that_were_recorded(here):
    folder = here.part(width=5, act="silu", sizes=(1, 3))
    here.forget()
    part = load(folder, model=NAME)
    assert here.runs() == 1
    assert part.origin.builder == Builder(NAME, {"width": 5, "act": "silu", "sizes": [1, 3]})
    torch.manual_seed(0)
    assert part(IMAGES).shape == (2, 3)
    again = save(part, here.path / "again")  # which does not run it either
    here.forget()
    assert (again / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    assert here.runs() == 0


def test_code_that_has_moved_is_named_where_it_is(here):
    folder = here.part(width=5)
    (here.path / "moved").mkdir()
    (here.path / "net.py").rename(here.path / "moved" / "new.py")
    assert digest_of(load(folder, model="python:moved/new.py:Net")) == digest_of(
        load(folder, model="python:moved.new:Net")
    )
    assert "there is no file 'net.py'" in refused(folder, model=NAME)


def test_another_callable_gets_no_recorded_arguments(here):
    folder = here.part(width=5)
    here.write("class Net", "def five():\n        return Net(5)\n\n\n    class Net")
    assert load(folder, model="python:net.py:five").module.conv.out_channels == 5


@pytest.mark.parametrize(
    "change", [("stride=1", "stride=2"), ('"relu": nn.ReLU()', '"relu": nn.SiLU()'), ("(x)).mean", "(x)).amax")]
)
def test_code_that_has_changed_is_found_out(here, change):
    folder = here.part()
    here.write(*change)
    words = refused(folder, CorruptComponent, model=NAME)
    assert "the network that was built is not the one that was saved" in words


@pytest.mark.filterwarnings("error")
def test_saving_says_where_loading_will_prove_nothing(here):
    opened = open_network(NAME)
    made = whole(opened.model, IMAGES, classes=list("abc"), builder=opened.builder)
    save(made, here.path / "proved")
    made.module.head.bias.data.fill_(float("inf"))
    with pytest.warns(UserWarning, match=r"nothing will prove that python:net\.py:Net still gives this network"):
        save(made, here.path / "unproved")


def test_other_arguments_make_another_network(here):
    folder = here.part(width=5)
    assert "not the one that was saved" in refused(folder, CorruptComponent, model=NAME, arguments={"act": "silu"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path", "weights.pt"),
        ("path", "../evil"),
        ("path", "https://x"),
        ("path", "os.system"),
        ("path", "net"),
        ("path", ["x", "a/b"]),
        ("path", {"x": 1}),
        ("pretrained", True),
    ],
)
def test_a_file_does_not_decide_what_the_code_reads(here, name, value):
    folder = here.part()
    raw = read_json(folder)
    raw["parts"][0]["origin"]["builder"]["arguments"] = {name: value}
    write_json(folder, raw)
    (here.path / "net").write_text("a file of this name")
    here.forget()
    words = refused(folder, model=NAME)
    assert f"was built with {name}={value!r}, which might name a file or code" in words
    assert here.runs() == 0
    assert load(folder, model=NAME, arguments={name: None}) is not None


@pytest.mark.parametrize(
    ("builder", "said"),
    [
        ({"name": "python:net.py", "arguments": {}}, "builder.name"),
        ({"name": "python:net.py:Net()", "arguments": {}}, "builder.name"),
        ({"name": "python:\x1b[2Jnet.py:Net", "arguments": {}}, "builder.name"),
        ({"name": "python:net\n.py:Net", "arguments": {}}, "builder.name"),
        ({"name": NAME, "arguments": {"\x1b[2J": 1}}, "builder.arguments"),
    ],
)
def test_names_that_are_none(here, builder, said):
    folder = here.part()
    raw = read_json(folder)
    raw["parts"][0]["origin"]["builder"] = builder
    write_json(folder, raw)
    here.forget()
    assert said in refused(folder, CorruptComponent, model=NAME)
    assert here.runs() == 0


def test_a_name_for_a_network_that_the_file_builds_is_not_run(here, tmp_path):
    opened = open_network("zoo:lenet5", arguments={"num_classes": 3})
    images = torch.rand(2, 1, 28, 28)
    folder = save(whole(opened.model, images, classes=list("abc"), builder=opened.builder), tmp_path / "zoo")
    with pytest.warns(UserWarning, match="python:net.py:Net is not needed, its network is zoo:lenet5"):
        load(folder, model=NAME)
    assert here.runs() == 0


def test_a_part_without_a_builder_takes_a_name_as_well(here, tmp_path):
    made = whole(open_network(NAME).model, IMAGES, classes=list("abc"))
    folder = save(made, tmp_path / "unnamed")
    assert "or model=NAME" in refused(folder)
    assert load(folder, model=NAME).classes == ("a", "b", "c")


def test_an_assembly_of_several_networks(here):
    here.write("class Net", "class Other(nn.Sequential):\n        pass\n\n\n    class Net")
    parts = [load(here.part("one", width=5), model=NAME), load(here.part("two", width=7), model=NAME)]
    (here.path / "copy.py").write_text((here.path / "net.py").read_text())
    parts.append(load(here.part("three", "python:copy.py:Net", width=3), model="python:copy.py:Net"))
    head = Head("concat", torch.ones(9), torch.zeros(9))
    made = Assembly(parts, layout="parallel", classes=list("abcdefghi"), head=head, padded=None).eval()
    folder = save(made, here.path / "all")
    names = (NAME, "python:copy.py:Net")
    assert [part.module.conv.out_channels for part in load(folder, model=names).networks()] == [5, 7, 3]
    assert [part.module.conv.out_channels for part in load(folder, model=NAME).networks()] == [5, 7, 3]
    assert "part '2' was cut from python:copy.py:Net (width=3); none that is given is named so" in refused(
        folder, model=(NAME, "python:other.py:Net")
    )


def test_what_goes_together(here):
    folder = here.part()
    assert "not by both" in refused(folder, model=NAME, factory=lambda: None)
    assert "model= names; give that as well" in refused(folder, arguments={"width": 2})
    assert "comes by a factory" in refused(folder, model=torch.nn.Sequential(torch.nn.ReLU()))
