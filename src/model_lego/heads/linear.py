"""Linear classifiers on features in closed form, for all strengths of their penalty from one decomposition."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model_lego.parts.grouping import Columns, merged

#: Penalties of `ridge` that cross-validation tries, in parts of the mean diagonal of the centred X'X.
RIDGE_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
#: Shrinkages of `lda` that cross-validation tries: shares of the identity in the pooled covariance.
SHRINKAGES = (0.01, 0.03, 0.1, 0.3, 0.6, 0.9)
#: Smallest deviation that a feature is divided by, in parts of that of all features together.
FLOOR = 0.1
#: Smallest variance, of features of unit deviation, that is divided by.
TINY = 1e-6
#: Directions with less than this part of the largest variance are rounding.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A linear classifier: `weight` (classes x inputs), `shift` (classes), and the strength that it was fitted with.

    Of a sum of two the strengths of both, by name. With `columns` its scores are merged to those of groups.
    """

    weight: Tensor
    shift: Tensor
    strength: float | dict[str, Any]
    columns: Columns | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Scores of rows (rows x inputs): rows x classes."""
        scores = x @ self.weight.T + self.shift
        return scores if self.columns is None else merged(scores, self.columns)


def ridge_fits(x: Tensor, labels: Tensor, classes: int) -> list[Fit]:
    """Least squares to one-hot targets with an unpenalised intercept, one fit a strength.

    Minimises ||Y - X W' - c||^2 + lambda ||W||^2 over W and c, lambda being the strength times the mean diagonal of the
    centred X'X. `x` is rows x features, each of which is brought to unit deviation; `labels` are the rows' classes.
    """
    y = one_hot(labels, classes)
    x_mean, y_mean, unit = x.double().mean(0), y.mean(0), deviations(x)
    x = (x.double() - x_mean) / unit
    values, vectors, level = _spectrum(x)
    cross = vectors.T @ (x.T @ (y - y_mean))
    fits = []
    for strength in RIDGE_STRENGTHS:
        weight = (vectors @ (cross / (values + strength * level)[:, None])).T / unit
        fits.append(Fit(weight, y_mean - weight @ x_mean, strength))
    return fits


def lda_fits(x: Tensor, labels: Tensor, classes: int) -> list[Fit]:
    """Linear discriminant analysis with the classes' shares as priors, one fit a shrinkage.

    The pooled covariance S within the classes becomes (1 - a) S + a m I, m being the mean of its diagonal. Every class
    has to have a row, and one of them more than one. `x` is rows x features, each of which is brought to unit
    deviation; `labels` are the rows' classes.
    """
    y, unit = one_hot(labels, classes), deviations(x)
    centre = x.double().mean(0)  # what the classes share changes no decision
    x = (x.double() - centre) / unit
    counts = y.sum(0)
    means = (y.T @ x) / counts[:, None]
    values, vectors, level = _spectrum(x - means[labels])
    freedom = max(len(x) - classes, 1)
    values, level = values / freedom, level / freedom
    prior = (counts / counts.sum()).log()
    inside = means @ vectors
    fits = []
    for share in SHRINKAGES:
        rest = 1 / (share * level)
        weight = (inside * (1 / ((1 - share) * values + share * level) - rest)) @ vectors.T + means * rest
        shift = prior - (weight * means).sum(1) / 2 - (weight / unit) @ centre
        fits.append(Fit(weight / unit, shift, share))
    return fits


def deviations(x: Tensor) -> Tensor:
    """Standard deviation of each column, but no less than a tenth of their root mean square.

    A feature that hardly ever fires would else count as much as any other.
    """
    variance = x.double().var(0, correction=0)
    return variance.clamp(min=float(variance.mean().clamp(min=1e-24)) * FLOOR**2).sqrt()


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Rows x classes: 1 at the row's class."""
    return torch.eye(classes, dtype=torch.float64)[labels]


def _spectrum(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvalues and eigenvectors (features x rank) of X'X, from the smaller of X'X and XX'; its mean diagonal."""
    wide = x.shape[0] < x.shape[1]
    values, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    level = (x.square().sum() / x.shape[1]).clamp(min=TINY)
    real = values > ROUNDING * values.max().clamp(min=1e-30)
    values, vectors = values[real], vectors[:, real]
    return values, (x.T @ vectors) / values.sqrt() if wide else vectors, level
