"""A graph convolutional network on Cora, taken apart: the paper's tasks 0, 1, 1-2 and 3-5, three seeds of training.

The network of Kipf and Welling (16 hidden channels, their settings and the standard split); of its epochs the one that
does best on the validation nodes. Statistics and repair use the 140 training nodes; the 1,000 test nodes are looked at
once, at the end.
"""

import copy
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import model_lego as ml
from benchmarks.common import record, shared

TASKS = {"0": (0,), "1": (1,), "1-2": (1, 2), "3-5": (3, 4, 5)}
SEEDS = (0, 1, 2)
HIDDEN, EPOCHS = 16, 200


def main() -> None:
    """Run the benchmark; says so where something that it needs is absent."""
    file = shared("data/cora.npz")
    if file is None:
        print("gcn: skipped, Cora is not here (set MODEL_LEGO_SHARED)")
    elif find_spec("torch_geometric") is None:
        print("gcn: skipped, torch_geometric is not installed (the extra 'graphs')")
    else:
        cora = Cora(file)
        runs = [_run(cora, seed) for seed in SEEDS]
        result = {"data": "Cora, standard split", "network": f"GCN, {HIDDEN} hidden channels", "seeds": list(SEEDS)}
        record("gcn", result | _over_seeds(runs))


class Cora:
    """The citation graph: features (rows sum to one), edges in both directions, labels, and the standard split."""

    def __init__(self, file: Path) -> None:
        with np.load(file) as data:
            nodes, features = data["feat_shape"].tolist()
            x = torch.zeros(nodes, features)
            x[data["feat_row"], data["feat_col"]] = torch.from_numpy(data["feat_val"]).float()
            pairs = torch.from_numpy(data["edges"]).long()
            self.labels = torch.from_numpy(data["labels"]).long()
            splits = [torch.from_numpy(data[f"{name}_idx"]).long() for name in ("train", "val", "test")]
        self.train, self.val, self.test = splits
        self.features = x / x.sum(1, keepdim=True).clamp(min=1)
        pairs = pairs if len(pairs) == 2 else pairs.T
        self.edges = torch.cat([pairs, pairs.flip(0)], 1)
        self.names = tuple(str(label) for label in range(int(self.labels.max()) + 1))


class GCN(nn.Module):
    """Two graph convolutions with dropout in front of each."""

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        from torch_geometric.nn import GCNConv

        self.first = GCNConv(features, hidden, cached=True)  # the graph stays as it is
        self.second = GCNConv(hidden, classes, cached=True)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Give nodes x classes."""
        x = F.relu(self.first(F.dropout(x, 0.5, self.training), edge_index))
        logits: Tensor = self.second(F.dropout(x, 0.5, self.training), edge_index)
        return logits


def trained(cora: Cora, seed: int) -> ml.NodeClassifier:
    """Train a network; the test nodes are not looked at."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = GCN(cora.features.shape[1], HIDDEN, len(cora.names))
        decays = ((network.first, 5e-4), (network.second, 0.0))
        groups = [{"params": layer.parameters(), "weight_decay": decay} for layer, decay in decays]
        optimizer = torch.optim.Adam(groups, lr=0.01)
        best, state = -1.0, network.state_dict()
        for _ in range(EPOCHS):
            network.train()
            optimizer.zero_grad()
            logits = network(cora.features, cora.edges)
            F.cross_entropy(logits[cora.train], cora.labels[cora.train]).backward()
            optimizer.step()
            if (reached := _accuracy(network.eval(), cora, cora.val)) > best:
                best, state = reached, copy.deepcopy(network.state_dict())
    network.load_state_dict(state)
    return ml.NodeClassifier(network, cora.features, cora.edges).eval()


@torch.no_grad()
def _accuracy(network: nn.Module, cora: Cora, nodes: Tensor) -> float:
    logits: Tensor = network(cora.features, cora.edges)[nodes]
    return 100 * float((logits.argmax(1) == cora.labels[nodes]).double().mean())


def _run(cora: Cora, seed: int) -> dict[str, Any]:
    model = trained(cora, seed)
    batches = model.batches(cora.train, cora.labels)
    graph = ml.trace(model, batches[0][0][:2])
    stats = ml.attribute(model, batches, graph=graph, seed=seed)
    tasks = {name: _task(model, cora, graph, stats, labels, seed) for name, labels in TASKS.items()}
    return {"test_accuracy": _accuracy(model.network, cora, cora.test), "tasks": tasks}


def _task(
    model: ml.NodeClassifier,
    cora: Cora,
    graph: ml.ChannelGraph,
    stats: ml.ContributionStats,
    labels: tuple[int, ...],
    seed: int,
) -> dict[str, Any]:
    """Each network on the test nodes of a task's classes; the AUROC is against all other test nodes."""
    train = model.batches(cora.train, cora.labels)
    planned = ml.plan(model, train, classes=labels, graph=graph, stats=stats, seed=seed)
    plain = ml.cut(model, planned)
    repaired = ml.repair(plain, model, train, method=ml.RepairSettings(seed=seed), graph=graph)
    kinds = ("source", "restricted", "random", "magnitude")
    against = ml.baselines(repaired, model, calibration=train, kinds=kinds, graph=graph, seed=seed)
    test = model.batches(cora.test, cora.labels)
    rows = list(ml.evaluate(repaired, test, class_names=plain.origin.source_classes, baselines=against).rows)
    (cut,) = ml.evaluate(plain, test, class_names=plain.origin.source_classes).rows
    found = {"component": cut, "component + repair": rows[0]} | {row.name: row for row in rows[1:]}
    return {
        "nodes": cut.samples,
        "parameters_percent": 100 * cut.parameters / rows[1].parameters,
        "hidden_channels": planned.rows()[0][4],
        "networks": {name: {"accuracy": row.accuracy, "auroc": mean(row.separation)} for name, row in found.items()},
    }


def _over_seeds(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds, of every figure."""
    first = runs[0]
    if isinstance(first, dict):
        return {key: _over_seeds([run[key] for run in runs]) for key in first}
    return {"mean": mean(runs), "deviation": stdev(runs), "each": runs}


if __name__ == "__main__":
    main()
