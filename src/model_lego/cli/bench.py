"""model-lego bench: measure the paper's tables by their recipes, and write the page of results."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.errors import BadConfig, OutputExists
from model_lego.store.outputs import check_file, check_place, writing

if TYPE_CHECKING:
    from model_lego.tables.sweeps import Sweep


def bench_command(
    what: Annotated[str, typer.Argument(help="tables: those of the paper")],
    scale: Annotated[str, typer.Option(help="cpu: an evening on two cores; paper: full networks, needs a GPU")] = "cpu",
    table: Annotated[list[str] | None, typer.Option("--table", help="a table, all by default")] = None,
    row: Annotated[list[str] | None, typer.Option("--row", help="a row of it, all by default")] = None,
    sources: Annotated[str, typer.Option(help="folder of trained networks")] = "build/sources",
    data: Annotated[list[str] | None, typer.Option("--data", "-d", help="NAME=WHERE: where a data set lies")] = None,
    results: Annotated[str, typer.Option(help="folder of result files")] = "docs/results",
    page: Annotated[str, typer.Option(help="page to write from them")] = "docs/results.md",
    recipes: Annotated[str | None, typer.Option(help="folder of recipes, those of the paper by default")] = None,
    train: Annotated[bool, typer.Option("--train/--no-train", help="train networks that are missing")] = True,
    again: Annotated[bool, typer.Option("--again", help="measure also what has a result already")] = False,
    download: o.Download = False,
    cache: o.Cache = o.KEPT,
    json: o.Json = False,
) -> None:
    """Measure the paper's tables; what has a result already is not measured again."""
    from model_lego.tables.bench import Bench
    from model_lego.tables.page import page as written
    from model_lego.tables.recipes import FOLDER, read_recipes
    from model_lego.tables.running import jobs, run
    from model_lego.tables.sweeps import pictures

    if what != "tables":
        raise BadConfig(f"there is no benchmark '{what}'; there is 'tables'")
    if scale not in ("cpu", "paper"):
        raise BadConfig(f"scale '{scale}' is unknown; use 'cpu' or 'paper'")
    known = read_recipes(FOLDER if recipes is None else Path(recipes))
    materials = known.materials[scale]  # type: ignore[index]
    todo = jobs(known, scale, only=table or (), rows=row or ())  # type: ignore[arg-type]
    where, kept = _where(data, materials.data), Path(results) / "sources"
    opened = Bench(
        materials,
        Path(sources),
        where=where,
        kept=kept,
        trains=train,
        download=download,
        cache=cache << 20,
        progress=Bar(),
    )
    _check_page(Path(page))
    for folder in (results, sources):
        check_place(Path(folder) / "one")

    def write() -> None:
        with writing(page):
            Path(page).parent.mkdir(parents=True, exist_ok=True)
            Path(page).write_text(written(Path(results), known, folder=Path(page).parent), encoding="utf-8")

    write()
    outcomes = []
    for outcome in run(todo, opened, Path(results), again=again, starting=lambda job: say(f"{job.id} …")):
        outcomes.append(outcome)
        if outcome.how != "there already":
            say(f"{outcome.job.id}: {outcome.how}{f' ({outcome.words})' if outcome.words else ''}")
        write()
    _draw(pictures(Path(results), known))
    rows = [{"row": each.job.id, "outcome": each.how, "words": each.words} for each in outcomes]
    counted = {how: sum(each.how == how for each in outcomes) for how in dict.fromkeys(each.how for each in outcomes)}
    if json:
        show_json({"page": page, "results": results, "rows": rows})
        return
    show(f"{', '.join(f'{count} {how}' for how, count in counted.items()) or 'nothing to measure'}; written to {page}")


def _where(given: list[str] | None, known: Collection[str]) -> dict[str, str]:
    """NAME=WHERE of data sets."""
    places: dict[str, str] = {}
    for item in given or ():
        name, equals, place = item.partition("=")
        if not equals or name not in known:
            raise BadConfig(f"'{item}' is no NAME=WHERE; data sets of the recipes are {', '.join(known)}")
        places[name] = place
    return places


def _draw(pictures: "Mapping[Path, Sequence[Sweep]]") -> None:
    """Draw what the results give; without matplotlib that is said, since the figures do not depend on it."""
    from model_lego.tables.sweeps import draw

    try:
        for file, sweeps in pictures.items():
            draw(sweeps, file)
    except BadConfig as error:
        say(f"no picture is drawn: {error}")


def _check_page(page: Path) -> None:
    """Refuse to write over a page that is none of ours, or where nothing can be written."""
    check_file(page)
    if page.exists() and not page.read_text(encoding="utf-8").startswith("# Results\n"):
        raise OutputExists(f"'{page}' is no page of results; choose another --page")
