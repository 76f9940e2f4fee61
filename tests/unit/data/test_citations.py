"""Citation graphs: files of ours, those that torch_geometric reads, and what is refused."""

import pickle

import numpy as np
import pytest
import torch

from model_lego.data.citations import open_citations
from model_lego.errors import BadConfig
from tests.support.citations import CLASSES, FEATURES, NODES, TEST, TRAIN, citation_arrays, citation_features


@pytest.fixture
def file(tmp_path):
    np.savez(tmp_path / "papers.npz", **citation_arrays())
    return tmp_path / "papers.npz"


def published(root):
    """The same graph in the files that Planetoid publishes."""
    sparse = pytest.importorskip("scipy.sparse")
    features, found = citation_features(), citation_arrays()
    onehot = np.eye(CLASSES)[found["labels"]]
    first = TEST
    neighbours = {node: [] for node in range(NODES)}
    for one, other in found["edges"].tolist():
        neighbours[one].append(other)
        neighbours[other].append(one)
    files = {
        "x": sparse.csr_matrix(features[:TRAIN]), "tx": sparse.csr_matrix(features[first:]),
        "allx": sparse.csr_matrix(features[:first]), "y": onehot[:TRAIN], "ty": onehot[first:],
        "ally": onehot[:first], "graph": neighbours,
    }  # fmt: skip
    folder = root / "Cora" / "raw"
    folder.mkdir(parents=True)
    for name, value in files.items():
        (folder / f"ind.cora.{name}").write_bytes(pickle.dumps(value))
    (folder / "ind.cora.test.index").write_text("".join(f"{node}\n" for node in found["test_idx"]))


def test_a_file_gives_shares_of_words_and_edges_in_both_directions(file):
    papers = open_citations(str(file))
    features, found = citation_features(), citation_arrays()
    assert papers.features.shape == (NODES, FEATURES)
    sums = papers.features.sum(1)
    assert torch.allclose(sums[sums > 0], torch.tensor(1.0))
    assert sums[5] == 0
    assert torch.equal(papers.features > 0, torch.from_numpy(features) > 0)
    assert papers.edges.shape == (2, 2 * len(found["edges"]))
    assert sorted(papers.edges.T.tolist()) == sorted(papers.edges.flip(0).T.tolist())
    assert (len(papers.train), len(papers.val), len(papers.test)) == (TRAIN, 500, 80)
    assert papers.names == ("0", "1", "2")


def test_the_published_files_give_the_same(file, tmp_path):
    pytest.importorskip("torch_geometric")
    published(tmp_path)
    one, other = open_citations(str(file)), open_citations("planetoid:Cora", root=tmp_path)
    for name in ("features", "labels", "train", "val", "test"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert sorted(one.edges.T.tolist()) == sorted(other.edges.T.tolist())


def test_what_is_not_there_is_not_downloaded(tmp_path):
    pytest.importorskip("torch_geometric")
    with pytest.raises(BadConfig, match=r"Cora is not in .* download it there first"):
        open_citations("planetoid:Cora", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_refused(tmp_path):
    with pytest.raises(BadConfig, match=r"papers\.npz' is no \.npz file of a citation graph"):
        open_citations(str(tmp_path / "papers.npz"))
    np.savez(tmp_path / "papers.npz", edges=np.zeros((2, 2)))
    with pytest.raises(BadConfig, match="labels"):
        open_citations(str(tmp_path / "papers.npz"))
