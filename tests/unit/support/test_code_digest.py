"""The code of a network as text: it is another one as soon as anything that the network does is."""

import sys
import types
from pathlib import Path

import pytest
import torchvision

from tests.support.code_digest import UnknownCode, code_text

SOURCE = """
from torch import nn
SCALE = 2
TABLE = {"a": 1, "b": 2}
def double(x, by=3):
    return x * SCALE + by
class Base(nn.Module):
    sides = 4
    corners = 5
    def size(self):
        return self.sides
class Network(Base):
    def forward(self, x):
        return double(x).clamp(0.5) * TABLE["a"]
"""
CHANGES = {
    "its own code": ("clamp", "clip"),
    "a number in it": ("0.5", "0.6"),
    "an operator": ("* TABLE", "+ TABLE"),
    "a function that it calls": ("x * SCALE", "x - SCALE"),
    "a default of that": ("by=3", "by=4"),
    "a constant that it reads": ("SCALE = 2", "SCALE = 3"),
    "an entry of a table": ('"b": 2', '"b": 3'),
    "what it inherits": ("return self.sides", "return self.sides + 1"),
    "which attribute has which number": ("sides = 4\n    corners = 5", "sides = 5\n    corners = 4"),
    "the line in which it stands": ("\nclass Network", "\n\nclass Network"),
}


@pytest.fixture
def network(monkeypatch):
    """Runs a source as a module of ours and gives its network."""

    def run(source):
        module = types.ModuleType("tests.made_up")
        module.__file__ = str(Path(__file__).with_name("made_up.py"))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(source, module.__file__, "exec"), vars(module))
        return module.Network

    return run


def test_the_same_code_is_the_same_text(network):
    assert code_text([network(SOURCE)]) == code_text([network(SOURCE)])


@pytest.mark.parametrize("what", CHANGES)
def test_another_code_is_another_text(what, network):
    before, after = CHANGES[what]
    assert SOURCE.count(before) == 1
    assert code_text([network(SOURCE)]) != code_text([network(SOURCE.replace(before, after))])


def test_code_of_a_package_is_known_by_its_version(monkeypatch):
    text = code_text([torchvision.models.ResNet])
    assert torchvision.__version__ in text
    assert len(text.splitlines()) == 2
    monkeypatch.setattr(torchvision, "__version__", "0")
    assert code_text([torchvision.models.ResNet]) != text


def test_what_cannot_be_told_is_refused(network):
    source = SOURCE + "\nTABLE['a'] = Base()"
    with pytest.raises(UnknownCode, match=r"Base\(\)"):
        code_text([network(source)])
    home = types.ModuleType("a_package_without_version")
    with pytest.raises(UnknownCode, match="has no version"):
        code_text([home])
