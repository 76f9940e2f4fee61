"""The picture of how alike the routes of classes are: overlap of each two, their hierarchy, and both by layer."""

from pathlib import Path
from typing import Any

import torch

from model_lego.drawing.canvas import COLOURS, SHARED, check_picture, figure_class, write
from model_lego.errors import BadConfig
from model_lego.routes.nouns import DecisionRoutes


def draw_overlap(routes: DecisionRoutes, file: str | Path) -> None:
    """Draw the overlap of two or more subjects into a .png or .svg file; raises BadConfig."""
    check_picture(file)
    if len(routes.names) < 2:
        raise BadConfig("one class alone overlaps with nothing; give two or more")
    figure = figure_class()(figsize=(11.5, 4.6), layout="constrained")
    tree, matrix, lines = figure.subplots(1, 3, width_ratios=[0.8, 1.3, 1.6])
    order = _draw_tree(tree, routes)
    _draw_matrix(figure, matrix, routes, order)
    _draw_layers(lines, routes)
    write(figure, file)


def _draw_tree(axes: Any, routes: DecisionRoutes) -> list[int]:
    """Draw the dendrogram and give the subjects in its order, from top to bottom."""
    from scipy.cluster.hierarchy import dendrogram

    plan = dendrogram(routes.dendrogram().numpy(), no_plot=True)
    for heights, places in zip(plan["dcoord"], plan["icoord"], strict=True):
        axes.plot(heights, [(place - 5) / 10 for place in places], color=COLOURS[0], linewidth=1.4)
    order = plan["leaves"]
    axes.set_yticks(range(len(order)), [routes.names[place] for place in order])
    axes.yaxis.tick_right()
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlim(1.0, 0.0)
    axes.set_xlabel("1 − overlap")
    axes.set_title("who is alike", fontsize=10)
    for side in ("left", "top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return [int(place) for place in order]


def _draw_matrix(figure: Any, axes: Any, routes: DecisionRoutes, order: list[int]) -> None:
    overlap = 100 * routes.overlap()[order][:, order]
    image = axes.imshow(overlap.numpy(), aspect="auto", cmap="cividis", vmin=0, vmax=100)
    if len(order) <= 12:
        for row, line in enumerate(overlap.tolist()):
            for across, value in enumerate(line):
                colour = "black" if value > 50 else "white"
                axes.text(across, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
    names = [routes.names[place] for place in order]
    axes.set_xticks(range(len(order)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks([])
    axes.set_title("overlap, % (mean over layers)", fontsize=10)
    figure.colorbar(image, ax=axes)


def _draw_layers(axes: Any, routes: DecisionRoutes) -> None:
    compared = routes.compared
    pairs = torch.triu_indices(len(routes.names), len(routes.names), 1)
    overlaps = 100 * torch.stack([layer.overlap()[pairs[0], pairs[1]] for layer in compared])
    unused = [100 * float((layer.unused & layer.cuttable).sum() / layer.cuttable.sum()) for layer in compared]
    at = range(len(compared))
    least, most = overlaps.nan_to_num(200).amin(1), overlaps.nan_to_num(-1).amax(1)
    spread = "overlap, least and most alike two"
    axes.fill_between(at, least, most, color=COLOURS[0], alpha=0.18, linewidth=0, label=spread)
    axes.plot(at, overlaps.nanmean(1), color=COLOURS[0], marker="o", markersize=3, label="overlap, mean of all pairs")
    axes.plot(
        at, unused, color=SHARED, linestyle="--", marker="s", markersize=3, label="channels that none of them uses"
    )
    step = -(-len(compared) // 20)
    names = [layer.name for layer in compared][::step]
    axes.set_xticks(at[::step], names, rotation=60, ha="right", fontsize=7, rotation_mode="anchor")
    axes.set_ylim(0, 100)
    axes.set_ylabel("%")
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1, frameon=False)
