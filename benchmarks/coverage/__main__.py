"""make coverage: try every network of the list, each in a process of its own, and write docs/coverage.md.

`python -m benchmarks.coverage [NAME ...]` tries those whose name contains one of the words, all by default. Results are
kept in build/coverage under a hash of the code that gave them, so that a run which was stopped goes on where it was.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from benchmarks.common import ROOT, code_digest, record
from benchmarks.coverage.check import Result
from benchmarks.coverage.isolated import tried
from benchmarks.coverage.networks import networks, transformers
from benchmarks.coverage.page import page

CODE = ("src", "benchmarks/coverage", "tests/support/oracles.py", "tests/support/plans.py")
WORKERS = int(os.environ.get("WORKERS", "2"))


def main(words: list[str]) -> int:
    """Try the networks; the exit code is 1 where one came out wrong."""
    known = [*networks(), *transformers()]
    wanted = [name for name in known if not words or any(word in name for word in words)]
    kept = ROOT / "build" / "coverage" / code_digest(CODE)
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
        return Result(**json.loads(path.read_text()))
    result = tried(name)
    print(f"{name}: {result.error or 'passes'}", flush=True)
    path.write_text(json.dumps(asdict(result)))
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
