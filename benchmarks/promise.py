"""python -m benchmarks.promise [WORD …]: which rule tells from few held-out images whether a component loses a point.

Components of several sizes of the networks whose name holds a word (benchmarks/networks.py), on up to 3,000 training
images that neither scores nor repair saw. Many times a few of these are drawn, and each rule says whether the component
passes. What a component loses in truth is told by all of them; what it loses on test images stands beside it.
"""

import json
import sys
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import RESULTS, record
from benchmarks.narrow import SETTINGS, Bench
from benchmarks.networks import networks
from model_lego.budgets.trials import ON_NEW_IMAGES, SURE
from model_lego.verdicts.metrics import believed_losses, exchanged_losses, mean_and_error

SIZES, FEW, DRAWS, ALLOWED, SEED = (0.9, 0.8, 0.65, 0.5), (266, 120), 300, 1.0, 0


def upper(found: tuple[float, float]) -> float:
    """The upper end of a one-sided interval (95 %), of a mean and its standard error."""
    return found[0] + SURE * found[1]


def passing(theirs: Tensor, own: Tensor, places: Tensor) -> dict[str, bool]:
    """What each rule says of some images' logits."""
    labelled = mean_and_error(_labelled(theirs, own, places))
    believed = mean_and_error(believed_losses(theirs, own))
    exchanged = mean_and_error(exchanged_losses(theirs, own, places))
    both = max(labelled[0], believed[0])
    return {
        "labels": labelled[0] <= ALLOWED,
        "labels and probabilities": both <= ALLOWED,
        "both, each at its upper end": max(upper(labelled), upper(believed)) <= ALLOWED,
        "both, and exchanged errors with one standard error": max(both, sum(exchanged)) <= ALLOWED,
        "both, and exchanged errors at their upper end": max(both, upper(exchanged)) <= ALLOWED,
        "labels; probabilities and exchanged errors at their upper end, twice": max(
            labelled[0], ON_NEW_IMAGES * believed[0], ON_NEW_IMAGES * upper(exchanged)
        )
        <= ALLOWED,
    }


def measured(bench: Bench, size: float) -> dict[str, Any]:
    """How often a component of a size passes."""
    cut = bench.repaired(bench.within(bench.scores, size), bench.images, SETTINGS["as it is"])
    own, theirs, places = bench.network.logits(cut.module, bench.held).double(), bench.wanted.double(), bench.answers
    row: dict[str, Any] = {
        "lost": 100 * float(_labelled(theirs, own, places).mean()),
        "lost on test images": bench.network.accuracy(bench.network.model) - bench.network.accuracy(cut.module),
        "passes": {},
    }
    generator = torch.Generator().manual_seed(SEED)
    for few in FEW:
        if few >= len(places):
            continue
        draws = [torch.randperm(len(places), generator=generator)[:few] for _ in range(DRAWS)]
        said = [passing(theirs[some], own[some], places[some]) for some in draws]
        row["passes"][str(few)] = {rule: sum(one[rule] for one in said) / DRAWS for rule in said[0]}
        estimates = [mean_and_error(exchanged_losses(theirs[some], own[some], places[some])) for some in draws]
        counts = torch.tensor([float(_labelled(theirs, own, places)[some].mean()) for some in draws])
        means, errors = torch.tensor(estimates).T
        row[f"exchanged, of {few}"] = {"mean": float(means.mean()), "spread": float(means.std())}
        row[f"exchanged, of {few}"] |= {"error": float(errors.mean()), "spread of labels": 100 * float(counts.std())}
    return row


def _labelled(theirs: Tensor, own: Tensor, places: Tensor) -> Tensor:
    return (theirs.argmax(1) == places).double() - (own.argmax(1) == places).double()


def main(words: list[str]) -> None:
    """Measure and record beside other networks."""
    path = RESULTS / "promise.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"networks": {}}
    for network in networks():
        if words and not any(word in network.name for word in words):
            continue
        bench = Bench(network)
        if len(bench.held) <= min(FEW):
            print(f"{network.name}: left out, {len(bench.held)} held-out images are too few", flush=True)
            continue
        result["networks"][network.name] = {"held out": len(bench.held), "seed": SEED, "sizes": {}}
        for size in SIZES:
            result["networks"][network.name]["sizes"][f"{size:g}"] = row = measured(bench, size)
            print(network.name, size, json.dumps(row), flush=True)
            record("promise", result, show=False)


if __name__ == "__main__":
    main(sys.argv[1:])
