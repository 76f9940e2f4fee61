"""Citation graphs: papers as nodes, with the standard split into those to train on, to choose by, and to test on."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from model_lego.data.npz import read_arrays
from model_lego.errors import BadConfig

#: What an .npz file has: pairs of nodes, labels, features as coordinates and values, and the numbers of three splits.
ARRAYS = (
    *("edges", "labels", "feat_row", "feat_col", "feat_val", "feat_shape"),
    *("train_idx", "val_idx", "test_idx"),
)


@dataclass(frozen=True, slots=True, eq=False)
class CitationGraph:
    """One graph: features (nodes x features, rows sum to one), edges in both directions (2 x edges), labels, splits."""

    features: Tensor
    edges: Tensor
    labels: Tensor
    train: Tensor
    val: Tensor
    test: Tensor

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes: their numbers."""
        return tuple(str(label) for label in range(int(self.labels.max()) + 1))


def open_citations(where: str, *, root: str | Path = "data", download: bool = False) -> CitationGraph:
    """Open `planetoid:Cora` (CiteSeer, PubMed) from `root`, by torch_geometric, or an .npz file; raises BadConfig."""
    if where.startswith("planetoid:"):
        return _planetoid(where.partition(":")[2], Path(root), download=download)
    return _npz(Path(where))


def _npz(file: Path) -> CitationGraph:
    try:
        found = {name: torch.from_numpy(values) for name, values in read_arrays(file, ARRAYS).items()}
    except (BadConfig, TypeError) as error:
        raise BadConfig(f"'{file}' is no .npz file of a citation graph ({', '.join(ARRAYS)}): {error}") from error
    features = torch.zeros(*found["feat_shape"].tolist())
    features[found["feat_row"].long(), found["feat_col"].long()] = found["feat_val"].float()
    pairs = found["edges"].long()
    pairs = pairs if len(pairs) == 2 else pairs.T
    splits = (found[f"{name}_idx"].long() for name in ("train", "val", "test"))
    return CitationGraph(_shares(features), torch.cat([pairs, pairs.flip(0)], 1), found["labels"].long(), *splits)


def _planetoid(name: str, root: Path, *, download: bool) -> CitationGraph:
    if find_spec("torch_geometric") is None:
        raise BadConfig("torch_geometric is not installed; install model-lego[graphs]")
    from torch_geometric.datasets import Planetoid

    if not download and not any((root / name / "raw").glob("*")):
        raise BadConfig(f"{name} is not in '{root}'; download it there first, with torch_geometric or --download")
    try:
        data = Planetoid(str(root), name)[0]
    except (OSError, ValueError, RuntimeError, EOFError) as error:
        raise BadConfig(f"{name} in '{root}' cannot be read: {error}") from error
    masks = (data.train_mask, data.val_mask, data.test_mask)
    return CitationGraph(_shares(data.x), data.edge_index, data.y, *(mask.nonzero()[:, 0] for mask in masks))


def _shares(features: Tensor) -> Tensor:
    return features / features.sum(1, keepdim=True).clamp(min=1)
