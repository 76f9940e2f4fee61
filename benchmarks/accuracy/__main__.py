"""make accuracy: measure the tables, or those that are named, record them and write docs/accuracy.md."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.accuracy import page
from benchmarks.accuracy.material import A_CLASS, NETWORKS, SEEDS, is_here
from benchmarks.accuracy.tables import APART, TABLES, measured, remembered
from benchmarks.common import record
from benchmarks.trained import ABSENT


def main() -> None:
    """Measure, in as many processes of one thread as there are cores; tables that are not named keep their figures."""
    wanted = sys.argv[1:] or [name for name in TABLES if name not in APART]
    for name in wanted:
        if name not in TABLES:
            sys.exit(f"there is no table '{name}'; there are {', '.join(TABLES)}")
    if not is_here():
        print(f"accuracy: skipped, {ABSENT}")
        return
    processes = min(len(wanted), torch.get_num_threads())
    torch.set_num_threads(1)
    spawn = multiprocessing.get_context("spawn")
    with (
        TemporaryDirectory() as folder,
        ProcessPoolExecutor(processes, mp_context=spawn, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        statistics = Path(folder)
        list(pool.map(partial(remembered, statistics), range(len(NETWORKS))))
        running = {pool.submit(measured, name, statistics): name for name in wanted}
        for done in as_completed(running):
            keep(running[done], done.result(), processes)


def keep(name: str, found: dict[str, Any], processes: int) -> None:
    """Record a table beside the others, and write the page."""
    print(name, found, flush=True)
    tables = page.last("accuracy") | {name: found}
    about = {"seeds": list(SEEDS), "calibration_a_class": A_CLASS, "processes": processes}
    record("accuracy", about | {"tables": tables}, show=False)
    page.write()


if __name__ == "__main__":
    main()
