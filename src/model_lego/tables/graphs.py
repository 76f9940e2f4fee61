"""Rows about a graph convolutional network: trained, cut for some classes of papers, repaired, beside other cuts."""

import copy
from importlib.util import find_spec
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.attribution import attribute
from model_lego.cutting.tracing import trace
from model_lego.data.citations import CitationGraph
from model_lego.disassembly.disassembling import cut, plan
from model_lego.errors import BadConfig
from model_lego.evaluation.baselines import baselines
from model_lego.evaluation.evaluating import evaluate
from model_lego.models.node_classifier import NodeClassifier
from model_lego.repairing.layerwise import RepairSettings
from model_lego.repairing.refitting import repair
from model_lego.tables import cuts
from model_lego.tables.bench import Bench
from model_lego.tables.cells import of, right, sized
from model_lego.tables.recipe import Column, Kind, Row, task

#: What stands beside the component.
BESIDE = ("source", "restricted", "random", "magnitude")


class Graphs(Row):
    """The component for some classes of a network with two graph convolutions, trained with the seed of the row."""

    data: str
    classes: str
    hidden: int = Field(16, ge=1)
    epochs: int = Field(200, ge=1)

    @property
    def id(self) -> str:
        """Data set and classes."""
        return f"gcn-{self.data}/{self.classes}"

    @property
    def needs(self) -> tuple[str, ...]:
        """It trains its own network, in seconds."""
        return ()


def measure(bench: Bench, row: Graphs, seed: int) -> dict[str, Any]:
    """Measure one row with one seed; the test nodes are looked at once, at the end."""
    papers = bench.citations(row.data)
    labels = task(row.classes)
    if strange := [label for label in labels if label >= len(papers.names)]:
        raise BadConfig(f"task {row.classes} has class {strange[0]}; '{row.data}' has {len(papers.names)}")
    model = bench.once((row.data, row.hidden, row.epochs, seed), lambda: trained(papers, row, seed))
    train, test = (model.batches(some, papers.labels) for some in (papers.train, papers.test))
    graph = trace(model, train[0][0][:2])
    stats = attribute(model, train, graph=graph, seed=seed)
    planned = plan(model, train, classes=labels, class_names=papers.names, graph=graph, stats=stats, seed=seed)
    plain = cut(model, planned)
    mended = repair(plain, model, train, method=RepairSettings(seed=seed), graph=graph)
    against = baselines(mended, model, calibration=train, kinds=BESIDE, graph=graph, seed=seed)
    report = evaluate(mended, test, class_names=papers.names, baselines=(*against, cuts.entrant("cut", plain)))
    return cuts.figures(report, plain.origin.cost_before) | {"source over all": accuracy(model, papers, papers.test)}


class GCN(nn.Module):
    """Two graph convolutions with dropout in front of each (Kipf and Welling, 2017)."""

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        if find_spec("torch_geometric") is None:
            raise BadConfig("torch_geometric is not installed; install model-lego[graphs]")
        from torch_geometric.nn import GCNConv

        self.first = GCNConv(features, hidden, cached=True)  # the graph stays as it is
        self.second = GCNConv(hidden, classes, cached=True)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Give nodes x classes."""
        x = F.relu(self.first(F.dropout(x, 0.5, self.training), edge_index))
        logits: Tensor = self.second(F.dropout(x, 0.5, self.training), edge_index)
        return logits


def trained(papers: CitationGraph, row: Graphs, seed: int) -> NodeClassifier:
    """Train as Kipf and Welling do; of the epochs the one that does best on the nodes to choose by."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = GCN(papers.features.shape[1], row.hidden, len(papers.names))
        decays = ((network.first, 5e-4), (network.second, 0.0))
        groups = [{"params": layer.parameters(), "weight_decay": decay} for layer, decay in decays]
        optimizer = torch.optim.Adam(groups, lr=0.01)
        model = NodeClassifier(network, papers.features, papers.edges)
        best, state = -1.0, network.state_dict()
        for _ in range(row.epochs):
            network.train()
            optimizer.zero_grad()
            logits = network(papers.features, papers.edges)
            F.cross_entropy(logits[papers.train], papers.labels[papers.train]).backward()
            optimizer.step()
            if (reached := accuracy(model.eval(), papers, papers.val)) > best:
                best, state = reached, copy.deepcopy(network.state_dict())
    network.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def accuracy(model: NodeClassifier, papers: CitationGraph, nodes: Tensor) -> float:
    """How many of some nodes are right, in %, over all classes."""
    logits: Tensor = model.network(papers.features, papers.edges)[nodes]
    return 100 * float((logits.argmax(1) == papers.labels[nodes]).double().mean())


KIND = Kind(
    row=Graphs,
    measure=measure,
    columns=(
        Column("test nodes", lambda figures: int(figures["samples"]), digits=0),
        Column("source, all classes and nodes", lambda figures: float(figures["source over all"])),
        Column("source, these nodes", of("source", "accuracy")),
        Column("source, restricted", right("restricted")),
        *sized("published cut", "cut"),
        Column("the same, repaired", right("component")),
        Column("random cut", right("random")),
        Column("repaired", right("random + repair")),
        Column("largest weights", right("magnitude")),
        Column("repaired", right("magnitude + repair")),
    ),
)
