"""Folding: a network as columns of channels with edges from one column to the next, at its waists or layer by layer.

A *waist* is a place in the order of execution where all that runs on was written since the waist before: behind a
residual block, an inception module, or each layer of a plain network. Between two waists layers are folded into one
step, whose strengths are sums over the paths of the products along them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.routes.nouns import DecisionRoutes, Edges, RouteLayer
from model_lego.routes.step_names import called


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """From one column of channels to the next: the layers between, and for each subject the edges through them.

    `reads` and `writes` are numbers of channels in the graph; edges number the channels by their places in these.
    """

    name: str
    layers: tuple[RouteLayer, ...]
    reads: Tensor
    writes: Tensor
    edges: tuple[Edges, ...]


def steps(routes: DecisionRoutes, *, most: int | None = None) -> tuple[Step, ...]:
    """Fold a network at its waists, at every second or third of them where there would be more than `most` steps."""
    parts = _between_waists(routes.layers)
    if most is not None and len(parts) > most:
        together = -(-len(parts) // most)
        parts = [tuple(_flat(parts[start : start + together])) for start in range(0, len(parts), together)]
    names = called([[layer.name for layer in part] for part in parts])
    found: list[Step] = []
    for number, part in enumerate(parts):
        reads = found[-1].writes if found else part[0].reads
        writes = _column(part, parts[: number + 1], parts[number + 1 :])
        edges = tuple(
            part[0].edges[subject] if _alone(part, reads, writes) else _through(part, reads, writes, used, subject)
            for subject, used in enumerate(routes.relevant)
        )
        found.append(Step(names[number], part, reads, writes, edges))
    return tuple(found)


def _between_waists(layers: Sequence[RouteLayer]) -> list[tuple[RouteLayer, ...]]:
    """Cut the order of execution at its waists."""
    last: dict[int, int] = {}  # channel -> number of the last layer that reads it
    for number, layer in enumerate(layers):
        last.update(dict.fromkeys(layer.reads.tolist(), number))
    parts: list[tuple[RouteLayer, ...]] = []
    since: list[RouteLayer] = []
    alive: set[int] = set()  # written before the last waist, or not yet read for the last time
    fresh: set[int] = set()
    for number, layer in enumerate(layers):
        since.append(layer)
        fresh |= set(layer.writes.tolist())
        alive = {channel for channel in alive | fresh | set(layer.reads.tolist()) if last.get(channel, -1) > number}
        if alive <= fresh or number == len(layers) - 1:
            parts.append(tuple(since))
            since, fresh = [], set()
    return parts


def _column(
    part: tuple[RouteLayer, ...], until: Sequence[tuple[RouteLayer, ...]], later: Sequence[tuple[RouteLayer, ...]]
) -> Tensor:
    """The column behind a part: what it writes and others read, and what the next reads though no layer wrote it.

    The latter comes from operators that are no layers here (a computed weight, attention). Where nothing that the part
    writes is read, its last layer's outputs are shown.
    """
    if not later:
        return part[-1].writes
    written = torch.cat([layer.writes for layer in part])
    live = written[torch.isin(written, torch.cat([layer.reads for layer in _flat(later)]))]
    known = torch.cat([*(layer.writes for layer in _flat((*until, later[0]))), until[0][0].reads])
    read = torch.cat([layer.reads for layer in later[0]])
    return _distinct(torch.cat([live if len(live) else part[-1].writes, read[~torch.isin(read, known)]]))


def _flat(parts: Sequence[tuple[RouteLayer, ...]]) -> list[RouteLayer]:
    return [layer for part in parts for layer in part]


def _distinct(channels: Tensor) -> Tensor:
    return torch.tensor(list(dict.fromkeys(channels.tolist())), dtype=torch.int64)


def _alone(part: Sequence[RouteLayer], reads: Tensor, writes: Tensor) -> bool:
    return len(part) == 1 and torch.equal(part[0].reads, reads) and torch.equal(part[0].writes, writes)


def _through(part: Sequence[RouteLayer], reads: Tensor, writes: Tensor, used: Tensor, subject: int) -> Edges:
    """Edges through several layers; each output's strongest is 1, as in equation (4).

    `carried` are the strengths from the relevant channels of the column before to the channels that are alive; what a
    layer writes into a stream is added to what the stream carries.
    """
    start = used[reads].nonzero().flatten()
    if not len(start):
        return part[0].edges[subject].strongest(0)  # none
    wanted = torch.cat([reads, writes, *(layer.reads for layer in part), *(layer.writes for layer in part)]).unique()
    place = torch.full((len(used),), -1, dtype=torch.int64)
    place[wanted] = torch.arange(len(wanted))
    carried = torch.zeros(len(wanted), len(start))
    carried[place[reads[start]], torch.arange(len(start))] = 1
    for layer in part:
        edges = layer.edges[subject]
        sources, inputs = edges.inputs.unique(return_inverse=True)
        targets, outputs = edges.outputs.unique(return_inverse=True)
        weight = torch.zeros(len(targets), len(sources))
        weight[outputs, inputs] = edges.strengths
        carried.index_add_(0, place[layer.writes[targets]], weight @ carried[place[layer.reads[sources]]])
    strengths = carried[place[writes]]
    strengths = strengths / strengths.amax(1, keepdim=True).clamp(min=1e-12)
    outputs, inputs = (strengths >= LEAST).nonzero(as_tuple=True)
    return Edges(start[inputs], outputs, strengths[outputs, inputs])


#: Strengths of folded steps that are weaker than this share of an output's strongest are left out.
LEAST = 0.01
