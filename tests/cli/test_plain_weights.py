"""The commands make computed weights plain: a NFNet, whose convolutions standardise their weights, can be cut."""

import pytest
import safetensors.torch
import torch

from model_lego import load
from model_lego.models import build
from tests.support.squares import CLASSES, run

timm = pytest.importorskip("timm")
ARGUMENTS = {"in_chans": 1, "num_classes": len(CLASSES)}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """An untrained network in a file, and the words that name it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build("timm:test_nfnet", **ARGUMENTS)
    path = tmp_path_factory.mktemp("nfnet") / "network.safetensors"
    safetensors.torch.save_file(model.state_dict(), path)
    return ["timm:test_nfnet", "-a", "in_chans=1", "--weights", str(path), "--size", "32"]


def test_a_plan_keeps_nothing_whole_for_its_computed_weight(world, network):
    ran = run("plan", *network, "--data", world.data, "--classes", "ant", "--sampling", "random")
    assert ran.code == 0, ran.err
    assert "weight is computed" not in ran.out


def test_a_component_is_cut_saved_loaded_and_measured_beside_its_source(world, network, tmp_path):
    part = tmp_path / "part"
    ran = run(
        "disassemble", *network, "--data", world.data, "--classes", "ant,dog", "--sampling", "random", "--out", part,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    component = load(part)
    assert component.origin.settings["plain_layers"]
    assert component.origin.cost_after.parameters < component.origin.cost_before.parameters
    weights = ["--source", network[0], *network[1:]]
    ran = run("evaluate", part, "--data", world.data, *weights, "--json")
    assert ran.code == 0, ran.err
    assert {"source", "restricted"} < {row["name"] for row in ran.json["rows"]}
