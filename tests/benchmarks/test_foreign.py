"""The benchmark of published networks: its list, what it calls right, refused, wrong and crashed, and its page."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

pytest.importorskip("benchmarks")

from benchmarks.common import RESULTS, ROOT
from benchmarks.coverage.comparing import Wrong, logits_of
from benchmarks.coverage.masking import masked_source
from benchmarks.foreign import check as checking
from benchmarks.foreign import networks as listing
from benchmarks.foreign.check import Result, check
from benchmarks.foreign.contributions import contributions
from benchmarks.foreign.networks import Network, Package, networks
from benchmarks.foreign.page import page
from model_lego import attribute, trace

PACKAGE = Package("torch", "1", "an author", "it is here")


class Small(nn.Sequential):
    """A network of ten classes, which takes images of any size."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 12, 3, stride=2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(12, 10),
        )


class Mixed(Small):
    """Its last operator mixes the logits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = super().forward(x)
        return logits - logits.mean(1, keepdim=True)


class Shares(Small):
    """It ends in a softmax."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).softmax(1)


class InParts(nn.Conv2d):
    """A convolution of each half of what it is given, by one weight."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([nn.functional.conv2d(half, self.weight, self.bias) for half in x.chunk(2, 1)], 1)


class Shared(nn.Module):
    """It has a layer that sees parts of a value."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 8, 3), InParts(8, 6, 3), nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        return self.head(self.second(torch.cat([x, x * 2], 1)).relu().mean((2, 3)))


@pytest.fixture
def small(monkeypatch):
    def listed(maker):
        network = Network(f"torch:{maker}", PACKAGE, f"{__name__}:{maker}", {})
        monkeypatch.setattr(checking, "networks", lambda: {network.name: network})
        return network.name

    return listed


def test_the_list_has_150_networks_and_says_why():
    found = networks()
    assert len(found) >= 150
    assert all(network.package.author and network.package.why for network in found.values())


def test_requirements_are_the_versions_of_the_list():
    pinned = listing.LIST.with_name("requirements.txt").read_text().splitlines()
    packages = {network.package for network in networks().values()}
    assert {f"{package.name}=={package.version}" for package in packages} <= set(pinned)


@pytest.mark.parametrize("maker", ["Small", "Shares"])
def test_a_network_that_is_cut_right(small, maker):
    found = Result(**check(small(maker)))
    assert (found.outcome, found.error, found.sides) == ("right", "", (64, 96))
    assert found.oracle_layers == 3
    assert found.half > 0.5


def test_a_refusal_is_none_of_the_crashes(small):
    found = Result(**check(small("Mixed")))
    assert (found.outcome, found.step) == ("refused", "trace")
    assert found.kind == "RefusedError"


@pytest.mark.parametrize("error", [AssertionError(), KeyError("x"), StopIteration(), RuntimeError("y")])
def test_any_other_exception_is_a_crash(small, monkeypatch, error):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(checking, "cut", broken)
    found = Result(**check(small("Small")))
    assert (found.outcome, found.step, found.kind) == ("crashed", "cut", type(error).__name__)
    assert "test_foreign.py" in found.where


def test_contributions_are_compared_with_the_oracle():
    torch.manual_seed(0)
    model, x = Small().double().eval(), torch.randn(2, 3, 9, 9, dtype=torch.float64)
    graph = trace(model, x)
    stats = attribute(model, [(x, torch.tensor([0, 1]))], graph=graph, classes=[0, 1], sampling="all")
    assert contributions(model, graph, stats, x[1:], 1) == 3
    with pytest.raises(Wrong, match="differ from the oracle's"):
        contributions(model, graph, stats, x[1:], 0)


class Past(nn.Module):
    """It calls its second layer as it is asked: as a module, by its forward, or by its weight on halves of a value."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.layer, self.head = way, nn.Conv2d(4, 4, 3), nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.way == "forward":
            x = self.layer.forward(x)
        elif self.way == "weight":
            x = nn.functional.conv2d(x, self.layer.weight, self.layer.bias)
        else:
            x = self.layer(x)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("way", ["module", "forward", "weight"])
def test_channels_are_zeroed_however_a_layer_is_used(way):
    torch.manual_seed(0)
    model, x = Past(way).double().eval(), torch.randn(2, 4, 6, 6, dtype=torch.float64)
    zeroed = x.clone()
    zeroed[:, [0, 3]] = 0
    with torch.no_grad():
        expected = model(zeroed)
    assert torch.equal(masked_source(model, x, {"layer": [1, 2]}), expected)
    assert not torch.equal(masked_source(model, x, {}), expected)


def test_a_layer_on_parts_of_a_value_has_each_part_zeroed(small):
    found = Result(**check(small("Shared")))
    assert (found.outcome, found.error) == ("right", "")


def test_logits_are_found_in_what_networks_give():
    logits = torch.zeros(2, 3)
    for output in (logits, (logits, 1), [logits], {"features": 0, "logits": logits}, {"out": logits}):
        assert logits_of(output) is logits
    with pytest.raises(TypeError, match="no logits in a int"):
        logits_of(3)


def test_the_page_counts_and_names_reasons():
    first, second, third = list(networks())[:3]
    right = Result(first, "1", sides=(64, 96), groups=3, reasons=("a reason",))
    refused = Result(second, "1", outcome="refused", kind="RefusedError", error="layer 'a' reads\nand more")
    text = page([right, refused, replace(refused, name=third, error="layer 'b' reads")])
    assert "3 networks of 1 packages: 1 right, 2 refused, 0 wrong, 0 crashed, 0 not done" in text
    assert "- 2: RefusedError: layer … reads" in text
    assert "- 1: a reason" in text


def test_the_page_is_of_the_recorded_results():
    recorded = json.loads((RESULTS / "foreign.json").read_text())["networks"]
    assert page([Result(**each) for each in recorded]) == (ROOT / "docs" / "foreign.md").read_text()
