"""The picture of contribution maps: class x channel and sample x channel, a row of pictures for each layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_lego.drawing.canvas import check_picture, figure_class, write
from model_lego.errors import BadConfig
from model_lego.routes.mapping import ContributionMaps, LayerMap

#: Layers that are drawn where none are named, spread over the network.
MOST_LAYERS = 6


def draw_maps(maps: ContributionMaps, file: str | Path, *, layers: Sequence[str] | None = None) -> None:
    """Draw maps of some layers into a .png or .svg file; raises BadConfig.

    By default of up to six layers, spread over the network. Left the classes, right single samples, those of one class
    together; the same colours everywhere.
    """
    check_picture(file)
    chosen = _chosen(maps, layers)
    tall = 0.5 + max(1.2, 0.085 * len(maps.places), 0.18 * len(maps.classes))
    figure = figure_class()(figsize=(11, 0.6 + tall * len(chosen)), layout="constrained")
    every = figure.subplots(len(chosen), 2, squeeze=False)
    likeness = {layer.name: row for layer, row in zip(maps.layers, maps.likeness().tolist(), strict=True)}
    for (left, right), layer in zip(every, chosen, strict=True):
        image = _draw(left, layer.classes)
        left.set_yticks(range(len(maps.classes)), maps.classes, fontsize=7)
        left.set_title(f"{layer.name}: classes", fontsize=8, loc="left")
        _draw(right, layer.samples)
        _mark_classes(right, maps)
        same, different = likeness[layer.name]
        right.set_title(f"samples; correlation {same:.2f} in a class, {different:.2f} between", fontsize=8, loc="left")
    for axes in every[-1]:
        axes.set_xlabel("input channel", fontsize=8)
    figure.colorbar(
        image, ax=every, aspect=40, shrink=0.5, label="relative contribution (equation 4), mean over relevant outputs"
    )
    write(figure, file)


def _chosen(maps: ContributionMaps, names: Sequence[str] | None) -> list[LayerMap]:
    if not names:
        behind = maps.layers[1:] or maps.layers  # the first reads the image
        count = min(MOST_LAYERS, len(behind))
        return [behind[round(place * (len(behind) - 1) / max(1, count - 1))] for place in range(count)]
    known = {layer.name: layer for layer in maps.layers}
    if unknown := [name for name in names if name not in known]:
        raise BadConfig(f"the maps have no layer '{unknown[0]}'; they have {', '.join(known)}")
    return [known[name] for name in names]


def _draw(axes: Any, values: Any) -> Any:
    from matplotlib.colors import PowerNorm

    axes.tick_params(labelsize=7)
    axes.locator_params(axis="x", integer=True)
    return axes.imshow(
        values.numpy(), aspect="auto", interpolation="nearest", cmap="cividis", norm=PowerNorm(0.5, 0, 1)
    )


def _mark_classes(axes: Any, maps: ContributionMaps) -> None:
    """Name each class beside its samples, with a line between classes."""
    counts = [maps.places.count(place) for place in range(len(maps.classes))]
    ends = [sum(counts[: number + 1]) for number in range(len(counts))]
    axes.set_yticks([end - (count + 1) / 2 for end, count in zip(ends, counts, strict=True)], maps.classes, fontsize=7)
    for end in ends[:-1]:
        axes.axhline(end - 0.5, color="white", linewidth=1.2)
