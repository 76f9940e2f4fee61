"""What is wrong with a recipe is said at once, with file, line, key and the nearest word, before anything is run."""

import inspect
import json
from pathlib import Path

import pytest

from model_lego.cli.recipe.reading import LISTED, Mistakes, near, read_recipe
from model_lego.cli.recipe.steps import COMMANDS, SHARED, keys_of, schema
from model_lego.cli.recipe.text import DEEPEST, MAX_BYTES, read_yaml
from tests.support.squares import run

TEN = """\
comon: {seed: 1}
common:
  seed: -1
steps:
  pets:
    command: disasemble
  one:
    command: disassemble
    model: zoo:lenet5
    data: nowhere.npz
    clases: [1, 2]
    repair: rigde
    multiple: two
    budget: {mac: 0.3}
  both:
    command: assemble
    parts: [one, later, onee]
    layout: paralel
    head: auto
    head: ridge
  later:
    command: compress
    model: zoo:lenet5
    data: digits
result: bothh
"""
SAID = """\
1: comon: there is no such key; did you mean common?
3: common.seed: has to be greater than or equal to 0, not -1
6: steps.pets.command: 'disasemble' is no command of a recipe; did you mean disassemble?
7: steps.one.classes: is missing
10: steps.one.data: 'nowhere.npz' is no file and no folder
11: steps.one.clases: there is no such key; did you mean classes?
12: steps.one.repair: 'rigde' is unknown; did you mean ridge?
13: steps.one.multiple: has to be a valid integer, not 'two'
14: steps.one.budget: 'mac=0.3' names no limit; give NUMBER for one of params=, macs=, bytes=, latency=, drop=
17: steps.both.parts.2: step 'later' is not above this one; a step names those above it
17: steps.both.parts.3: 'onee' is no step above, no file and no folder; did you mean one?
18: steps.both.layout: 'paralel' is unknown; did you mean parallel?
20: steps.both.head: it is there already, in line 19
25: result: 'bothh' is no step; did you mean both?
"""


def wrong(text):
    with pytest.raises(Mistakes) as caught:
        read_recipe(text, "r.yaml")
    return caught.value.lines


def step(**options):
    return json.dumps({"steps": {"one": {"command": "disassemble", "model": "zoo:lenet5", "data": "digits"} | options}})


def test_more_than_ten_mistakes_are_named_each_with_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(TEN)
    ran = run("make", "recipe.yaml", "--steps", "kept")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "".join(f"error: recipe.yaml:{line}\n" for line in SAID.splitlines())
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "r.yaml:1: it is empty"),
        ("- 1", "r.yaml:1: a recipe is a mapping with `steps`"),
        ("a: 1", "r.yaml:1: steps: is missing"),
        ("steps: {}", "r.yaml:1: steps: Dictionary should have at least 1 item"),
        ("steps: {a: {command: [1]}}", "r.yaml:1: steps.a.command: '[1]' is no command"),
        ("steps: [1]", "r.yaml:1: steps: has to be a valid dictionary, not [1]"),
        ("steps:\n  a: 1", "r.yaml:2: steps.a: has to be a valid dictionary"),
        ("steps:\n  a: {model: x}", "r.yaml:2: steps.a: it has no command; use one of train, attribute"),
        ("steps:\n\ta: 1", "r.yaml:2: that is no YAML: found character"),
        ("steps: {a: &b {}, c: *b}", "r.yaml:1: references (&b, *b) are not read"),
        ("steps:\n  a: !!python/object:os.system {}", "r.yaml:2: steps.a: the tag"),
        ("steps:\n  a: !!python/name:os.system x", "r.yaml:2: steps.a: the tag"),
        ("steps:\n  ? [1]\n  : 2", "r.yaml:2: steps: a key is a word"),
        ("a: " + "[" * 20 + "]" * 20, f"r.yaml:1: it lies deeper than {DEEPEST}"),
        ("a: '" + "x" * MAX_BYTES + "'", f"r.yaml:1: it has more than {MAX_BYTES:,} bytes"),
        ("steps:\n  a: !!int x", "r.yaml:2: steps.a: 'x' is no value of int"),
        ('steps: {"a/b": {command: ops}}', "r.yaml:1: steps.a/b: 'a/b' is no name; use letters"),
        ("made: {result: 7}\nsteps: {}", "r.yaml:1: made.result: has to be a valid string, not 7"),
        ("made: {reslt: 7}\nsteps: {}", "r.yaml:1: made.reslt: there is no such key; did you mean result?"),
        ("common: {sed: 7}\nsteps: {}", "r.yaml:1: common.sed: there is no such key; did you mean seed?"),
    ],
)
def test_what_is_no_recipe(text, said):
    assert any(line.startswith(said) for line in wrong(text)), wrong(text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": [True]}, "YAML takes yes, no, on and off for switches"),
        ({"classes": [None]}, "names or numbers, one or a list of some"),
        ({"classes": []}, "names or numbers, one or a list of some"),
        ({"classes": "1", "model": None}, "has to be a valid string, not None"),
        ({"classes": "1", "alpha": 2}, "has to be less than or equal to 1, not 2"),
        ({"classes": "1", "budget": "macs=much"}, "'macs=much' has no number behind macs="),
        ({"classes": "1", "argument": {"a b": 1}}, "'a b=1' is no key=value"),
        ({"classes": "1", "seed": 2**63}, "has to be less than 9223372036854775808"),
        ({"classes": "1", "weights": "one"}, "step 'one' is not above this one"),
        ({"classes": "1", "size": [True]}, "text, a number, or a list of numbers"),
        ({"classes": "1", "paper": "yes"}, "has to be a valid boolean, not 'yes'"),
        ({"classes": "1", "out": "x"}, "there is no such key"),
    ],
)
def test_what_is_no_option(options, said):
    (line,) = wrong(step(**options))
    assert said in line


def test_a_step_gives_what_another_takes():
    text = """
steps:
  net: {command: train, model: "zoo:lenet5", data: digits}
  one: {command: disassemble, model: net, data: digits, classes: 1}
  file: {command: export, part: net, to: ../x.onnx}
result: net
"""
    assert wrong(text) == [
        "r.yaml:4: steps.one.model: step 'net' gives weights, and here part is needed",
        "r.yaml:5: steps.file.part: step 'net' gives weights, and here part is needed",
        "r.yaml:5: steps.file.to: '../x.onnx' does not lie below the folder in which the recipe is made; "
        "name a file there",
        "r.yaml:6: result: 'net' gives no part",
    ]


def test_options_are_as_commands_take_them():
    text = """
common: {data: digits}
steps:
  one:
    command: disassemble
    model: zoo:lenet5
    classes: [1, 3, 1:30]
    budget: {macs: 0.3, drop: 1}
    argument: {width: 0.5, name: "1"}
    mean: [0.1, 0.2]
    size: [32, 16]
  both: {command: assemble, parts: one, group: {odd: [a, "b, c"]}, order: [x, 1]}
"""
    read = read_recipe(text, "r.yaml")
    assert dict(read.step("one").options) == {
        "data": "digits",
        "model": "zoo:lenet5",
        "classes": ["1", "3", "1:30"],
        "budget": ["macs=0.3", "drop=1"],
        "argument": ["width=0.5", "name='1'"],
        "mean": "0.1,0.2",
        "size": "32x16",
    }
    assert read.step("both").options["group"] == ['odd=a,"b, c"']
    assert (read.result, read.step("both").refers(["one"])) == ("both", ("one",))


def test_plain_words_are_what_yaml_says_and_dates_are_text():
    assert read_yaml("[1, 0.5, yes, null, 2026-11-29, 1:30, '7', <<]").values == [
        *(1, 0.5, True, None, "2026-11-29", "1:30", "7", "<<")
    ]


def test_few_words_are_listed_where_none_is_near():
    assert near("xyz", ["ant", "bee"]) == "; use one of ant, bee"
    assert near("xyz", ["ant"] * (LISTED + 1)) == ""


def test_every_command_that_writes_a_part_is_a_step():
    from model_lego.cli.commands import COMMANDS as ALL
    from model_lego.cli.commands import loaded

    code = {command.name: inspect.getsource(inspect.unwrap(loaded(command))) for command in ALL}
    writes = {name for name, text in code.items() if "save_made(" in text}
    assert set(COMMANDS) == writes | {"train", "attribute", "export"}
    assert all(any(name in keys_of(command) for command in COMMANDS) for name in SHARED)


def test_the_schema_that_is_published_is_that_of_the_commands():
    """Write it anew with: model-lego recipe --schema > docs/recipe.schema.json."""
    published = json.loads((Path(__file__).parents[2] / "docs/recipe.schema.json").read_text(encoding="utf-8"))
    assert published == schema() == run("recipe", "--schema").json
    options = published["$defs"]["Disassemble"]
    assert options["properties"]["repair"]["enum"] == ["ridge", "mean", "bn", "none", "tuned"]
    assert options["required"] == ["command", "model", "classes"]
