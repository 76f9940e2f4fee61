"""Code of the user's own in every command: `python:FILE.py:CALLABLE` as MODEL, and `--model` for parts of it."""

import textwrap

import pytest

from tests.support.squares import refused, run, said

NET = """
    from safetensors.torch import load_file

    from model_lego.models.lenet import LeNet5

    def net(width=0.5, num_classes=4):
        return LeNet5(num_classes=num_classes, width=width, image_size=16)


    def trained(path):
        print("from the user's code")
        made = net()
        made.load_state_dict(load_file(path))
        return made


    def fixed():
        return net()
"""
NAME = "python:net.py:net"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The current folder, with the code in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(textwrap.dedent(NET))
    return tmp_path


@pytest.fixture
def part(world, here):
    ran = run("disassemble", NAME, "-a", "width=0.5", "--weights", world.weights, "--data", world.data,
              "--classes", "cat,dog", "--out", here / "part")  # fmt: skip
    assert ran.code == 0, ran.err
    return here / "part"


def json(*command):
    ran = run(*command, "--json")
    assert ran.code == 0, ran.err
    return ran.json


@pytest.mark.parametrize(
    "command",
    [
        ("doctor",),
        ("plan", "--classes", "ant"),
        ("routes", "--classes", "ant"),
        ("attribute", "--out", "statistics"),
        ("compress", "--budget", "macs=0.6", "--out", "half"),
        ("remove", "--classes", "ant", "--out", "rest"),
    ],
)
def test_it_is_a_model_in_every_command(world, command):
    name, *options = command
    data = [] if name == "doctor" else ["--data", world.data]
    found = json(name, NAME, "--weights", world.weights, *data, *options)
    assert found


def test_a_component_of_it_is_cut_inspected_and_measured(world, part):
    origin = json("inspect", part)["parts"][0]["origin"]
    assert origin["builder"] == {"name": NAME, "arguments": {"width": 0.5}}
    assert "source        python:net.py:net (width=0.5), for ant, bee" in run("inspect", part).out
    measured = json("evaluate", part, "--data", world.data, "--model", NAME)
    beside = json(
        "evaluate", part, "--data", world.data, "--source", NAME, "-a", "width=0.5", "--weights", world.weights
    )
    assert measured["rows"][0]["accuracy"] == beside["rows"][0]["accuracy"] > 90
    assert {"source", "restricted"} < {row["name"] for row in beside["rows"]}


def test_a_part_of_it_does_not_run_it_without_being_told(world, part, here):
    (here / "net.py").write_text("raise SystemExit('it was run')")
    for command in (
        ("evaluate", part, "--data", world.data),
        ("finetune", part, "--data", world.data, "--out", "tuned"),
        ("assemble", part, world.one, "--out", "all"),
        ("add", world.one, part, "--out", "all"),
        ("remove", part, "--classes", "cat", "--out", "less"),
        ("report", part, "--html", "page.html"),
        ("doctor", part),
        ("predict", part, "photo.png"),
        ("plan", part, "--data", world.data, "--classes", "cat"),
        ("unite", part, part, "--out", "both"),
        ("distill", part, "zoo:lenet5", "-a", "image_size=16", "--data", world.data, "--out", "student"),
    ):
        words = refused(run(*command))
        assert (
            "code that does not run because a file names it; if you trust it, give --model python:net.py:net" in words
        )


def test_every_command_that_takes_parts_takes_their_code(world, part):
    own = ("--model", NAME)
    assert json("doctor", part, *own)
    assert json("plan", part, "--data", world.data, "--classes", "cat", *own)
    assert json("assemble", part, world.one, "--data", world.data, "--out", "all", "--overwrite", *own)
    assert len(json("evaluate", "all", "--data", world.data, *own)["classes"]) == 4
    assert json("add", world.one, part, "--out", "more", *own)["classes"] == ["ant", "bee", "cat", "dog"]
    assert json("replace", "all", "1", part, "--data", world.data, "--out", "same", *own)["classes"]
    assert json("remove", part, "--classes", "cat", "--out", "less", *own)["classes"] == ["dog"]
    assert json("report", part, "--html", "page.html", *own)
    assert json("unite", part, "less", "--out", "both", "--overwrite", *own)
    tuning = ("--data", world.data, "--epochs", "1", "--batch-size", "16")
    assert json("finetune", part, *tuning, "--out", "tuned", *own)
    student = ("distill", part, "python:net.py:net", "-a", "width=0.25", *tuning, "--out", "student", *own)
    assert json(*student)
    assert json("inspect", "student")["parts"][0]["origin"]["builder"]["arguments"] == {"width": 0.25, "num_classes": 2}


def test_a_changed_network_is_found_out(world, part, here):
    changed = (here / "net.py").read_text().replace("return LeNet5(", "return Softer(")
    (here / "net.py").write_text(
        f"{changed}\n\nclass Softer(LeNet5):\n    def forward(self, x):\n        return super().forward(x / 2)\n"
    )
    words = refused(run("evaluate", part, "--data", world.data, "--model", NAME))
    assert "the network that was built is not the one that was saved" in words


def test_a_network_that_comes_trained_needs_no_weights(world):
    given = ("-a", f"path={world.weights}", "--data", world.data, "--classes", "cat,dog")
    ran = run("disassemble", "python:net.py:trained", *given, "--out", "part", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["rows"][0]["accuracy"] > 90  # stdout is one JSON object, whatever the code prints
    assert "from the user's code" in ran.err
    assert "note: weights are those that python:net.py:trained gives" in ran.err
    words = refused(run("evaluate", "part", "--data", world.data, "--model", "python:net.py:trained"))
    assert "which might name a file or code; where you trust it, say it again by -a key=value" in words
    again = ("--model", "python:net.py:trained", "-a", f"path={world.weights}")
    assert json("evaluate", "part", "--data", world.data, *again)["rows"][0]["accuracy"] > 90


def test_random_weights_are_not_taken_for_trained_ones(world):
    words = refused(run("plan", NAME, "--data", world.data, "--classes", "cat"))
    assert (
        words == "python:net.py:net gives other weights each time that it is called, random ones; give --weights FILE"
    )


def test_it_is_trained(world, here):
    tuning = ("--data", world.data, "--epochs", "1", "--batch-size", "16")
    json("train", NAME, "-a", "width=0.25", *tuning, "--classes", "ant,bee", "--out", "w")
    assert json("doctor", NAME, "-a", "width=0.25", "-a", "num_classes=2", "--weights", here / "w/model.safetensors")
    words = refused(run("train", "python:net.py:fixed", *tuning, "--classes", "ant,bee", "--out", "v"))
    assert "python:net.py:fixed gives 4 logits, but 2 classes are to be learned" in words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("python:nett.py:net", "there is no file 'nett.py'; did you mean net.py?"),
        ("python:net.py:nett", "'net.py' has no 'nett'; did you mean net?"),
        ("python:net.py", "says no class or function: python:net.py:CALLABLE"),
        ("python:", "names no network; use zoo:NAME"),
    ],
)
def test_what_is_wrong_is_one_line(name, words):
    assert words in refused(run("doctor", name))


@pytest.mark.parametrize("value", ["{1, 2}", "1j", "b'x'", "1e999", "[1, {2}]"])
def test_arguments_that_no_saved_part_can_hold(value):
    assert "is what no saved part can hold" in refused(run("doctor", NAME, "-a", f"width={value}"))


def test_arguments_that_are_not_taken_are_told_in_options(world):
    words = refused(run("doctor", NAME, "-a", "widht=2"))
    assert "unexpected keyword argument 'widht'; it takes width, num_classes, which are given by name by -a" in words


def test_debug_shows_where_in_the_code_it_was(here):
    (here / "bad.py").write_text("def net():\n    return 1 / 0\n")
    ran = run("doctor", "python:bad.py:net", "--debug")
    assert "bad.py, line 2: ZeroDivisionError: division by zero" in said(ran.err)
    assert "Traceback" in ran.err
    assert "Traceback" not in run("doctor", "python:bad.py:net").err
