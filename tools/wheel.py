"""Build the sdist, from it the wheel, both into dist, and try the wheel in a fresh environment: `make wheel`.

That environment borrows the pinned dependencies from the one that this runs in, through a .pth file, so that it costs
seconds and no downloads. The package itself is in neither: what answers is the wheel.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
PACKAGE = ROOT / "src" / "model_lego"

#: Run where the wheel is installed: it is the one that answers, and its data files are read.
USE = """
import sys
from pathlib import Path
import model_lego
from model_lego.report.page import asset
from model_lego.tables.recipes import read_recipes
assert Path(model_lego.__file__).is_relative_to(sys.prefix), model_lego.__file__
assert asset("page.css") and read_recipes()
"""
#: A file of a user, in which mypy has to see the package's types: then the last line is wrong, and nothing else.
TYPED = """\
import model_lego as ml
right: ml.Component | ml.Assembly = ml.load("part")
wrong: int = ml.load("part")
"""


class WheelFailed(Exception):
    """The wheel is not what it should be."""


def run(*command: str | Path, folder: Path, fails: bool = False) -> str:
    """Run a command without this checkout on its path; gives what it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MYPYPATH"}}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if bool(done.returncode) != fails:
        raise WheelFailed(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def build(scratch: Path) -> Path:
    """Build the sdist from the checkout and the wheel from the sdist, so that neither misses a file."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", DIST, folder=ROOT)
    (sdist,) = DIST.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        file.extractall(scratch, filter="data")
    (unpacked,) = scratch.iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", DIST, folder=unpacked)
    (wheel,) = DIST.glob("*.whl")
    return wheel


def compare(wheel: Path) -> None:
    """The wheel holds the package's files, all of them and nothing else, beside its own notes."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    expected = {path.relative_to(PACKAGE.parent).as_posix() for path in files}
    if names != expected:
        raise WheelFailed(f"{wheel.name} and the package differ in {sorted(names ^ expected)}")


def install(wheel: Path, folder: Path) -> Path:
    """Make an environment with the wheel, and with the dependencies of this one; gives its folder of programs."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder)  # pip is borrowed as well
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    programs = folder / "bin"
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--no-index", "--no-deps", wheel, folder=folder)
    return programs


def use(programs: Path, folder: Path) -> None:
    """Run the console script, read the data files, and look at the types as a user would."""
    version = run(programs / "python", "-c", "import model_lego; print(model_lego.__version__)", folder=folder).strip()
    if f"model_lego-{version}-" not in next(DIST.glob("*.whl")).name:
        raise WheelFailed(f"the wheel says that it is version {version}")
    run(programs / "python", "-c", USE, folder=folder)
    run(programs / "model-lego", "--help", folder=folder)
    run(programs / "model-lego", "bench", "--help", folder=folder)
    (folder / "user.py").write_text(TYPED, encoding="utf-8")
    mypy = (programs / "python", "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context")
    said = run(*mypy, "user.py", folder=folder, fails=True)
    if len(said.splitlines()) != 1 or not said.startswith("user.py:3: error: Incompatible types"):
        raise WheelFailed(f"mypy does not see the package's types:\n{said}")


def main() -> int:
    """Build and try; says what went wrong."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for part in ("sdist", "environment", "user"):
            (scratch / part).mkdir()
        try:
            wheel = build(scratch / "sdist")
            compare(wheel)
            use(install(wheel, scratch / "environment"), scratch / "user")
        except WheelFailed as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{wheel.relative_to(ROOT)} holds the package and runs, typed, in an environment of its own")
    return 0


if __name__ == "__main__":
    sys.exit(main())
