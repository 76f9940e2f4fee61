"""A bin of ten thousand parts: how long it takes to list and to search, with how much memory; writers at once.

`python -m benchmarks.parts [PARTS]`, recorded in `benchmarks/results/parts.json`.
"""

import hashlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from benchmarks.common import ROOT, record
from benchmarks.kills import part
from model_lego.names.bin_names import INDEX, MANIFEST, folder_name
from model_lego.parts_bin.index import indexed, rows_without_folder
from model_lego.parts_bin.keeping import bin_add
from model_lego.store import save

WRITERS, EACH, ROUNDS = 8, 25, 5
#: Runs a command and tells its seconds and the most memory that it took, in MiB.
MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, len(done.stdout))
"""


def fill(folder: Path, number: int) -> None:
    """Parts in a bin, copies of one with another first class and another source each; their weights are one file."""
    first = save(part("first"), folder.parent / "first", overwrite=True)
    manifest = (first / MANIFEST).read_text(encoding="utf-8")
    for count in range(number):
        text = manifest.replace('"first"', f'"class {count}"').encode()
        name = f"part-{count % (number // 2)}"  # two of each name
        there = folder / folder_name(name, hashlib.sha256(text).hexdigest())
        there.mkdir(parents=True)
        (there / MANIFEST).write_bytes(text)
        for file in ("model.safetensors", "README.md"):
            os.link(first / file, there / file)


def add_at_once(folder: Path, *, writers: int, each: int) -> int:
    """How many parts a bin has after processes added some at once, each part once; its index has them before a look."""
    saved = [save(part(f"part {number}"), folder.parent / f"to-add-{number}") for number in range(writers)]
    fork = multiprocessing.get_context("fork")
    started = [fork.Process(target=_add, args=(folder, one, f"by-{number}", each)) for number, one in enumerate(saved)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * writers
    assert rows_without_folder(folder) == []
    return len(indexed(folder))


def _add(folder: Path, saved: Path, name: str, each: int) -> None:
    torch.set_num_threads(1)
    for count in range(each):
        bin_add(saved, name=f"{name}-{count}", folder=folder)


def measured(*arguments: str, variables: Mapping[str, str]) -> dict[str, float]:
    """The median seconds of a command of ours and those of the processor, its memory, and the bytes that it writes."""
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "model_lego", *arguments]
    ran = [subprocess.run(command, env=variables, capture_output=True, text=True, check=True) for _ in range(ROUNDS)]
    rows = sorted(tuple(map(float, one.stdout.split())) for one in ran)
    seconds, of_processor, _, written = rows[len(rows) // 2]
    return {
        "seconds": round(seconds, 2),
        "seconds of the processor": round(of_processor, 2),
        "MiB": round(max(row[2] for row in rows)),
        "bytes written": round(written),
    }


def main(number: int = 10_000) -> None:
    """Fill a bin, measure and record."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "bin"
        fill(folder, number)
        started = time.perf_counter()
        assert len(indexed(folder)) == number
        made = time.perf_counter() - started
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
        variables |= {"MODEL_LEGO_PARTS": str(folder), "COLUMNS": "120"}
        commands = {
            "version": ["--version"],
            "list": ["parts", "list"],
            "list as JSON": ["parts", "list", "--json"],
            "search a class": ["parts", "search", "--class", "class 77"],
            "search text": ["parts", "search", "part-123", "--within", "params=1e6"],
            "show": ["parts", "show", "part-7@" + _digits(folder, "part-7")],
        }
        result = {name: measured(*words, variables=variables) for name, words in commands.items()}
        before = time.perf_counter()
        there = add_at_once(folder, writers=WRITERS, each=EACH)
        assert there == number + WRITERS * EACH
        record(
            "parts",
            {
                "parts": number,
                "commands": result,
                "seconds to read all folders": round(made, 1),
                "index bytes": (folder / INDEX).stat().st_size,
                "added at once": {"processes": WRITERS, "each": EACH, "there": there - number},
                "seconds to add": round(time.perf_counter() - before, 1),
            },
        )


def _digits(folder: Path, name: str) -> str:
    return next(iter(sorted(folder.glob(f"{name}@*")))).name.partition("@")[2]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
