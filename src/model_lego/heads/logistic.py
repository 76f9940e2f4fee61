"""A convex logistic map of the joined logits, pulled towards the logits as they are."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from model_lego.heads.linear import Fit
from model_lego.parts.grouping import Columns, merged

#: L2 strengths towards the identity that cross-validation tries.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def affine_fits(
    logits: Tensor,
    labels: Tensor,
    start: Tensor,
    *,
    columns: Columns | None = None,
    strengths: Sequence[float] = STRENGTHS,
) -> list[Fit]:
    """Convex logistic maps of the joined logits, one fit a strength.

    Minimises cross-entropy plus strength times the squared distance to `start` (classes x joined), by L-BFGS to
    convergence, from the strongest pull on, each from the solution before it. `logits` is rows x joined, `labels` the
    rows' classes. Logits are scaled to unit deviation, so that the strength does not depend on their scale. With
    `columns` the rows of the map are members of groups, which the labels do not tell apart: the loss is that of the
    groups then, and not convex any more, but starts at the plain logits all the same.
    """
    logits, start = logits.double(), start.double()
    level = logits.std().nan_to_num(1.0).clamp(min=1e-12)
    found: dict[float, Fit] = {}
    change, bias = torch.zeros_like(start), torch.zeros_like(start[:, 0])
    for strength in sorted(strengths, reverse=True):
        change, bias = _solve(logits, labels, start, strength, level, change, bias, columns)
        found[strength] = Fit(start + change / level, bias, strength, columns)
    return [found[strength] for strength in strengths]


def _solve(
    logits: Tensor,
    labels: Tensor,
    start: Tensor,
    strength: float,
    level: Tensor,
    change: Tensor,
    bias: Tensor,
    columns: Columns | None,
) -> tuple[Tensor, Tensor]:
    """The change of the map (in units of `level`) and the bias that minimise the loss, from those that are given."""
    change, bias = (given.clone().requires_grad_() for given in (change, bias))
    optimizer = torch.optim.LBFGS([change, bias], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-8)

    def loss() -> Tensor:
        optimizer.zero_grad()
        scores = F.linear(logits, start + change / level, bias)
        fit = F.cross_entropy(scores if columns is None else merged(scores, columns), labels)
        value = fit + strength * (change.square().sum() + bias.square().sum())
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return change.detach(), bias.detach()
