import pytest

from benchmarks.kills import part
from model_lego.store import save


@pytest.fixture(scope="session")
def cat(tmp_path_factory):
    """A saved component whose first class is cat."""
    return save(part("cat"), tmp_path_factory.mktemp("saved") / "cat")


@pytest.fixture(scope="session")
def bird(tmp_path_factory):
    """Another, for birds."""
    return save(part("bird"), tmp_path_factory.mktemp("saved") / "bird")


@pytest.fixture
def place(tmp_path):
    """Where a bin is to be."""
    return tmp_path / "bin"
