"""Heads of assemblies that are fitted in closed form or by a convex problem on the joined logits."""

import torch
from torch import Tensor
from torch.nn import functional as F

#: L2 strengths towards the identity that cross-validation tries.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)


def affine_map(
    logits: Tensor, labels: Tensor, start: Tensor, *, folds: int = 5, seed: int = 0
) -> tuple[Tensor, Tensor, float]:
    """Convex logistic map of the joined logits: weight (classes x joined), bias, and the strength that was chosen.

    Minimises cross-entropy plus strength times the squared distance to `start` (classes x joined), by L-BFGS to
    convergence; the strength comes from cross-validation on the same samples. Logits are scaled to unit deviation, so
    that the strength does not depend on their scale.
    """
    logits, start = logits.double(), start.double()
    level = logits.std().clamp(min=1e-12)
    order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(seed))
    fold = torch.empty(len(logits), dtype=torch.int64)
    fold[order] = torch.arange(len(logits)) % folds
    losses = []
    for strength in STRENGTHS:
        held = 0.0
        for number in range(folds):
            mine = fold != number
            if not bool(mine.any()) or bool(mine.all()):
                continue
            weight, bias = _solve(logits[mine], labels[mine], start, strength, level)
            held += float(F.cross_entropy(F.linear(logits[~mine], weight, bias), labels[~mine], reduction="sum"))
        losses.append(held)
    best = STRENGTHS[int(torch.tensor(losses).argmin())]
    return (*_solve(logits, labels, start, best, level), best)


def _solve(logits: Tensor, labels: Tensor, start: Tensor, strength: float, level: Tensor) -> tuple[Tensor, Tensor]:
    change = torch.zeros_like(start, requires_grad=True)
    bias = torch.zeros(start.shape[0], dtype=start.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([change, bias], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-8)

    def loss() -> Tensor:
        optimizer.zero_grad()
        fit = F.cross_entropy(F.linear(logits, start + change / level, bias), labels)
        value = fit + strength * (change.square().sum() + bias.square().sum())
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return (start + change / level).detach(), bias.detach()
