"""Classes taken out of a trained half-width VGG-16 (CIFAR-10, classes 0-4): what is lost, and what is forgotten.

The others' accuracy is held against the source restricted to them. Whether the network still tells the removed class
is asked of a linear probe: a logistic regression that tells the class's images from all others by the logits (or by
what the last layer reads). It is fitted on training images that the removal has not seen, and measured on test images.
A network trained without one of the classes shows what such a probe finds where the class was never known; where its
weights are not here, its last figures stay.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import model_lego as ml
from benchmarks.common import RESULTS, record
from benchmarks.trained import ABSENT, BATCH, FIRST, HALVES, LAST, NORMAL, WITHOUT_CAT, opened
from benchmarks.zoo_vgg import SEED
from model_lego.data import batches
from model_lego.data.sets import Batched
from model_lego.parts.layer_inputs import run_and_hear
from model_lego.verdicts.metrics import area

NAMES = HALVES[0]
#: The class that a network of the zoo was never shown.
WITHOUT = "cat"
#: How it is called in the results.
NEVER = "trained without"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a network gives for the probe's and for test images: logits, and what its last layer reads."""

    logits: tuple[Tensor, Tensor]
    features: tuple[Tensor, Tensor]
    labels: tuple[Tensor, Tensor]

    def columns(self, keep: list[int]) -> "Seen":
        """The same with some of the logits."""
        return Seen((self.logits[0][:, keep], self.logits[1][:, keep]), self.features, self.labels)


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    trained = opened(FIRST)
    if trained is None:
        print(f"surgery: skipped, {ABSENT}")
        return
    source, images = trained.model, trained.split.train
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED))
    train, probed = (
        batches(replace(images, numbers=images.numbers[some], labels=images.labels[some]), batch_size=BATCH)
        for some in order.chunk(2)
    )
    views = probed, batches(trained.split.test, batch_size=BATCH)
    seen = _seen(source, views)
    last = _last()
    rows = []
    for name in NAMES:
        row = _removal(source, seen, name, train, views)
        row["networks"] = last.get(name, {}) | row["networks"]
        rows.append(row)
        record("surgery", {"seed": SEED, "removals": rows, "points_above_restricted": _means(rows)})


def _last() -> dict[str, dict[str, Any]]:
    """The last figures of networks that were trained without a class, by the class."""
    path = RESULTS / "surgery.json"
    rows = json.loads(path.read_text())["removals"] if path.exists() else []
    return {row["class"]: {name: row["networks"][name] for name in (NEVER,) if name in row["networks"]} for row in rows}


def _removal(
    source: nn.Module, seen: Seen, gone: str, train: Batched, views: tuple[Batched, Batched]
) -> dict[str, Any]:
    """One class taken out of the network, with and without erasing it from the logits."""
    keep = [number for number, name in enumerate(NAMES) if name != gone]
    common: dict[str, Any] = {"class_names": NAMES, "preprocessing": NORMAL, "seed": SEED}
    removed = ml.remove_classes(source, [gone], train, **common)
    knowing = ml.remove_classes(source, [gone], train, forget=False, **common)
    assert isinstance(removed, ml.Component)
    networks = {
        "source": seen,
        "source restricted": seen.columns(keep),
        "removed, not erased": _seen(knowing, views),
        "removed": _seen(removed, views),
    }
    never = opened(WITHOUT_CAT) if gone == WITHOUT else None
    if never is not None:
        networks[NEVER] = _seen(never.model, views)
    before, after = removed.origin.cost_before, removed.origin.cost_after
    return {
        "class": gone,
        "networks": {name: _measured(each, gone) for name, each in networks.items()},
        "parameters_percent": 100 * after.parameters / before.parameters,
        "macs_percent": 100 * after.macs / before.macs,
    }


@torch.no_grad()
def _seen(network: nn.Module, views: tuple[Batched, Batched]) -> Seen:
    component = isinstance(network, ml.Component)
    last, found = f"module.{LAST}" if component else LAST, []
    for images in views:
        rows = []
        for x, labels in images:
            logits, heard = run_and_hear(network, [last], x if component else NORMAL(x))
            rows.append((logits.double(), heard[last].double(), labels))
        found.append([torch.cat(column) for column in zip(*rows, strict=True)])
    fitted, measured = found
    return Seen((fitted[0], measured[0]), (fitted[1], measured[1]), (fitted[2], measured[2]))


def _measured(seen: Seen, gone: str) -> dict[str, float]:
    number, where = NAMES.index(gone), seen.labels[1]
    rest = torch.tensor([place for place in range(len(NAMES)) if place != number])
    answers = seen.logits[1].argmax(1)
    answers = answers if seen.logits[1].shape[1] == len(NAMES) else rest[answers]
    figures = {"accuracy": 100 * float((answers == where)[where != number].double().mean())}
    for name, (fitted, measured) in (("logits", seen.logits), ("features", seen.features)):
        balanced, auroc = _probe(fitted, seen.labels[0] == number, measured, where == number)
        figures |= {f"probe_{name}": balanced, f"probe_{name}_auroc": auroc}
    return figures


def _probe(fitted: Tensor, is_gone: Tensor, measured: Tensor, was_gone: Tensor) -> tuple[float, float]:
    """Balanced accuracy in % and AUROC of a logistic regression with equal weight of both sides."""
    middle, spread = fitted.mean(0), fitted.std(0).clamp(min=1e-9)
    x, weight = (fitted - middle) / spread, torch.zeros(fitted.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    balance = torch.where(is_gone, 0.5 / is_gone.double().mean(), 0.5 / (~is_gone).double().mean())
    optimizer = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        scores = x @ weight[1:] + weight[0]
        fit = F.binary_cross_entropy_with_logits(scores, is_gone.double(), weight=balance)
        value = fit + 1e-4 * weight[1:].square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    scores = ((measured - middle) / spread @ weight[1:] + weight[0]).detach()
    right = (scores > 0) == was_gone
    balanced = (right[was_gone].double().mean() + right[~was_gone].double().mean()) / 2
    return 100 * float(balanced), float(area(scores, was_gone))


def _means(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Points by which the others are right more often than with the source restricted to them, a mean over classes."""
    found = {}
    for name in ("source", "removed, not erased", "removed"):
        gains = [row["networks"][name]["accuracy"] - row["networks"]["source restricted"]["accuracy"] for row in rows]
        found[name] = sum(gains) / len(gains)
    return found


if __name__ == "__main__":
    main()
