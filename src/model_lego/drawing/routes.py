"""The picture of decision routes: layers as columns, channels as dots, edges in the colour of the class."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_lego.drawing.canvas import MOST_STYLES, SHARED, check_picture, figure_class, style, write
from model_lego.drawing.layout import Column, column, to_unit
from model_lego.errors import BadConfig
from model_lego.routes.folding import Step, steps
from model_lego.routes.nouns import DecisionRoutes, Edges
from model_lego.routes.step_names import label_lines

#: Columns, dots in a column, and edges of a subject between two columns that are drawn at the most.
MOST_COLUMNS, MOST_DOTS, MOST_EDGES = 24, 40, 120


def draw_routes(routes: DecisionRoutes, file: str | Path, *, layers: Sequence[str] | None = None) -> None:
    """Draw routes into a .png or .svg file; raises BadConfig.

    Layers between two waists of the network are folded, and more where there are many. Of large columns and of
    many edges the strongest are drawn, and the picture goes from the first to the last of the named `layers`.
    """
    check_picture(file)
    if len(routes.names) > MOST_STYLES:
        raise BadConfig(
            f"a picture shows at most {MOST_STYLES} classes and images, not {len(routes.names)}; name fewer"
        )
    chosen = _chosen(steps(routes, most=MOST_COLUMNS), layers)
    columns = to_unit([_column(routes, channels) for channels in (chosen[0].reads, *(step.writes for step in chosen))])
    figure = figure_class()(figsize=(max(7.5, 1.5 + 0.95 * len(columns)), 5), layout="constrained")
    axes = figure.add_subplot()
    axes.axis("off")
    for at, (step, left, right) in enumerate(zip(chosen, columns, columns[1:], strict=False)):
        shown = [_shown(edges, left, right) for edges in step.edges]
        shared = _several(step.edges, left, right)
        for subject, edges in enumerate(shown):
            _draw_edges(axes, at, edges, shared[edges.inputs, edges.outputs], (left, right), style(subject))
    for at, one in enumerate(columns):
        _draw_dots(axes, at, one)
        name = chosen[at - 1].name if at else _read_by(routes, chosen[0])
        words = "\n".join([*label_lines(name), f"{one.used} of {one.whole}"])
        axes.text(at, -0.05, words, ha="right", va="top", rotation=40, fontsize=7, rotation_mode="anchor")
    _legend(axes, routes)
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.set_ylim(-0.32, 1.03)
    write(figure, file)


def _chosen(found: tuple[Step, ...], names: Sequence[str] | None) -> tuple[Step, ...]:
    if not names:
        return found
    places = {layer.name: number for number, step in enumerate(found) for layer in step.layers}
    places |= {step.name: number for number, step in enumerate(found)}
    if unknown := [name for name in names if name not in places]:
        raise BadConfig(f"the routes have no layer '{unknown[0]}'; they have {', '.join(step.name for step in found)}")
    numbers = [places[name] for name in names]
    return found[min(numbers) : max(numbers) + 1]


def _read_by(routes: DecisionRoutes, first: Step) -> str:
    return "image" if first.layers[0].name == routes.layers[0].name else f"into {first.name}"


def _column(routes: DecisionRoutes, channels: Tensor) -> Column:
    return column(routes.relevant[:, channels], routes.contributions[:, channels], most=MOST_DOTS)


def _shown(edges: Edges, left: Column, right: Column, *, most: int = MOST_EDGES) -> Edges:
    """The strongest edges between dots, numbered by the dots."""
    start, end = left.drawn()[edges.inputs], right.drawn()[edges.outputs]
    both = (start >= 0) & (end >= 0)
    return Edges(start[both], end[both], edges.strengths[both]).strongest(most)


def _several(every: Sequence[Edges], left: Column, right: Column) -> Tensor:
    """Whether several subjects have an edge between two dots, dots x dots."""
    times = torch.zeros(left.whole, right.whole, dtype=torch.int16)
    for edges in every:
        times[edges.inputs, edges.outputs] += 1
    return times[left.places][:, right.places] > 1


def _draw_edges(
    axes: Any, at: int, edges: Edges, shared: Tensor, columns: tuple[Column, Column], look: tuple[str, Any]
) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    bend = torch.linspace(0, 1, 15)
    rise = bend**2 * (3 - 2 * bend)
    below, above = columns[0].heights[edges.inputs, None], columns[1].heights[edges.outputs, None]
    curves = torch.stack([(at + bend).expand(len(edges), -1), below + (above - below) * rise], 2)
    colours = [
        to_rgba(SHARED if by_several else look[0], 0.12 + 0.6 * strength)
        for by_several, strength in zip(shared.tolist(), edges.strengths.tolist(), strict=True)
    ]
    axes.add_collection(
        LineCollection(
            list(curves.flip(0).numpy()),  # the strongest on top
            colors=colours[::-1],
            linewidths=(0.4 + 0.9 * edges.strengths.flip(0)).numpy(),
            linestyles=look[1],
            zorder=1,
        )
    )


def _draw_dots(axes: Any, at: int, one: Column) -> None:
    colours = [SHARED if owner < 0 else style(owner)[0] for owner in one.owners.tolist()]
    size = 26 if len(one.places) <= 36 else 13
    across = [at] * len(one.places)
    axes.scatter(across, one.heights.tolist(), s=size, c=colours, edgecolors="white", linewidths=0.5, zorder=2)


def _legend(axes: Any, routes: DecisionRoutes) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=style(number)[0], linestyle=style(number)[1], marker="o", markersize=5, label=name)
        for number, name in enumerate(routes.names)
    ]
    if len(routes.names) > 1:
        handles.append(Line2D([], [], color=SHARED, linestyle="", marker="o", markersize=5, label="used by several"))
    columns = min(7, len(handles))
    axes.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, fontsize=8, frameon=False
    )
