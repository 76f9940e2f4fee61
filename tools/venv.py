"""Make the virtual environment that the Makefile runs everything in, and print its folder.

Usage: `python tools/venv.py [--where] EXTRA ...`; with `--where` nothing is made. Standard library only.

The folder is named by a hash of what goes into it (dependencies, constraints.txt, interpreter): a changed pin makes a
new one, anything else costs nothing. The package itself is not installed but found through PYTHONPATH, so that
checkouts can share a folder of environments, MODEL_LEGO_VENVS, and each still tests its own code.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"


def requirements(extras: list[str]) -> list[str]:
    """List the dependencies of the project with those of `extras`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: list[str] = list(project["dependencies"])
    for extra in extras:
        found += project["optional-dependencies"][extra]
    return sorted(found)


def folder(needed: list[str]) -> Path:
    """Name the environment for `needed`."""
    interpreter = f"{Path(sys.executable).resolve()} {sys.version}"
    text = "\n".join([interpreter, *needed, CONSTRAINTS.read_text(encoding="utf-8")])
    venvs = Path(os.environ.get("MODEL_LEGO_VENVS") or ROOT / ".venv").expanduser().absolute()
    return venvs / hashlib.sha256(text.encode()).hexdigest()[:12]


def make(venv: Path, needed: list[str]) -> None:
    """Create `venv` and install `needed`, unless that was done; a half-made one is thrown away."""
    complete = venv / "complete"
    venv.parent.mkdir(parents=True, exist_ok=True)
    with (venv.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete.exists():
            return
        print(f"installing into {venv} (once, some minutes)", file=sys.stderr)
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        install = ["-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--constraint", str(CONSTRAINTS)]
        subprocess.run([venv / "bin/python", *install, *needed], check=True)
        complete.touch()


def main(arguments: list[str]) -> int:
    """Make the environment, or only say where it is."""
    where = "--where" in arguments
    needed = requirements([extra for extra in arguments if extra != "--where"])
    venv = folder(needed)
    if not where:
        try:
            make(venv, needed)
        except subprocess.CalledProcessError as error:
            print(f"could not make {venv}: {error.cmd[0]} ended with {error.returncode}", file=sys.stderr)
            return 1
    print(venv)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
