"""Some cases of each target of `make fuzz`, always the same; and what it found."""

import copy
import time

import pytest
from hypothesis import given, seed, settings

from model_lego.errors import BadConfig
from tests.fuzz.files import damage
from tests.fuzz.files.__main__ import QUIET, cases
from tests.fuzz.files.targets import TARGETS
from tests.fuzz.files.trial import SECONDS, Seen

FEW = 15


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_end_in_a_result_or_in_a_refusal(name):
    seen = Seen()
    cases(TARGETS[name], seen, seed=0, count=FEW)()
    assert seen.ended.total() >= FEW


def test_a_case_does_not_depend_on_those_before_it():
    odd = copy.deepcopy(damage.ODD)
    seed(0)(settings(QUIET, max_examples=500)(given(damage.of_json({"a": []}))(lambda _: None)))()
    assert repr(damage.ODD) == repr(odd)


def test_a_recipe_whose_command_is_a_list(tmp_path):
    (tmp_path / "r.yaml").write_text("steps: {a: {command: []}}\ncommon: {seed: 1}\n")
    with pytest.raises(BadConfig, match="is no command of a recipe"):
        TARGETS["recipe"].read(tmp_path)


@pytest.mark.parametrize("name", ["map.json", "map.yaml"])
@pytest.mark.parametrize("data", ["[" * 20_000, "{" * 20_000, '{"a": ' * 20_000, "- " * 20_000])
def test_a_class_map_that_is_nested_without_end(name, data, tmp_path):
    (tmp_path / name).write_text(data)
    began = time.process_time()
    with pytest.raises(BadConfig, match=r"one mapping from folders to classes|cannot be read"):
        TARGETS["class map"].read(tmp_path)
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize("name", TARGETS)
def test_whole_files_are_read(name, tmp_path):
    for file, data in TARGETS[name].whole().items():
        (tmp_path / file).write_bytes(data)
    TARGETS[name].read(tmp_path)
