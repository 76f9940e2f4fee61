"""The repository as a whole: what is packaged, pinned, run by continuous integration, and what must not be in it."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOREIGN = {
    "a path of a machine": r"(?<![\w.])/(home|root|Users|mnt|media)/\w",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a token": r"\b(AKIA[0-9A-Z]{16}|hf_\w{30,}|gh[pousr]_\w{36}|pypi-\w{40,})",
}
if len(ROOT.parts) > 2:  # a checkout in /src would be found in every mention of src/
    FOREIGN["the path of this checkout"] = re.escape(f"{ROOT}/")


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def project_files():
    """List what is tracked or would be, without what is ignored."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [path for name in done.stdout.splitlines() if (path := ROOT / name).is_file()]


def test_torch_and_torchvision_are_pinned_as_a_pair():
    assert (pins()["torch"], pins()["torchvision"]) == ("2.14.1", "0.29.1")


def test_every_requirement_has_a_pin_that_satisfies_it():
    written = itertools.chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for requirement in map(Requirement, written):
        pin = pins().get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(pin), f"{requirement} does not allow the pinned {pin}"


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "src/model_lego/py.typed").is_file()


def test_continuous_integration_runs_make_test():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("\nexec make test")


def test_no_machine_paths_or_secrets():
    found = []
    for path in project_files():
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {what}" for what, pattern in FOREIGN.items() if re.search(pattern, text)]
    assert found == []


def test_the_environment_changes_with_the_pins_and_with_nothing_else(tmp_path):
    (tmp_path / "tools").mkdir()
    for name in ("pyproject.toml", "constraints.txt", "tools/venv.py"):
        shutil.copy(ROOT / name, tmp_path / name)

    def where():
        command = [sys.executable, tmp_path / "tools/venv.py", "--where", "dev", "demo"]
        environment = {**os.environ, "MODEL_LEGO_VENVS": str(tmp_path / "venvs")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    def append(name, text):
        with (tmp_path / name).open("a") as file:
            file.write(text)

    first = where()
    append("pyproject.toml", "\n# no dependency\n")
    assert where() == first
    append("constraints.txt", "another==1\n")
    assert where() != first
    assert {Path(first).parent, Path(where()).parent} == {tmp_path / "venvs"}
    assert not (tmp_path / "venvs").exists()
