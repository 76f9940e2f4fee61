"""What opening a network would fetch, found out without a connection."""

import pytest

from model_lego.errors import BadConfig
from model_lego.models.fetching import would_fetch
from tests.support.caches import only_caches


@pytest.fixture(autouse=True)
def checkpoints(tmp_path, monkeypatch):
    """Where torch keeps what it downloaded, empty."""
    folder = only_caches(tmp_path, monkeypatch) / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_weights_of_timm_that_lie_at_a_plain_address_are_named(checkpoints):
    pytest.importorskip("timm", reason="timm is not installed")
    said = would_fetch("timm:gcvit_xxtiny")
    file = said.split("'")[1]
    assert (file.startswith("gcvit_xxtiny"), file.endswith(".pth"), "from https://" in said) == (True, True, True)
    (checkpoints / file).touch()
    assert would_fetch("timm:gcvit_xxtiny") == ""


def test_weights_of_torchvision_are_named_until_they_are_there(checkpoints):
    said = would_fetch("torchvision:resnet18")
    (checkpoints / said.split("'")[1]).touch()
    assert (said.endswith("of torchvision"), would_fetch("torchvision:resnet18")) == (True, "")


def test_nothing_is_fetched_of_our_own_networks_and_of_networks_without_weights():
    assert would_fetch("zoo:lenet5") == ""
    pytest.importorskip("timm", reason="timm is not installed")
    assert would_fetch("timm:coatnet_0_224") == ""
    with pytest.raises(BadConfig, match="did you mean"):
        would_fetch("timm:resnet_18")
