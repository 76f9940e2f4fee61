"""Saved parts in a fresh process, which has nothing of what saved them but the files."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

ROOT = Path(__file__).parents[2]
#: Who reads, and where it is found.
READERS = {
    "library": ("from model_lego import load as read", ROOT / "src"),
    "second reader": ("from tests.support.second_reader import read", ROOT),
}
SCRIPT = """
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

folder = Path(sys.argv[1])
with torch.no_grad():
    logits = {name: read(folder / name)(images) for name, images in load_file(folder / "images").items()}
save_file(logits, folder / "logits")
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"model_lego", "tests", "benchmarks"}))
"""


def logits_of(folder: Path, images: Mapping[str, Tensor], reader: str) -> tuple[dict[str, Tensor], set[str]]:
    """What each of the parts in a folder gives for its images, and which of our packages the process imported."""
    save_file({name: given.clone() for name, given in images.items()}, folder / "images")
    line, where = READERS[reader]
    variables = {**os.environ, "PYTHONPATH": str(where), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-W", "ignore", "-c", line + SCRIPT, str(folder)]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return load_file(folder / "logits"), set(done.stdout.split())
