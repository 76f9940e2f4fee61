"""model-lego latency: what saved parts take in runtimes on this machine, beside their uncut sources."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.device import numbers
from model_lego.cli.render import Bar, say, show_json, show_table
from model_lego.cli.sources import open_part
from model_lego.exporting.latency import Timed, latency
from model_lego.exporting.runtimes import RUNTIMES, chosen

RuntimeOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--runtime",
        help="torch, onnxruntime, openvino, torch-compile; by default all that compile nothing",
    ),
]
Batches = Annotated[str, typer.Option("--batch", help="images that run at once, with commas")]
Threads = Annotated[str, typer.Option("--threads", help="threads, with commas")]
Rounds = Annotated[int, typer.Option("--rounds", help="turns that each network has")]
Chart = Annotated[str | None, typer.Option("--chart", help="draw images a second into a .png or .svg file")]


def latency_command(
    *,
    parts: Annotated[list[str], typer.Argument(help="saved components and assemblies")],
    runtime: RuntimeOpt = None,
    batch: Batches = "1,8,32",
    threads: Threads = "1,2",
    rounds: Rounds = 9,
    chart: Chart = None,
    loading: o.LoadingOptions,
    json: o.Json = False,
) -> None:
    """Time saved parts and their uncut sources in runtimes on this machine."""
    from model_lego.drawing.canvas import check_picture
    from model_lego.drawing.latency import draw_latency

    if chart is not None:
        check_picture(chart)
    runtimes, batches, counts = chosen(runtime), numbers("--batch", batch), numbers("--threads", threads)
    opened = {name: open_part(folder, loading) for name, folder in _named(parts).items()}
    rows = latency(opened, runtimes, batches=batches, threads=counts, rounds=rounds, progress=Bar())
    for name in opened:
        if next(row.source for row in rows if row.name == name) is None:
            say(f"note: the sources of {name} are not known by a builder, so it is timed alone")
    if json:
        show_json([row.to_dict() for row in rows])
    else:
        _show(rows)
    if chart is not None:
        draw_latency(rows, chart)
        say(f"drawn into {chart}")


def _show(rows: Sequence[Timed]) -> None:
    """A table for each runtime and number of threads, and one of the sizes."""
    for runtime, threads in dict.fromkeys((row.runtime, row.threads) for row in rows):
        mine = [row for row in rows if (row.runtime, row.threads) == (runtime, threads)]
        title = f"{runtime} {RUNTIMES[runtime].version}, {threads} thread{'s' if threads > 1 else ''}"
        columns = ("network", "batch", "ms", "half of the rounds", "images/s", "times as fast")
        show_table(title, columns, [_cells(row) for row in mine])
    once = {(row.name, row.runtime): row for row in rows}.values()
    sizes = [(row.name, row.runtime, _mib(row.bytes), _mib(row.memory)) for row in once]
    show_table("Sizes", ("network", "runtime", "file", "peak memory"), sizes)


def _cells(row: Timed) -> tuple[object, ...]:
    faster = "" if row.faster is None else f"{row.faster:.2f}"
    spread = f"{row.low:.2f} to {row.high:.2f}"
    return row.name, row.batch, f"{row.milliseconds:.2f}", spread, f"{row.rate:.0f}", faster


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _named(folders: list[str]) -> dict[str, str]:
    """Parts by the names of their folders, or by their paths where two have one name."""
    names = [Path(folder).name for folder in folders]
    return {folder if names.count(name) > 1 else name: folder for name, folder in zip(names, folders, strict=True)}
