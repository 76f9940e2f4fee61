"""Where benchmark data lies, and how results are recorded."""

import hashlib
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def shared_folder() -> Path:
    """Where the benchmark data lies: MODEL_LEGO_SHARED, by default the folder `shared` beside the checkout."""
    return Path(os.environ.get("MODEL_LEGO_SHARED") or ROOT.parent / "shared")


def shared(name: str) -> Path | None:
    """A file of the benchmark data; None where it is not here."""
    path = shared_folder() / name
    return path if path.is_file() else None


def record(name: str, result: dict[str, Any], *, show: bool = True) -> None:
    """Write a result to benchmarks/results, and print it."""
    result = result | {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
    }
    text = json.dumps(result, indent=2, sort_keys=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    if show:
        print(text)


def code_digest(places: Iterable[str]) -> str:
    """Hash of the code that a result depends on: files, and folders without what only runs and shows it."""
    digest = hashlib.sha256()
    for place in places:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if file.name not in ("__main__.py", "page.py"):
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
