"""Linear heads against their definitions: stationary points of the losses, Gaussian densities written out."""

import numpy as np
import pytest
import torch
from torch import Tensor

from model_lego.heads.linear import RIDGE_STRENGTHS, SHRINKAGES, lda_fits, ridge_fits
from model_lego.heads.logistic import STRENGTHS, affine_fits

CLASSES = 3


def rows(count: int, features: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features of very different scales, whose means depend on the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    labels[: 2 * CLASSES] = torch.arange(2 * CLASSES) % CLASSES
    x = torch.randn(count, features, generator=generator, dtype=torch.float64)
    x[:, :CLASSES] += 2 * torch.eye(CLASSES, dtype=torch.float64)[labels][:, : x.shape[1]]
    return x * torch.linspace(0.5, 3, features, dtype=torch.float64) + 1, labels


def units(x: Tensor) -> np.ndarray:
    deviation = x.numpy().std(0)
    return np.maximum(deviation, 0.1 * np.sqrt((deviation**2).mean()))


@pytest.mark.parametrize("shape", [(40, 6), (12, 30)])
def test_ridge_solves_its_normal_equations(shape):
    """For more rows than features and for fewer: the derivatives of squared error and penalty cancel."""
    x, labels = rows(*shape)
    target, unit = np.eye(CLASSES)[labels.numpy()], units(x)
    scaled = (x.numpy() - x.numpy().mean(0)) / unit
    for fit, strength in zip(ridge_fits(x, labels, CLASSES), RIDGE_STRENGTHS, strict=True):
        weight = fit.weight.numpy() * unit  # on features of unit deviation
        surplus = x.numpy() @ fit.weight.numpy().T + fit.shift.numpy() - target
        penalty = strength * np.trace(scaled.T @ scaled) / shape[1]
        assert fit.strength == strength
        assert np.abs(surplus.mean(0)).max() < 1e-9  # the intercept is not penalised
        assert np.abs(surplus.T @ scaled + penalty * weight).max() < 1e-7


@pytest.mark.parametrize("shape", [(40, 6), (12, 30)])
def test_lda_gives_the_log_densities_of_gaussians_with_one_covariance(shape):
    """But for a term that all classes share."""
    x, labels = rows(*shape)
    unit, number = units(x), labels.numpy()
    scaled = x.numpy() / unit
    means = np.stack([scaled[number == c].mean(0) for c in range(CLASSES)])
    within = sum(np.outer(row - means[c], row - means[c]) for row, c in zip(scaled, number, strict=True))
    within = within / (shape[0] - CLASSES)
    priors = np.log(np.bincount(number) / shape[0])
    for fit, share in zip(lda_fits(x, labels, CLASSES), SHRINKAGES, strict=True):
        covariance = (1 - share) * within + share * np.eye(shape[1]) * np.trace(within) / shape[1]
        away = scaled[:, None] - means
        density = priors - 0.5 * np.einsum(
            "ncf,ncf->nc", away, np.linalg.solve(covariance, away.swapaxes(1, 2)).swapaxes(1, 2)
        )
        surplus = fit(x).numpy() - density
        assert fit.strength == share
        assert np.abs(surplus - surplus[:, :1]).max() < 1e-7 * np.abs(density).max()


@pytest.mark.parametrize("fits", [ridge_fits, lda_fits])
def test_the_units_of_features_do_not_matter(fits):
    x, labels = rows(40, 6)
    large = fits(1000 * x + 7, labels, CLASSES)
    for one, other in zip(fits(x, labels, CLASSES), large, strict=True):
        apart = one(x) - other(1000 * x + 7)
        assert (apart - apart[:, :1]).abs().max() < 1e-6


@pytest.mark.parametrize("fits", [ridge_fits, lda_fits])
def test_features_that_never_change_are_harmless(fits):
    x, labels = rows(40, 6)
    x[:, 4:] = torch.tensor([0.0, 3.0], dtype=torch.float64)
    for fit in fits(x, labels, CLASSES):
        assert torch.isfinite(fit(x)).all()
        assert fit.weight[:, 4:].abs().max() < 1e3
    for fit in fits(torch.ones(9, 2), torch.arange(9) % CLASSES, CLASSES):
        assert torch.isfinite(fit(torch.ones(9, 2, dtype=torch.float64))).all()


def random_logits(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (count,), generator=generator)
    noise = torch.randn(count, 5, generator=generator, dtype=torch.float64)
    return 3 * (noise + torch.eye(5, dtype=torch.float64)[labels]), labels


def test_the_affine_fit_is_the_lowest_point_of_a_convex_function():
    """All derivatives of the loss vanish; with the penalty it is strictly convex, so there is one such point."""
    logits, labels = random_logits(90)
    start = torch.eye(3, 5, dtype=torch.float64)
    level = float(logits.std())
    for fit, strength in zip(affine_fits(logits, labels, start), STRENGTHS, strict=True):
        score = (logits @ fit.weight.T + fit.shift).exp()
        surplus = (score / score.sum(1, keepdim=True) - torch.eye(3, dtype=torch.float64)[labels]) / len(labels)
        pull = 2 * strength * level**2 * (fit.weight - start)
        assert (surplus.T @ logits + pull).abs().max() < 1e-5 * level
        assert (surplus.sum(0) + 2 * strength * fit.shift).abs().max() < 1e-5
        assert fit.strength == strength
        assert (fit.weight - start).abs().max() > 1e-2
