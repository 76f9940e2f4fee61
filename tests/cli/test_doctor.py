"""model-lego doctor, on networks by name, on weights, on a saved component, and on what is none of these."""

import pytest
import safetensors.torch

from model_lego.models import build
from tests.support.squares import NETWORK, run


def test_a_network_by_name_is_diagnosed_without_weights():
    ran = run("doctor", "torchvision:resnet18", "--size", "64")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("ResNet on images of 3 x 64 x 64: can be taken apart\n")
    assert "uncut: 11,689,512 parameters (100.0 %)" in ran.out  # as torchvision's page says
    assert "kept whole" not in ran.out


def test_json_has_the_same_numbers():
    found = run("doctor", *NETWORK, "--json").json
    assert found["image"] == [1, 16, 16]
    assert found["whole"]["parameters"] == sum(
        p.numel() for p in build("zoo:lenet5", image_size=16, width=0.5).parameters()
    )
    assert found["cuttable_percent"] > 90
    assert found["frozen"] == []


def test_weights_tell_the_number_of_classes(tmp_path):
    network = build("zoo:lenet5", num_classes=3)
    safetensors.torch.save_file(network.state_dict(), tmp_path / "three.safetensors")
    found = run("doctor", "zoo:lenet5", "--weights", tmp_path / "three.safetensors", "--json").json
    assert found["whole"]["parameters"] == sum(p.numel() for p in network.parameters())


def test_a_saved_component_can_be_taken_apart_again(world):
    found = run("doctor", world.one, "--json")
    assert found.code == 0
    assert found.json["image"] == [1, 16, 16]


def test_computed_weights_are_made_plain_first():
    pytest.importorskip("timm")
    ran = run("doctor", "timm:test_nfnet", "--size", "64")
    assert ran.code == 0
    assert ", whose weights or widths the forward computed" in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["zoo:lenet6"], "'zoo:lenet6' is unknown; did you mean lenet5"),
        (["nothing"], "'nothing' names no network"),
        (["zoo:lenet5", "--size", "0"], "--size 0 is no side of an image"),
        (["zoo:lenet5", "--size", "5"], "does not run on images of shape (1, 5, 5)"),
        (["zoo:lenet5", "--weights", "nowhere.safetensors"], "'nowhere.safetensors' does not exist"),
        (["zoo:lenet5", "-a", "colour=2"], "cannot be built with"),
    ],
)
def test_bad_input_is_one_line(arguments, words):
    ran = run("doctor", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert words in ran.err
