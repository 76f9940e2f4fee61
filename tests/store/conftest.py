import sys
from types import ModuleType, SimpleNamespace

import pytest


@pytest.fixture
def registry(monkeypatch):
    """A stand-in for the builders, so that these tests depend on nothing but torchvision."""
    import torchvision

    def build_from(builder):
        return torchvision.models.get_model(builder.name.removeprefix("torchvision:"), **builder.arguments)

    monkeypatch.setitem(sys.modules, "model_lego.models", ModuleType("model_lego.models"))
    monkeypatch.setitem(sys.modules, "model_lego.models.registry", SimpleNamespace(build_from=build_from))
