"""torch.export takes half of the time of these tests: what it has made of a network once is handed out again."""

import gc

import pytest

from model_lego.graph import program
from tests.support import export_cache
from tests.support.hub_server import only_hub, serving

EXPORT = program._exported


@pytest.fixture(autouse=True, scope="session")
def seldom_collected():
    """Leave what is imported to itself, and look for cycles less often: that took a fifteenth of the time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.fixture(autouse=True, scope="session")
def exported_once():
    """Let all tests share what torch.export gives, with those of other processes and of earlier runs."""
    export_cache.take_part()
    yield
    program._exported = EXPORT
    export_cache.prune(export_cache.folder())


@pytest.fixture(autouse=True, scope="session")
def steps_of_their_own(tmp_path_factory):
    """What steps of recipes gave is kept for these tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_LEGO_STEPS", str(tmp_path_factory.mktemp("steps")))
        yield


@pytest.fixture
def exported_anew(monkeypatch):
    """For tests that are about the export itself."""
    monkeypatch.setattr(program, "_exported", EXPORT)


@pytest.fixture
def hub():
    """A Hub on this machine."""
    with serving() as hub:
        yield hub


@pytest.fixture
def cache(hub, tmp_path, monkeypatch):
    """The folder of the Hub's cache, empty; nothing but that Hub is known."""
    return only_hub(hub, tmp_path, monkeypatch)
