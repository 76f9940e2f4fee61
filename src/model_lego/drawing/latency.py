"""The picture of what parts take in runtimes: images a second, a panel for each runtime and number of threads."""

from collections.abc import Sequence
from pathlib import Path

from model_lego.drawing.canvas import COLOURS, check_picture, figure_class, write
from model_lego.exporting.latency import Timed


def draw_latency(rows: Sequence[Timed], file: str | Path) -> None:
    """Draw bars of images a second, with the middle half of the rounds, into a .png or .svg file; raises BadConfig."""
    check_picture(file)
    panels = list(dict.fromkeys((row.runtime, row.threads) for row in rows))
    names = list(dict.fromkeys(row.name for row in rows))
    batches = list(dict.fromkeys(row.batch for row in rows))
    figure = figure_class()(figsize=(1.5 + 3.2 * len(panels), 4.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    width = 0.8 / len(names)
    for panel, (runtime, threads) in zip(axes, panels, strict=True):
        for place, name in enumerate(names):
            mine = [row for row in rows if (row.runtime, row.threads, row.name) == (runtime, threads, name)]
            rates, slow, fast = (
                [1000 * row.batch / value for row, value in zip(mine, values, strict=True)]
                for values in ([r.milliseconds for r in mine], [r.high for r in mine], [r.low for r in mine])
            )
            spread = [
                [max(rate - least, 0) for rate, least in zip(rates, slow, strict=True)],
                [max(most - rate, 0) for rate, most in zip(rates, fast, strict=True)],
            ]
            where = [at + (place - (len(names) - 1) / 2) * width for at in range(len(batches))]
            panel.bar(where, rates, width, yerr=spread, label=name, color=COLOURS[place % len(COLOURS)])
        panel.set_xticks(range(len(batches)), [f"batch {batch}" for batch in batches])
        panel.set_title(f"{runtime}, {threads} thread{'s' if threads > 1 else ''}", fontsize=10)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    axes[0].set_ylabel("images a second")
    bars, labels = axes[0].get_legend_handles_labels()
    figure.legend(bars, labels, loc="outside lower center", ncols=min(len(names), 5), fontsize=8, frameon=False)
    write(figure, file)
