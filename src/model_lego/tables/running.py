"""run: measure the rows that have no result yet, one after the other."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_lego.errors import BadConfig, LegoError
from model_lego.tables.bench import Bench
from model_lego.tables.ledger import Ledger
from model_lego.tables.recipe import Row, Scale
from model_lego.tables.recipes import KINDS, Recipes, Table


@dataclass(frozen=True, slots=True)
class Job:
    """A row of a table at a scale, with a seed."""

    table: Table
    scale: Scale
    row: Row
    seed: int

    @property
    def id(self) -> str:
        """What it is called when it is talked of."""
        return f"{self.table.name} {self.row.id}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: "done", "there already", "no source" or "failed", and what there is to say of it."""

    job: Job
    how: str
    words: str = ""


def jobs(recipes: Recipes, scale: Scale, *, only: Sequence[str] = (), rows: Sequence[str] = ()) -> list[Job]:
    """The jobs of a scale, of some tables, of some rows (all by default); raises BadConfig for names that are none."""
    known = recipes.tables
    _refuse_strange("table", only, [table.name for table in known])
    wanted = [table for table in known if not only or table.name in only]
    _refuse_strange("row", rows, [row.id for table in wanted for row in table.rows.get(scale, ())])
    return [
        Job(table, scale, row, seed)
        for table in wanted
        for row in table.rows.get(scale, ())
        if not rows or row.id in rows
        for seed in row.seeds
    ]


def run(
    todo: Sequence[Job],
    bench: Bench,
    results: Path,
    *,
    again: bool = False,
    starting: Callable[[Job], None] = lambda _: None,
) -> Iterator[Outcome]:
    """Measure jobs and write each result at once; gives how each ended.

    A job that has a result already is not done again, unless `again` says so. One that fails leaves its reason in the
    result file, is tried again the next time, and does not keep the others from being done.
    """
    for job in todo:
        ledger = Ledger(job.table, job.scale, results, bench.materials)
        entry = ledger.seeds(job.row).get(job.seed)
        if entry is not None and "figures" in entry and not again:
            yield Outcome(job, "there already")
            continue
        if missing := bench.missing(job.row.needs, job.seed):
            yield Outcome(job, "no source", f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there")
            continue
        starting(job)
        yield _done(job, bench, ledger)


def _done(job: Job, bench: Bench, ledger: Ledger) -> Outcome:
    assert job.table.kind is not None
    started = time.perf_counter()
    try:
        figures = KINDS[job.table.kind].measure(bench, job.row, job.seed)
    except LegoError as error:
        ledger.write(job.row, job.seed, {"failed": str(error)})
        return Outcome(job, "failed", str(error))
    seconds = round(time.perf_counter() - started, 1)
    data = [bench.materials.sources[name].data for name in job.row.needs]
    used = {name: len(bench.split(name).train) for name in data}
    ledger.write(job.row, job.seed, {"figures": figures, "seconds": seconds, "training images": used})
    return Outcome(job, "done", f"{seconds:.0f} s")


def _refuse_strange(what: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    strange = [name for name in wanted if name not in known]
    if strange:
        some = ", ".join(known[:12]) + (" …" if len(known) > 12 else "")
        raise BadConfig(f"there is no {what} '{strange[0]}'; there are {some}")
