"""Closed-form refit of one layer: ridge towards the weights that the cut left, with an unpenalised intercept."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.errors import BadConfig
from model_lego.processes import Group, add_up

#: What rounding may leave of the variance of a constant, in parts of its square: less than that is not inverted.
ROUNDING = 1e-5
#: Features whose products with all later ones are taken at once.
BLOCK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A change of a layer: `change` (groups x features x outputs) to the weights, `intercept` (groups x outputs)."""

    change: Tensor
    intercept: Tensor


class Moments:
    """Sums over rows that a least-squares fit needs; groups are independent problems.

    Products and sums are taken in the rows' own data type, of twice as many rows as there are features, and added up in
    float64: of few rows at once, adding up would take longer than multiplying. Of the Gram matrix, which is symmetric,
    only the upper triangle of blocks is kept until it is asked for.
    """

    def __init__(self, groups: int, features: int, outputs: int) -> None:
        self.rows = torch.zeros((), dtype=torch.int64)
        self.gram = torch.zeros(groups, features, features, dtype=torch.float64)
        self.cross = torch.zeros(groups, features, outputs, dtype=torch.float64)
        self.x_sum = torch.zeros(groups, features, dtype=torch.float64)
        self.y_sum = torch.zeros(groups, outputs, dtype=torch.float64)
        self.held: list[tuple[Tensor, Tensor]] = []

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add rows: `x` groups x rows x features, `y` groups x rows x outputs."""
        self.rows += x.shape[1]
        self.held.append((x, y))
        if sum(held.shape[1] for held, _ in self.held) >= 2 * x.shape[2]:
            self._multiply()

    def _multiply(self) -> None:
        """Add the products of the rows that are held."""
        if not self.held:
            return
        x, y = self.held[0] if len(self.held) == 1 else (torch.cat(rows, 1) for rows in zip(*self.held, strict=True))
        self.held = []
        self.x_sum += x.sum(1).cpu()
        self.y_sum += y.sum(1).cpu()
        turned, features = x.transpose(1, 2), x.shape[2]
        for part in _blocks(features):
            self.gram[:, part, part.start :] += (turned[:, part] @ x[:, :, part.start :]).cpu()
        self.cross += (turned @ y).cpu()

    def add_up(self, group: Group) -> None:
        """Add the sums of all processes of a group."""
        self._multiply()
        add_up([self.rows, self.gram, self.cross, self.x_sum, self.y_sum], group)

    def joined(self, other: "Moments") -> "Moments":
        """The sums of the rows of both."""
        both = Moments(*self.cross.shape)
        for one in (self, other):
            one._multiply()
            both.rows += one.rows
            both.gram += one.gram
            both.cross += one.cross
            both.x_sum += one.x_sum
            both.y_sum += one.y_sum
        return both

    def products(self) -> Tensor:
        """The Gram matrix X'X of each group."""
        self._multiply()
        for part in _blocks(self.gram.shape[2]):
            self.gram[:, part.stop :, part] = self.gram[:, part, part.stop :].transpose(1, 2)
        return self.gram

    def centred(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gram and cross products about the means, and the means."""
        products = self.products()
        x_mean, y_mean = self.x_sum / self.rows, self.y_sum / self.rows
        gram = products - self.rows * x_mean[:, :, None] * x_mean[:, None, :]
        cross = self.cross - self.rows * x_mean[:, :, None] * y_mean[:, None, :]
        return gram, cross, x_mean, y_mean


def _blocks(features: int) -> Iterator[slice]:
    for start in range(0, features, BLOCK):
        yield slice(start, min(start + BLOCK, features))


def ridge(moments: Moments, weight: Tensor, strength: float) -> Fit:
    """Minimise ||Y - X W - c||^2 + lambda ||W - weight||^2 over W and c, c not penalised.

    lambda is `strength` times the mean diagonal of the centred X'X. `weight` is groups x features x outputs.
    """
    gram, cross, x_mean, y_mean = moments.centred()
    residual = cross - gram @ weight  # X'(Y - X weight)
    scale = gram.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-30)
    about_zero = moments.gram.diagonal(dim1=1, dim2=2).mean(1)
    scale = torch.maximum(scale, ROUNDING / strength * about_zero)
    change = _solved(gram, strength * scale, residual)
    return Fit(change, _intercept(y_mean, x_mean, weight + change))


def _solved(gram: Tensor, penalty: Tensor, right: Tensor) -> Tensor:
    """Solve (gram + penalty I) x = right in each group; more penalty where rounding left gram with a negative value."""
    while True:
        damped = gram.clone()
        damped.diagonal(dim1=1, dim2=2).add_(penalty[:, None])
        factor, failed = torch.linalg.cholesky_ex(damped)
        if not bool(failed.any()):
            return torch.cholesky_solve(right, factor)
        if not bool(torch.isfinite(damped).all()):
            raise BadConfig("a layer reads values that are not finite: the network cannot be repaired on these images")
        penalty = torch.where(failed > 0, 10 * penalty, penalty)


def ridge_dual(x: Tensor, y: Tensor, weight: Tensor, strength: float) -> Fit:
    """The same from the rows themselves, for fewer rows than features: a system of the size of the rows.

    `x` groups x rows x features, `y` groups x rows x outputs.
    """
    x, y = x.double().cpu(), y.double().cpu()
    x_mean, y_mean = x.mean(1), y.mean(1)
    centred = x - x_mean[:, None]
    residual = (y - y_mean[:, None]) - centred @ weight
    kernel = centred @ centred.transpose(1, 2)
    scale = kernel.diagonal(dim1=1, dim2=2).sum(1).clamp(min=1e-30) / x.shape[2]
    kernel.diagonal(dim1=1, dim2=2).add_((strength * scale)[:, None])
    change = centred.transpose(1, 2) @ torch.cholesky_solve(residual, torch.linalg.cholesky(kernel))
    return Fit(change, _intercept(y_mean, x_mean, weight + change))


def shift_only(x_mean: Tensor, y_mean: Tensor, weight: Tensor) -> Fit:
    """Leave the weights and match the means: what the removed channels added on average goes into the intercept."""
    return Fit(torch.zeros_like(weight), _intercept(y_mean, x_mean, weight))


def _intercept(y_mean: Tensor, x_mean: Tensor, weight: Tensor) -> Tensor:
    return y_mean - (x_mean[:, None] @ weight)[:, 0]
