"""The public names: what they are, that each is explained in docs/reference.md, and that each has a docstring."""

import dataclasses
import inspect
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import model_lego
import model_lego.data
from model_lego import errors

PAGE = (Path(__file__).parents[2] / "docs/reference.md").read_text(encoding="utf-8")
NAMES = [
    "Assembly",
    "BinnedPart",
    "Budget",
    "Builder",
    "ChannelGraph",
    "ChannelSelection",
    "Component",
    "Concern",
    "Contender",
    "ContributionMaps",
    "ContributionStats",
    "Cost",
    "Curve",
    "DecisionRoutes",
    "Device",
    "Diagnosis",
    "DoubtfulResult",
    "Exported",
    "Gain",
    "LatencyTable",
    "LegoError",
    "Network",
    "NodeClassifier",
    "Plan",
    "Prediction",
    "Predictions",
    "Preprocessing",
    "Provenance",
    "Quantized",
    "RepairSettings",
    "Report",
    "Thresholds",
    "TopImages",
    "TrainingSettings",
    "Verdict",
    "__version__",
    "add_classes",
    "assemble",
    "attribute",
    "baselines",
    "bin_add",
    "bin_gc",
    "bin_remove",
    "bin_search",
    "bin_verify",
    "canonize",
    "collect",
    "contribution_maps",
    "compress",
    "curve",
    "cut",
    "decision_routes",
    "diagnose",
    "disassemble",
    "distill",
    "distillation_gain",
    "ensemble",
    "evaluate",
    "export",
    "finetune",
    "from_hub",
    "latency_table",
    "load",
    "load_latency_table",
    "load_statistics",
    "locate",
    "merge",
    "open_network",
    "parts_run",
    "plan",
    "push_to_hub",
    "quantize",
    "remove_classes",
    "repair",
    "replace_part",
    "save",
    "save_latency_table",
    "save_statistics",
    "top_images",
    "trace",
    "train",
    "unite",
]
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(model_lego, name))]
CONFIGS = ["Budget", "Builder", "Cost", "Preprocessing", "RepairSettings", "Thresholds"]
CHILDREN = [
    name for name, found in vars(errors).items() if inspect.isclass(found) and errors.LegoError in found.__bases__
]


def section(name):
    """What the reference says under the heading of a name."""
    found = re.search(rf"^### `{name}`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/reference.md has no heading for {name}"
    return found.group(1)


def arguments(function):
    """The names of a function's arguments, with those that a TypedDict declares."""
    names = []
    for name, parameter in inspect.signature(function).parameters.items():
        declared = parameter.kind == parameter.VAR_KEYWORD
        names += get_type_hints(get_args(parameter.annotation)[0]) if declared else [name]
    return names


def test_the_public_names_are_these():
    assert sorted(model_lego.__all__) == sorted(NAMES)
    assert list(model_lego.__all__) == sorted(model_lego.__all__)


def test_the_reference_has_a_heading_for_each_name_and_for_nothing_else():
    assert sorted(re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_explained_in_a_sentence(name):
    assert len(section(name).split()) >= 5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_reference_names_every_argument(name):
    code = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", section(name)))))
    assert [argument for argument in arguments(getattr(model_lego, name)) if argument not in code] == []


@pytest.mark.parametrize("name", model_lego.data.__all__)
def test_the_reference_tells_of_what_opens_data(name):
    found = re.search(rf"^### `model_lego\.data\.{name}`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    code = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", found.group(1)))))
    assert [argument for argument in arguments(getattr(model_lego.data, name)) if argument not in code] == []


@pytest.mark.parametrize("name", CONFIGS)
def test_the_reference_names_every_field_of_what_users_fill_in(name):
    fields = dataclasses.fields(getattr(model_lego, name))
    assert [field.name for field in fields if f"`.{field.name}`" not in section(name)] == []


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name[0].isupper() and name not in ("DoubtfulResult", "LegoError")]
)
def test_attributes_in_the_reference_exist(name):
    noun = getattr(model_lego, name)
    known = {*dir(noun), *getattr(noun, "__dataclass_fields__", ()), *inspect.signature(noun).parameters}
    assert [word for word in re.findall(r"`\.(\w+)", section(name)) if word not in known] == []


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"__version__"}))
def test_each_name_has_a_docstring_of_its_own(name):
    text = getattr(model_lego, name).__doc__
    assert text, name
    assert not text.startswith(f"{name}(")  # what dataclass writes where there is none


@pytest.mark.parametrize("name", CHILDREN)
def test_the_reference_tells_when_each_error_is_raised(name):
    _, builtin = getattr(errors, name).__bases__
    assert re.search(rf"^\| `{name}` \| `{builtin.__name__}` \| \S.* \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_argument_that_a_verb_does_not_have_is_refused_as_python_does(name):
    verb = getattr(model_lego, name)
    needed = [
        p for p in inspect.signature(verb).parameters.values() if p.default is p.empty and p.kind != p.VAR_KEYWORD
    ]
    given = [None for p in needed if p.kind == p.POSITIONAL_OR_KEYWORD]
    with pytest.raises(TypeError, match="unexpected keyword argument 'sed'"):
        verb(*given, **{p.name: None for p in needed if p.kind == p.KEYWORD_ONLY}, sed=1)
