"""The diagram of decision routes as data for the script of a page: columns of channels, and links between them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from model_lego.report.answering import Answering
from model_lego.routes.folding import Step, steps
from model_lego.routes.nouns import DecisionRoutes, Edges, RouteLayer
from model_lego.routes.step_names import label_lines

#: Edges in a page, for all subjects and layers together, in the view of the whole and in the views of single steps.
MOST_EDGES = 60_000
#: Columns of the whole network that can be told apart.
MOST_COLUMNS = 24


def diagram(
    routes: DecisionRoutes, *, title: str = "", most: int = MOST_EDGES, answering: Answering | None = None
) -> dict[str, Any]:
    """What the script of the page draws: the network folded, and each step by itself; `title` says whose it is.

    `answering` has the photos that the channels answer to most.
    """
    folded = steps(routes, most=MOST_COLUMNS)
    used = routes.relevant.any(0)
    many = len(routes.names)
    column = _Columns(used, answering)
    made: dict[str, Any] = {
        "title": title,
        "names": routes.names,
        "contributions": [_bytes(row, value) for row, value in zip(routes.relevant, routes.contributions, strict=True)],
        "overview": _overview(folded, column, max(20, most // (many * len(folded)))),
        "steps": [_view(folded, at, column, max(20, most // (many * len(routes.layers)))) for at in range(len(folded))],
    }
    return made if answering is None else made | {"answers": answering.packed()}


def _bytes(relevant: Tensor, contributions: Tensor) -> str:
    """0 for a channel that is not relevant, else 1 to 255 for a contribution of 0 to 1."""
    levels = torch.where(relevant, 1 + (254 * contributions.clamp(0, 1)).round(), torch.zeros(()))
    return base64.b64encode(levels.to(torch.uint8).numpy().tobytes()).decode("ascii")


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """What columns are made of: which channels some subject uses, and what they answer to."""

    used: Tensor
    answering: Answering | None

    def made(self, name: str, channels: Tensor, *, done: int, **more: Any) -> dict[str, Any]:
        """A column after so many layers: the channels that are used, their numbers there, the rows of their photos."""
        numbers = self.used[channels].nonzero().flatten()
        answers = {} if self.answering is None else {"answers": self.answering.rows_of(channels[numbers], done)}
        return {
            "name": name,
            "lines": label_lines(name),
            "total": len(channels),
            "channels": channels[numbers].tolist(),
            "numbers": numbers.tolist(),
            **answers,
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


def _overview(folded: Sequence[Step], column: _Columns, most: int) -> dict[str, Any]:
    columns = [column.made("image", folded[0].reads, done=0, step=None)]
    done = accumulate(len(step.layers) for step in folded)
    columns += [
        column.made(step.name, step.writes, done=after, step=at)
        for at, (step, after) in enumerate(zip(folded, done, strict=True))
    ]
    links = [
        _link(at, at + 1, step.reads, step.writes, step.edges, column.used, most) for at, step in enumerate(folded)
    ]
    return _without_empty(columns, links)


def _without_empty(columns: Sequence[dict[str, Any]], links: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The columns of which a channel is used, and the links between them: others would stand there empty."""
    kept = [number for number, column in enumerate(columns) if column["channels"]]
    place = {number: at for at, number in enumerate(kept)}
    return {
        "columns": [columns[number] for number in kept],
        "links": [
            {**link, "from": place[link["from"]], "to": place[link["to"]]}
            for link in links
            if {link["from"], link["to"]} <= place.keys()
        ],
    }


def _view(folded: Sequence[Step], at: int, column: _Columns, most: int) -> dict[str, Any]:
    """One step, layer by layer: each layer reads each channel from the last column that has it."""
    step, done = folded[at], sum(len(earlier.layers) for earlier in folded[:at])
    columns = [column.made(folded[at - 1].name if at else "image", step.reads, done=done)]
    stands = [step.reads]
    links = []
    for after, layer in enumerate(step.layers, done + 1):
        columns.append(column.made(layer.name, layer.writes, done=after))
        stands.append(layer.writes)
        links += [
            _link(start, len(stands) - 1, stands[start], layer.writes, edges, column.used, most)
            for start, edges in _sources(layer, stands[:-1])
        ]
    return {"name": step.name} | _without_empty(columns, links)


def _sources(layer: RouteLayer, stands: Sequence[Tensor]) -> list[tuple[int, list[Edges]]]:
    """The edges of a layer by the column that they come from, inputs numbered by their places in that column."""
    latest = torch.full((len(layer.reads),), -1, dtype=torch.int64)
    places = torch.zeros_like(latest)
    for number, channels in enumerate(stands):
        same = layer.reads[:, None] == channels[None, :]
        there = same.any(1)
        latest[there], places[there] = number, same.int().argmax(1)[there]
    sources = []
    for number in latest.unique().tolist():
        if number >= 0:
            mine = [latest[edges.inputs] == number for edges in layer.edges]
            parts = [
                Edges(places[edges.inputs[some]], edges.outputs[some], edges.strengths[some])
                for edges, some in zip(layer.edges, mine, strict=True)
            ]
            sources.append((number, parts))
    return sources
