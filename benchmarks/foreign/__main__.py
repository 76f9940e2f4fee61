"""make foreign: try every network of networks.yaml, each in a process of its own, and write docs/foreign.md.

`python -m benchmarks.foreign [WORD ...]` tries those whose name contains one of the words, all by default; a package
that is not here is left out and said. Results are kept in build/foreign under a hash of the code that gave them, so
that a run which was stopped goes on where it was. The packages: `pip install -r benchmarks/foreign/requirements.txt`.
"""

import json
import os
import resource
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.apart import Stopped, apart
from benchmarks.common import ROOT, code_digest, record
from benchmarks.coverage.isolated import IMPORTED, PROCESSES
from benchmarks.foreign.check import CRASHED, NOT_DONE, REFUSED, RIGHT, SEED, WRONG, Result, check
from benchmarks.foreign.networks import Network, installed, networks
from benchmarks.foreign.page import page

SECONDS = 3600  # for one network, should it hang
LIMITS = {resource.RLIMIT_CPU: 300, resource.RLIMIT_DATA: 8 * 2**30}  # seconds of a processor, bytes
LARGE = ("transformers", "pytorchcv.model_provider", "benchmarks.foreign.check")  # of many networks: imported once
KEPT = ROOT / "build" / "foreign"
CODE = ("src", "benchmarks/coverage", "benchmarks/foreign", "tests/support/oracles.py", "tests/support/plans.py")


def main(words: list[str]) -> int:
    """Try the networks; the exit code is 1 where one came out wrong or crashed."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched
    kept = KEPT / code_digest(CODE)
    kept.mkdir(parents=True, exist_ok=True)
    PROCESSES.set_forkserver_preload([*IMPORTED, *LARGE])
    results = [_result(network, kept) for network in networks().values() if _wanted(network, words)]
    if not words:
        record("foreign", {"networks": [asdict(result) for result in results], "seed": SEED}, show=False)
        (ROOT / "docs" / "foreign.md").write_text(page(results))
    counts = {kind: sum(result.outcome == kind for result in results) for kind in (RIGHT, REFUSED, NOT_DONE)}
    bad = [result.name for result in results if result.outcome in (WRONG, CRASHED)]
    print(f"{len(results)} networks, {counts}, {len(bad)} wrong or crashed {bad}")
    return 1 if bad else 0


def _wanted(network: Network, words: list[str]) -> bool:
    if words and not any(word in network.name for word in words):
        return False
    here = installed(network.package)
    if here != network.package.version:
        print(f"{network.name}: left out, the list has {network.package.version}, here is {here}", flush=True)
    return here == network.package.version


def _result(network: Network, kept: Path) -> Result:
    path = kept / f"{network.name.replace(':', '-')}-{network.package.version}.json"
    if path.exists():
        return Result(**json.loads(path.read_text()))
    try:
        result = Result(**apart(PROCESSES, partial(check, network.name), seconds=SECONDS, limits=LIMITS))
    except Stopped as error:
        result = Result(network.name, network.package.version, outcome=NOT_DONE, error=str(error))
    first = result.error.partition("\n")[0][:200]
    print(f"{result.name}: {result.outcome} {result.step} {first} ({result.seconds:.0f} s)", flush=True)
    path.write_text(json.dumps(asdict(result)))
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
