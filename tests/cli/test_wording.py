"""The command line speaks its own words: no message that a command can end in names what only Python has."""

import ast
import functools
import re
from pathlib import Path

import pytest

import model_lego
from model_lego.cli.commands import COMMANDS, loaded
from model_lego.cli.wording import in_options, options_of
from tests.support.squares import refused, run

SOURCES = Path(model_lego.__file__).parent
#: What looks like Python: names with underscores, arguments, code in backticks, values, calls.
PYTHON = re.compile(r"(?<![\w-])[a-z]+(_[a-z]+)+\b|(?<![\w-])[a-z_]+=|`(?!model-lego)[^`]*`|\b(None|True|False)\b|\w\(")
#: What is the same in both: limits of a budget, arguments of builders, groups, files, packages, words of file formats.
SHARED = re.compile(
    r"(params|macs|bytes|drop|latency|key|width|num_classes|dog)=|torch_geometric|--\w+ \w+=|"
    "x_train y_train x_test y_test class_names"
)
#: Messages about what no command can do, or about code that a user of the command line has to write as well.
PYTHONIC = {
    "graph/head.py": r"cat\(\[-x, x\], dim=1\)",  # a layer of the network itself
    "graph/program.py": r"x\.size\(0\), or use flatten\(1\)",  # a line of the network itself
    "graph/modules.py": r"torch\.nn\.utils\.\w+( / \w+)?",  # a call on the network itself
    "graph/inlining.py": r"accelerator\.unwrap_model\([^)]*\)",  # how the network is given
    "graph/ownership.py": r"types\.MethodType\([^)]*\)",  # a line of the network itself
    "graph/randomness.py": r"training=self\.training",  # a line of the network itself
    "graph/written_images.py": r"x\.clone\(\)|relu\(x\)",  # a line of the network itself
    "models/of_hub.py": "save_pretrained",  # how the folder has to be made
    "models/weights_file.py": r"model\.state_dict\(\)",  # how the file has to be made
    "cli/evaluate.py": r"in Python \(ml\.ensemble\)",  # says that it is Python
    "data/npz.py": r"\.transpose\(0, 2, 3, 1\)",  # how the file has to be made
    "data/union.py": "same=True",  # no command joins data sets
    "disassembly/compressing.py": r"Budget\(macs=0\.5\)",  # the command line makes a Budget
    "report/seats.py": "None",  # the command line finds the routes
    "store/rebuild.py": "factory=lambda: Net\\(\\)|head_reads",  # no command has factories; a word of the file
    "store/loading.py": r"factory= or by model=|arguments= are .* model=",  # the command line gives what goes together
    "training/settings.py": "True, False",  # the option is a switch
}


@functools.cache
def options():
    """The options of all commands."""
    return options_of(map(loaded, COMMANDS))


def in_any_command(said):
    return in_options(said, options())


def spoken(node):
    """What a message says whatever the case, X where it depends."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(spoken(value) for value in values)
        case ast.FormattedValue():
            return "X"
        case ast.BinOp(left=left, right=right):
            return spoken(left) + spoken(right)
        case ast.IfExp(body=body, orelse=other):
            return spoken(body) + spoken(other)
    return ""


def messages():
    """All messages of errors and warnings, with the files that have them."""
    errors = {name for name in vars(model_lego.errors) if name[0].isupper()}
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in errors | {"warn", "say", "_check_named"}:
                    for said in map(spoken, node.args):
                        yield path.relative_to(SOURCES).as_posix(), said


def test_no_message_is_left_in_the_words_of_python():
    found = list(messages())
    assert len(found) > 300
    left = []
    for file, said in found:
        here = SHARED.sub("", re.sub(PYTHONIC.get(file, "$^"), "", in_any_command(said)))
        if PYTHON.search(here):
            left.append((file, here))
    assert left == []


@pytest.mark.parametrize(
    ("said", "here"),
    [
        ("choose on_clash='prefer' or 'average'", "choose --on-clash prefer or 'average'"),
        ("on_clash 'fight' is unknown", "--on-clash 'fight' is unknown"),
        ("use layout='parallel'", "use --layout parallel"),
        ("choose another folder, or pass overwrite=True", "choose another folder, or give --overwrite"),
        ("keep all of them with `compress`", "keep all of them with `model-lego compress`"),
        ("see with `diagnose` what is kept whole", "see with `model-lego doctor` what is kept whole"),
        ("with hard=1 and features=0 a student", "with --hard 1 and --features 0 a student"),
        (
            "--head 'ridge' needs calibration images; give calibration=",
            "--head 'ridge' needs calibration images; give --data",
        ),
        ("is left out: `outsiders` gives the whole one", "is left out: --outsiders gives the whole one"),
        ("threshold conv_alpha is 2.0", "threshold --alpha is 2.0"),
        ("--budget 'accuracy_drop=3' names no limit", "--budget 'accuracy_drop=3' names no limit"),
        (
            "the part's class 'class_names do not name' and the others' per_class",
            "the part's class 'class_names do not name' and the others' --per-class",
        ),
        ("budget accuracy_drop=101 allows everything", "budget drop=101 allows everything"),
        ("'/my_data/per_class=3/on_clash' is a file", "'/my_data/per_class=3/on_clash' is a file"),
        ("'seed=3' is no key=value", "'seed=3' is no key=value"),
        ("the data has no class 'batch_size'", "the data has no class 'batch_size'"),
        ("no class 'batch size per_class here'", "no class 'batch size per_class here'"),
    ],
)
def test_arguments_are_options_and_what_is_quoted_stays(said, here):
    assert in_any_command(said) == here


def test_options_go_by_their_own_flags():
    def command(*, on_clash: str, flip: bool) -> None: ...

    assert options_of([command]) == {}
    known = options()
    assert (known["on_clash"], known["per_class"], known["amp"]) == ("--on-clash", "--per-class", "--amp")
    for said in ("per_class=3", "", "'a'", "use 'a', 'b'"):
        assert in_options(said, {}) == in_options(said, {"out": "--out"}) == said


def test_a_clash_names_the_option(world, tmp_path):
    words = refused(run("assemble", world.one, world.one, "--out", tmp_path / "both"))
    assert "choose --on-clash prefer or" in words
    assert "on_clash" not in words


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("resnet18", "did you mean torchvision:resnet18 or"),
        ("resnet20", "did you mean zoo:resnet20 or"),
        ("torchvison:resnet18", "did you mean torchvision:resnet18 or"),
        ("vgg", "did you mean zoo:vgg16 or torchvision:vgg19"),
        ("zoo:foo", "'zoo:foo' is unknown; there are lenet5, alexnet, vgg16, resnet20, resnet50, googlenet"),
        ("zoo:lenet6", "did you mean lenet5"),
        ("torchvision:qqq", "there are alexnet, convnext_base"),
    ],
)
def test_a_network_that_is_not_there_brings_those_that_are(model, words):
    assert words in refused(run("doctor", model))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-a", "width=half"], "zoo:lenet5 cannot be built: 'width' has to be a number, not 'half'"),
        (["-a", "num_classes=ten"], "'num_classes' has to be an integer, not 'ten'"),
        (["-a", "image_size=16.5"], "'image_size' has to be an integer, not 16.5"),
        (["-a", "widht=2"], "cannot be built with widht=2: it takes num_classes, width"),
        (["-a", "width=True"], "'width' has to be a number, not True"),
    ],
)
def test_an_argument_that_does_not_fit_is_told_truly(arguments, words):
    assert words in refused(run("doctor", "zoo:lenet5", *arguments))


def test_an_argument_of_another_library_is_told_with_its_value():
    words = refused(run("doctor", "torchvision:mobilenet_v2", "-a", "width_mult=half"))
    assert "cannot be built with width_mult='half'" in words
    assert "'width_mult' is text" in words


def test_a_folder_as_weights_is_called_one(world, tmp_path):
    words = refused(run("doctor", "zoo:lenet5", "--weights", world.one))
    assert f"'{world.one}' is a folder; give a file of weights in it" in words
    assert "model.safetensors" in words
    words = refused(run("plan", "zoo:lenet5", "--weights", tmp_path, "--data", world.data, "--classes", "ant"))
    assert f"'{tmp_path}' is a folder; give a file" in words
    words = refused(run("doctor", "zoo:lenet5", "--weights", tmp_path / "nothing.pt"))
    assert "does not exist" in words


def test_classes_without_names_are_said_to_have_none(world, tmp_path):
    import torch

    import model_lego as ml
    from tests.support.squares import trained

    batches = [(torch.rand(8, 1, 16, 16), torch.arange(8) % 4)]
    for classes in (["cat"], [7], "0,9"):
        with pytest.raises(ml.LegoError, match="it has classes 0 to 3, which have no names"):
            ml.plan(trained(seed=0), batches, classes=classes)
