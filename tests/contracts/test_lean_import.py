"""What importing brings in: terminals, pictures and zoos of networks wait until they are used."""

import functools
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"

#: Needed by one verb, one command or one extra, never for `import model_lego` itself.
LATE = (
    "PIL", "accelerate", "huggingface_hub", "matplotlib", "mlxtend", "onnx", "onnxruntime", "onnxscript", "rich",
    "scipy", "timm", "torch_geometric", "torch_pruning", "torchmetrics", "torchvision", "transformers", "typer",
)  # fmt: skip
#: What the command line needs at once, to say a word of help.
TERMINAL = ("rich", "typer")

REPORT = """
import json, logging, sys, warnings
import torch
before = (list(warnings.filters), torch.get_default_dtype(), torch.get_rng_state().tolist(), torch.is_grad_enabled())
import {module}
after = (list(warnings.filters), torch.get_default_dtype(), torch.get_rng_state().tolist(), torch.is_grad_enabled())
print(json.dumps({{
    "modules": sorted({{name.partition(".")[0] for name in sys.modules}}),
    "changed": before != after,
    "handlers": len(logging.getLogger().handlers) + len(logging.getLogger("model_lego").handlers),
    "cuda": torch.cuda.is_initialized(),
}}))
"""


@functools.cache
def after_import(module):
    """Import a module in a fresh process and tell what is there then; gives the report and all other output."""
    code = REPORT.format(module=module)
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def installed(names):
    return [name for name in names if find_spec(name) is not None]


def test_the_packages_that_must_stay_out_could_come_in():
    assert {"PIL", "rich", "torchmetrics", "torchvision", "typer"} <= set(installed(LATE))  # dependencies of ours


def test_importing_the_library_brings_in_nothing_that_it_may_not_need():
    report, _ = after_import("model_lego.public")
    assert "model_lego" in report["modules"]
    assert sorted(set(report["modules"]) & set(LATE)) == []


def test_the_command_line_brings_in_the_terminal_and_no_more():
    report, _ = after_import("model_lego.cli.commands")
    assert sorted(set(report["modules"]) & set(LATE)) == sorted(TERMINAL)


@pytest.mark.parametrize("module", ["model_lego", "model_lego.public", "model_lego.cli.commands"])
def test_importing_changes_nothing_and_says_nothing(module):
    report, talk = after_import(module)
    assert (report["changed"], report["handlers"], report["cuda"], talk) == (False, 0, False, "")


TELLING = """
import sys
from model_lego.cli import main
try:
    main({arguments})
finally:
    print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], [], ["frobnicate"], ["--debug", "--help"]])
def test_what_is_told_without_a_command_is_told_without_torch(arguments):
    """Its import takes seconds."""
    code, environment = TELLING.format(arguments=arguments), {**os.environ, "PYTHONPATH": str(SRC)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2 if arguments in ([], ["frobnicate"]) else 0, False)
    assert set(done.stderr.split()) & {"torch", "numpy", "torchvision", "scipy"} == set()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved part, and one in a bin whose index knows of none."""
    from benchmarks.kills import part
    from model_lego.names.bin_names import INDEX
    from model_lego.parts_bin.keeping import bin_add
    from model_lego.store import save

    folder = tmp_path_factory.mktemp("saved")
    bin_add(save(part("cat"), folder / "cat"), folder=folder / "bin")
    (folder / "bin" / INDEX).unlink()
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "parts list --bin {0}/bin",
        "parts search --class cat --bin {0}/bin",
        "parts show cat --bin {0}/bin",
        "parts list --json --bin {0}/bin",
        "inspect {0}/cat",
        "inspect {0}/cat --tree",
        "inspect {0}/cat --json",
        "diff {0}/cat {0}/cat",
        "inspect --help",
        "parts list --help",
    ],
)
def test_what_a_manifest_says_of_a_part_is_told_without_torch(words, saved):
    code = TELLING.format(arguments=words.format(saved).split())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SRC), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert any(told in done.stdout for told in ("cat", "nothing differs", "Usage"))
    assert set(done.stderr.split()) & {"torch", "numpy", "torchvision", "scipy", "PIL"} == set()


def test_torch_comes_with_the_first_name_that_is_asked_for():
    code = "import sys, model_lego; print('torch' in sys.modules); model_lego.Budget; print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_what_is_no_public_name_is_refused_as_python_does():
    import model_lego

    with pytest.raises(AttributeError, match="module 'model_lego' has no attribute 'assembel'"):
        model_lego.assembel  # noqa: B018
    assert {"assemble", "Component", "__version__"} <= set(dir(model_lego))


def test_a_module_of_the_package_is_there_without_its_public_names():
    code = "import sys; from model_lego import errors, names; print('model_lego.public' in sys.modules, names.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "model_lego.names"]
