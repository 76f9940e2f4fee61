"""What steps are called: short, from the paths of their layers, and each otherwise than all others."""

import pytest

from model_lego.routes.folding import steps
from model_lego.routes.step_names import WIDTH, called, label_lines
from tests.unit.routes.test_folding import routes_of


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ([["conv1"], ["layer1.0.a", "layer1.0.b"], ["layer1.1.a"], ["fc"]], ["conv1", "layer1.0", "layer1.1.a", "fc"]),
        (  # a step that goes over the end of a stage: "blocks" twice
            [["blocks.1.0.pw", "blocks.1.1.pw", "blocks.2.0.pw"], ["blocks.2.0.pwl", "blocks.2.1.pw"],
             ["blocks.5.3.pw", "blocks.6.0.pw"], ["blocks.6.0.pwl", "head"]],
            ["blocks.1 … blocks.2.0.pw", "blocks.2.0.pwl … blocks.2.1", "blocks.5 … blocks.6.0.pw",
             "blocks.6.0.pwl … head"],
        ),
        (  # blocks in one list, some of them in a step: "_blocks" six times
            [["_stem"], *([f"_blocks.{n}.a", f"_blocks.{n}.b", f"_blocks.{n + 1}.a", f"_blocks.{n + 1}.b"]
                          for n in range(0, 12, 2))],
            ["_stem", *(f"_blocks.{n} … _blocks.{n + 1}" for n in range(0, 12, 2))],
        ),
        ([["stage1.a", "stage1.b"], ["stage2.a", "stage2.b"]], ["stage1", "stage2"]),
        ([["a.x", "b.y"], ["c.z"]], ["a … b", "c.z"]),
        ([["conv", "conv#2"], ["conv#3"]], ["conv … conv#2", "conv#3"]),
        ([["features.0", "features.3"]], ["features"]),
        ([["features.0"]], ["features.0"]),
    ],
)  # fmt: skip
def test_a_step_is_called_by_the_modules_that_are_its_alone(parts, names):
    assert called(parts) == names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["plain", "residual", "dense", "concat"])
@pytest.mark.parametrize("most", [None, 1, 2, 3])
def test_no_two_columns_have_the_same_label(name, most):
    names = [step.name for step in steps(routes_of(name), most=most)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("conv1", ["conv1"]),
        ("blocks.1 … blocks.2.0.pw", ["blocks.1 … blocks.2.0.pw"]),
        ("features.denseblock4.denselayer12.conv1", ["features.denseblock4.", "denselayer12.conv1"]),
        ("conv_stem … blocks.0.0.se.conv_expand", ["conv_stem", "… blocks.0.0.se.", "conv_expand"]),
        ("a_very_long_name_of_one_word_only", ["a_very_long_name_of_one_", "word_only"]),
        (
            "backbone.stage1.block1.conv1 … backbone.stage2.fc",
            ["backbone.stage1.block1.", "conv1", "… backbone.stage2.fc"],
        ),
    ],
)
def test_a_long_name_stands_in_several_lines_and_whole(name, lines):
    assert label_lines(name) == lines
    assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    assert max(map(len, lines)) <= WIDTH
