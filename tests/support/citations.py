"""A made-up citation graph in the arrays of an .npz file: papers cite their own subject more, and have its words."""

import numpy as np

NODES, FEATURES, CLASSES = 620, 24, 3
TRAIN, TEST = 30, 540  # Planetoid takes the 500 behind those to train on to choose by


def citation_features():
    """Nodes x features: whether a paper has a word; paper 5 has none."""
    rng = np.random.default_rng(0)
    labels = np.arange(NODES) % CLASSES
    own = np.arange(FEATURES) % CLASSES == labels[:, None]
    features = (rng.random((NODES, FEATURES)) < np.where(own, 0.5, 0.1)).astype(np.float32)
    features[5] = 0
    return features


def citation_arrays():
    """All arrays of the file."""
    rng = np.random.default_rng(1)
    labels, features = np.arange(NODES) % CLASSES, citation_features()
    pairs = np.unique(np.sort(rng.integers(0, NODES, (4000, 2)), 1), axis=0)
    one, other = pairs.T
    kept = (one < other) & (rng.random(len(pairs)) < np.where(labels[one] == labels[other], 0.6, 0.15))
    row, col = features.nonzero()
    return {
        "edges": pairs[kept], "labels": labels,
        "feat_row": row, "feat_col": col, "feat_val": features[row, col], "feat_shape": np.array(features.shape),
        "train_idx": np.arange(TRAIN), "val_idx": np.arange(TRAIN, TRAIN + 500), "test_idx": np.arange(TEST, NODES),
    }  # fmt: skip
