"""The command line as a process of its own, and how it is called wrongly."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.squares import Ran, run

SRC = Path(__file__).parents[2] / "src"
COMMANDS = (
    *("attribute", "doctor", "demo", "train", "plan", "disassemble"),
    *("assemble", "unite", "evaluate", "inspect", "ops", "compress", "remove", "add", "replace"),
    *("finetune", "distill", "predict", "routes", "report", "bench", "export", "latency", "diff"),
    *("make", "recipe", "push", "latency-table"),
    *("parts add", "parts list", "parts search", "parts show", "parts verify", "parts remove", "parts gc"),
)


def process(*arguments, folder):
    """Run `python -m model_lego` with nothing but the package on its path."""
    environment = {**os.environ, "PYTHONPATH": str(SRC), "PYTHONWARNINGS": "default", "COLUMNS": "80"}
    command = [sys.executable, "-m", "model_lego", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def app():
    from model_lego.cli.commands import app

    return app(*COMMANDS)


def test_a_process_plans_with_relative_paths_and_says_nothing_else(world):
    given = ["zoo:lenet5", "-a", "image_size=16", "-a", "width=0.5", "--weights", world.weights.name]
    ran = process(
        "plan", "--paper", *given, "--data", world.data.name, "--classes", "ant", "--json", folder=world.data.parent
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.json == run("plan", "--paper", *world.source(), "--classes", "ant", "--json").json


def test_an_error_is_one_line_however_long(tmp_path):
    ran = process("inspect", "a-folder-with-a-name-that-is-rather-long-" * 2, folder=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("error: 'a-folder-with-a-name")


def test_an_error_has_no_traceback_unless_it_is_asked_for(tmp_path):
    short, long = run("inspect", tmp_path / "no"), run("--debug", "inspect", tmp_path / "no")
    assert (short.code, long.code) == (1, 1)
    assert "Traceback" not in short.err
    assert "Traceback (most recent call last)" in long.err
    assert long.err.endswith(short.err)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(app, command):
    done = CliRunner().invoke(app, [*command.split(), "--help"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert f" {command} [OPTIONS]" in done.stdout
    assert "--json" in done.stdout


def test_the_help_lists_every_command_and_no_other(app):
    done = CliRunner().invoke(app, ["--help"])
    words = {name.partition(" ")[0] for name in COMMANDS}
    assert {name for name in words if f" {name} " in done.stdout} == words
    found = {command.name for command in app.registered_commands}
    for group in app.registered_groups:
        found |= {f"{group.name} {command.name}" for command in group.typer_instance.registered_commands}
    assert found == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_line_of_help_is_what_the_function_of_the_command_says(command):
    """The list of commands is made without their modules."""
    from model_lego.cli.commands import COMMANDS as LISTED

    listed = next(each for each in LISTED if each.name == command)
    function = getattr(
        import_module(f"model_lego.cli.{listed.module}"), f"{command.replace(' ', '_').replace('-', '_')}_command"
    )
    assert listed.help == function.__doc__


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "ops"], ["--debug", "--version"]])
def test_the_version_is_told(arguments):
    from model_lego import __version__

    ran = run(*arguments)
    assert (ran.code, ran.out, ran.err) == (0, f"model-lego {__version__}\n", "")


INTERRUPTED = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder())
from model_lego.cli import main
main(["ops"])
"""


@pytest.mark.parametrize("module", ["typer", "rich.console", "torch", "model_lego.cli.inspect", "model_lego.graph"])
def test_an_interruption_while_modules_come_in_is_one_line(module):
    command = [sys.executable, "-c", INTERRUPTED.format(module=module)]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted; nothing was written\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["plan", "zoo:lenet5", "--classes", "0"], "Missing option '--data'"),
        (["assemble", "--out", "both"], "Missing argument"),
        (["ops", "--jsno"], "No such option"),
        (["plan", "zoo:lenet5", "-d", "x", "-c", "0", "--alpha", "much"], "unable to parse string as a number"),
    ],
)
def test_wrong_usage_is_told_on_stderr_with_exit_code_2(app, arguments, words):
    done, same = CliRunner().invoke(app, arguments), run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert (same.code, same.out) == (2, "")


def test_json_is_sorted_so_that_it_can_be_compared(world):
    text = run("evaluate", world.one, "--data", world.data, "--json").out
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
