"""Rows about a graph network: their figures against the library's, counted by hand."""

import numpy as np
import pytest
import torch

import model_lego as ml
from model_lego.errors import BadConfig
from model_lego.tables.bench import Bench
from model_lego.tables.graphs import Graphs, measure, trained
from model_lego.tables.recipe import Materials
from tests.support.citations import citation_arrays

pytest.importorskip("torch_geometric")


@pytest.fixture
def bench(tmp_path):
    np.savez(tmp_path / "papers.npz", **citation_arrays())
    data = {"papers": {"where": str(tmp_path / "papers.npz")}}
    return Bench(Materials(data=data, sources={}), tmp_path / "sources")


def test_the_figures_are_those_of_the_library(bench):
    row = Graphs(data="papers", classes="1-2", hidden=8, epochs=60)
    found = measure(bench, row, 3)
    papers = bench.citations("papers")
    model = trained(papers, row, 3)
    train, test = model.batches(papers.train, papers.labels), papers.test
    arguments = {"classes": [1, 2], "class_names": papers.names, "seed": 3}
    graph = ml.trace(model, train[0][0][:2])
    stats = ml.attribute(model, train, graph=graph, seed=3)
    mine = test[papers.labels[test] > 0]
    with torch.no_grad():
        logits = model(test[:, None].float())
        own = model(mine[:, None].float())
    right = 100 * (logits.argmax(1) == papers.labels[test]).double().mean().item()
    assert found["source over all"] == pytest.approx(right)
    assert right > 60  # it has learned something
    labels = papers.labels[mine]
    restricted = 100 * (own[:, 1:].argmax(1) + 1 == labels).double().mean().item()
    assert found["restricted"]["accuracy"] == pytest.approx(restricted)
    for name, method in (("cut", "none"), ("component", "ridge")):
        part = ml.disassemble(model, train, graph=graph, stats=stats, repair=method, **arguments)
        with torch.no_grad():
            accuracy = 100 * (part(mine[:, None].float()).argmax(1) + 1 == labels).double().mean().item()
        assert found[name]["accuracy"] == pytest.approx(accuracy), name
    assert found["samples"] == len(mine)
    assert found["cut"]["parameters"] < 100


def test_a_network_is_trained_once_for_all_rows_of_a_seed(bench, monkeypatch):
    made = []
    monkeypatch.setattr("model_lego.tables.graphs.trained", lambda *given: made.append(given[2]) or trained(*given))
    for classes, seed in (("0", 0), ("1-2", 0), ("0", 1)):
        measure(bench, Graphs(data="papers", classes=classes, hidden=8, epochs=60), seed)
    assert made == [0, 1]


def test_a_class_that_is_none_is_refused(bench):
    with pytest.raises(BadConfig, match="task 1-3 has class 3; 'papers' has 3"):
        measure(bench, Graphs(data="papers", classes="1-3"), 0)
