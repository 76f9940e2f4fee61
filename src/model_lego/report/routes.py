"""The page of decision routes: a diagram to look into, and what classes share beside it."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_lego.errors import BadConfig
from model_lego.report.page import Cell, Section, Share, asset, check_page, page, table
from model_lego.routes.folding import Step, steps
from model_lego.routes.nouns import DecisionRoutes, Edges, RouteLayer

#: Edges in a page, for all subjects and layers together, in the view of the whole and in the views of single steps.
MOST_EDGES = 60_000
#: Classes and images that a page shows at the most, so that it stays small.
MOST_SUBJECTS = 40
#: What a page with routes needs of the assets.
STYLES, SCRIPTS = ("routes.css",), ("routes.js",)
#: Columns of the whole network that can be told apart.
MOST_COLUMNS = 24


def write_routes(routes: DecisionRoutes, file: str | Path, *, title: str = "Decision routes") -> None:
    """Write the interactive page of some routes; raises BadConfig.

    One self-contained HTML file. Of many edges the strongest are in it; relevant channels and numbers are complete.
    """
    check_page(file)
    text = page(title, _lead(routes), sections(routes), data=payload(routes), styles=STYLES, scripts=SCRIPTS)
    Path(file).write_text(text, encoding="utf-8")


def sections(routes: DecisionRoutes) -> list[Section]:
    """The sections of a page that are about routes; it needs STYLES, SCRIPTS and the payload. Raises BadConfig."""
    if len(routes.names) > MOST_SUBJECTS:
        raise BadConfig(f"a page shows at most {MOST_SUBJECTS} classes and images, not {len(routes.names)}; name fewer")
    made = [Section("Routes", "routes", asset("routes.html"))]
    if len(routes.names) > 1:
        made.append(Section("Which are alike", "alike", _alike(routes)))
    return [*made, Section("Layer by layer", "layers", _layers(routes))]


def _lead(routes: DecisionRoutes) -> str:
    thresholds = routes.thresholds
    return (
        f"{', '.join(routes.names)}: through which channels the network decides. {len(routes.layers)} layers; "
        f"thresholds {thresholds.conv_alpha:g}/{thresholds.conv_beta:g} (convolutions), "
        f"{thresholds.linear_alpha:g}/{thresholds.linear_beta:g} (linear); network {routes.source[:12]}."
    )


def payload(routes: DecisionRoutes) -> dict[str, Any]:
    """What the script of the page reads: the network folded, and each step by itself."""
    folded = steps(routes, most=MOST_COLUMNS)
    used = routes.relevant.any(0)
    many = len(routes.names)
    return {
        "names": routes.names,
        "contributions": [_bytes(row, value) for row, value in zip(routes.relevant, routes.contributions, strict=True)],
        "overview": _overview(folded, used, max(20, MOST_EDGES // (many * len(folded)))),
        "steps": [
            _view(folded, at, used, max(20, MOST_EDGES // (many * len(routes.layers)))) for at in range(len(folded))
        ],
    }


def _bytes(relevant: Tensor, contributions: Tensor) -> str:
    """0 for a channel that is not relevant, else 1 to 255 for a contribution of 0 to 1."""
    levels = torch.where(relevant, 1 + (254 * contributions.clamp(0, 1)).round(), torch.zeros(()))
    return base64.b64encode(levels.to(torch.uint8).numpy().tobytes()).decode("ascii")


def _column(name: str, channels: Tensor, used: Tensor, **more: Any) -> dict[str, Any]:
    """A column with the channels that some subject uses, and their numbers in the column."""
    numbers = used[channels].nonzero().flatten()
    return {
        "name": name,
        "total": len(channels),
        "channels": channels[numbers].tolist(),
        "numbers": numbers.tolist(),
        **more,
    }


def _link(
    start: int, end: int, reads: Tensor, writes: Tensor, edges: Sequence[Edges], used: Tensor, most: int
) -> dict[str, Any]:
    """Edges of each subject between two columns, by places among the used channels: start, end, strength in %."""
    places = [(used[channels].cumsum(0) - 1) for channels in (reads, writes)]
    rows = []
    for one in edges:
        strong = one.strongest(most)
        strengths = (100 * strong.strengths).round().long()
        triples = torch.stack([places[0][strong.inputs], places[1][strong.outputs], strengths], 1)
        rows.append(triples.flatten().tolist())
    return {"from": start, "to": end, "edges": rows}


def _overview(folded: Sequence[Step], used: Tensor, most: int) -> dict[str, Any]:
    columns = [_column("image", folded[0].reads, used, step=None)]
    columns += [_column(step.name, step.writes, used, step=at) for at, step in enumerate(folded)]
    links = [
        _link(at, at + 1, step.reads, step.writes, step.edges, used, most) for at, step in enumerate(folded)
    ]  # fmt: skip
    return {"columns": columns, "links": links}


def _view(folded: Sequence[Step], at: int, used: Tensor, most: int) -> dict[str, Any]:
    """One step, layer by layer: each layer reads each channel from the last column that has it."""
    step = folded[at]
    columns = [_column(folded[at - 1].name if at else "image", step.reads, used)]
    stands = [step.reads]
    links = []
    for layer in step.layers:
        columns.append(_column(layer.name, layer.writes, used))
        stands.append(layer.writes)
        links += [
            _link(start, len(stands) - 1, stands[start], layer.writes, edges, used, most)
            for start, edges in _sources(layer, stands[:-1])
        ]
    return {"name": step.name, "columns": columns, "links": links}


def _sources(layer: RouteLayer, stands: Sequence[Tensor]) -> list[tuple[int, list[Edges]]]:
    """The edges of a layer by the column that they come from, inputs numbered by their places in that column."""
    latest = torch.full((len(layer.reads),), -1, dtype=torch.int64)
    places = torch.zeros_like(latest)
    for number, channels in enumerate(stands):
        same = layer.reads[:, None] == channels[None, :]
        there = same.any(1)
        latest[there], places[there] = number, same.int().argmax(1)[there]
    found = []
    for number in latest.unique().tolist():
        if number >= 0:
            mine = [latest[edges.inputs] == number for edges in layer.edges]
            parts = [
                Edges(places[edges.inputs[some]], edges.outputs[some], edges.strengths[some])
                for edges, some in zip(layer.edges, mine, strict=True)
            ]
            found.append((number, parts))
    return found


def _alike(routes: DecisionRoutes) -> str:
    overlap = routes.overlap().tolist()
    matrix = table(
        ["overlap", *routes.names],
        [[name, *map(Share, line)] for name, line in zip(routes.names, overlap, strict=True)],
    )
    hint = (
        "Overlap is the Jaccard index of the relevant channels that can be cut, averaged over the layers; "
        "the tree joins those first that are most alike."
    )
    return f'<div class="beside">{matrix}{_tree(routes)}</div><p class="hint">{hint}</p>'


def _tree(routes: DecisionRoutes) -> str:
    """The dendrogram as SVG: right the subjects, left what they have in common."""
    from scipy.cluster.hierarchy import dendrogram

    plan = dendrogram(routes.dendrogram().numpy(), no_plot=True)
    row, wide = 22, 260
    paths = []
    for along, down in zip(plan["dcoord"], plan["icoord"], strict=True):  # scipy puts the leaves at 5, 15, 25 …
        corners = [(wide * (1 - at) + 4, row * (place / 10 + 0.3)) for at, place in zip(along, down, strict=True)]
        paths.append("M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in corners))
    drawn = "".join(f'<path d="{path}"/>' for path in paths)
    names = "".join(
        f'<text x="{wide + 10}" y="{row * (place + 0.8) + 4:.1f}">{escape(routes.names[leaf])}</text>'
        for place, leaf in enumerate(plan["leaves"])
    )
    size = f'width="{wide + 160}" height="{row * (len(routes.names) + 1)}"'
    return f'<svg class="tree" {size} role="img" aria-label="hierarchy of the classes by overlap">{drawn}{names}</svg>'


def _layers(routes: DecisionRoutes) -> str:
    several = len(routes.names) > 1
    pairs = ~torch.eye(len(routes.names), dtype=torch.bool)
    rows = []
    for layer in routes.layers:
        row: list[Cell] = [layer.name, len(layer.writes), *layer.outputs.sum(1).tolist()]
        row += [int(layer.shared.sum()), Share(float(layer.overlap()[pairs].nanmean()))] if several else []
        rows.append([*row, Share(float(layer.unused.double().mean()))])
    header = ["layer", "channels", *routes.names, *(["shared", "overlap"] if several else []), "unused"]
    whom = "used by none of these" if several else "not used"
    text = f"{100 * routes.unused:.1f} % of the channels that can be cut are {whom}."
    return f"<p>{escape(text)}</p>" + table(header, rows)
