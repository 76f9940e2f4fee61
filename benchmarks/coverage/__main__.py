"""make coverage: try every network of the list, each in a process of its own, and write docs/coverage.md.

`python -m benchmarks.coverage [NAME ...]` tries those whose name contains one of the words, all by default. Results are
kept in build/coverage under a hash of the code that gave them, so that a run which was stopped goes on where it was.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, record
from benchmarks.coverage.check import Result
from benchmarks.coverage.networks import networks
from benchmarks.coverage.page import page

SECONDS = 900  # for one network
WORKERS = int(os.environ.get("WORKERS", 2))


def main(words: list[str]) -> int:
    """Try the networks; the exit code is 1 where one came out wrong."""
    wanted = [name for name in networks() if not words or any(word in name for word in words)]
    kept = ROOT / "build" / "coverage" / _code()
    kept.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(lambda name: _result(name, kept), wanted))
    if not words:
        record("coverage", {"networks": [asdict(result) for result in results]}, show=False)
        (ROOT / "docs" / "coverage.md").write_text(page(results))
    wrong = [result.name for result in results if result.wrong]
    print(f"{len(results)} networks, {sum(not result.error for result in results)} pass, {len(wrong)} wrong {wrong}")
    return 1 if wrong else 0


def _result(name: str, kept: Path) -> Result:
    path = kept / f"{name.replace(':', '-')}.json"
    if path.exists():
        return _read(json.loads(path.read_text()))
    result = _tried(name)
    print(f"{name}: {result.error or 'passes'}", flush=True)
    path.write_text(json.dumps(asdict(result)))
    return result


def _read(found: dict[str, Any]) -> Result:
    return Result(**found | {"reasons": tuple(found["reasons"])})


def _tried(name: str) -> Result:
    """Try a network in a process of its own, which is killed when its time is over."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.coverage.check", name]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        start_new_session=True,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Result(name, error=f"not done after {SECONDS} s")
    if process.returncode != 0:
        return Result(name, error=f"stopped with {process.returncode}: {(err.strip().splitlines() or [''])[-1]}")
    return _read(json.loads(out.splitlines()[-1]))


def _code() -> str:
    """Hash of the code that a result depends on."""
    digest = hashlib.sha256()
    for folder in ("src", "benchmarks/coverage", "tests/oracles.py", "tests/properties/helpers.py"):
        path = ROOT / folder
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if file.name not in ("__main__.py", "page.py"):
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
