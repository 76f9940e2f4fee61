"""Which lambda a layer is fitted with: errors of both halves against least squares, and where there is no choice."""

import pytest
import torch
from torch import Tensor, nn

from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.graph.program import export_program
from model_lego.repairing.blending import blended
from model_lego.repairing.layerwise import RepairSettings, repair_model
from model_lego.repairing.least_squares import Moments
from model_lego.repairing.rows import fit_few, fit_many
from model_lego.repairing.strengths import STRENGTHS, UNTRIED, strength_by_moments, strength_by_rows
from tests.support.oracles import ridge_refit
from tests.support.plans import half_plan


def made(rows: int, features: int, noise: float, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs that resemble each other, what a random layer gives for them with noise, and a weight to go out from."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(features, features, generator=generator, dtype=torch.float64)
    x = torch.randn(rows, features, generator=generator, dtype=torch.float64) @ mixed + 1
    true = torch.randn(features, 3, generator=generator, dtype=torch.float64)
    y = x @ true + noise * torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    return x, y, true + 0.3 * torch.randn(features, 3, generator=generator, dtype=torch.float64)


def moments(x: Tensor, y: Tensor) -> Moments:
    sums = Moments(1, x.shape[1], y.shape[1])
    sums.add(x[None], y[None])
    return sums


def missed(halves: list[tuple[Tensor, Tensor]], start: Tensor, strength: float) -> float:
    """Squared error of the halves, each by the least-squares fit to the other."""
    total = 0.0
    for (x, y), (x_other, y_other) in (halves, halves[::-1]):
        weight, bias = ridge_refit(x, y, start.T, strength)
        total += float((y_other - x_other @ weight.T - bias).square().sum())
    return total


@pytest.mark.parametrize(("rows", "noise"), [(16, 0.1), (40, 3.0), (60, 30.0), (400, 0.1)])
def test_the_lambda_is_the_one_with_which_each_half_tells_the_other(rows, noise):
    x, y, start = made(rows, 12, noise)
    halves = [(x[: rows // 2], y[: rows // 2]), (x[rows // 2 :], y[rows // 2 :])]
    errors = [missed(halves, start, strength) for strength in STRENGTHS]
    expected = STRENGTHS[errors.index(min(errors))]
    assert strength_by_moments(tuple(moments(*half) for half in halves), start[None]) == expected
    assert strength_by_rows(tuple((x[None], y[None]) for x, y in halves), start[None]) == expected


def test_noise_wants_more_than_rows_to_spare():
    found = []
    for rows, noise in ((400, 0.01), (20, 100.0)):
        x, y, start = made(rows, 8, noise)
        halves = moments(x[::2], y[::2]), moments(x[1::2], y[1::2])
        found.append(strength_by_moments(halves, start[None]))
    assert found == [STRENGTHS[0], STRENGTHS[-1]]


def test_where_no_lambda_changes_anything_the_first_one_that_is_tried_is_taken():
    x, _, start = made(50, 6, 0.0)
    exact = x @ start
    assert strength_by_moments((moments(x[:25], exact[:25]), moments(x[25:], exact[25:])), start[None]) == 0.1


@pytest.mark.parametrize("fit", [fit_few, fit_many])
def test_one_image_chooses_nothing(fit):
    x, y, start = made(30, 6, 1.0)
    chosen = fit([(x[None], y[None], 30)], start[None], None, None)
    weight, bias = ridge_refit(x, y, start.T, UNTRIED)
    assert torch.allclose(start + chosen.change[0], weight.T, rtol=1e-8)
    assert torch.allclose(chosen.intercept[0], bias, rtol=1e-8)


@pytest.mark.parametrize("fit", [fit_few, fit_many])
def test_all_rows_fit_what_their_halves_have_chosen(fit):
    x, y, start = made(60, 12, 3.0)
    found = fit([(x[None, :40], y[None, :40], 10), (x[None, 40:], y[None, 40:], 15)], start[None], None, None)
    first, second = [*range(10), *range(40, 55)], [*range(10, 40), *range(55, 60)]
    halves = [(x[first], y[first]), (x[second], y[second])]
    errors = [missed(halves, start, strength) for strength in STRENGTHS]
    weight, bias = ridge_refit(x, y, start.T, STRENGTHS[errors.index(min(errors))])
    assert torch.allclose(start + found.change[0], weight.T, rtol=1e-8)
    assert torch.allclose(found.intercept[0], bias, rtol=1e-8)


def test_a_repair_halves_images_and_not_rows():
    """Chunks of 3 of 11 images, 4 positions each: what is refitted is what the images of each half say.

    All positions of an image are alike: halves that shared images would know each other, and choose the least lambda.
    """
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.AvgPool2d(2), nn.Flatten())
    model = model.double().eval()
    colours = torch.randn(11, 3, 1, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    images = colours.expand(-1, -1, 2, 2).contiguous()
    graph = trace(model, images[:2])
    cut = slice_model(model, graph, plan := half_plan(graph, seed=0, logits=range(4))).module
    start, program = cut[2].weight.detach().flatten(1).clone(), export_program(cut, images)
    repair_model(Cut(cut, program, model, graph, plan), images, settings=RepairSettings(chunk=3, seed=5, blend=False))
    with torch.no_grad():
        read, wanted = (net(images).movedim(1, -1) for net in (cut[:2], model[:3]))
    first = blended(images, 5, blends=False).first
    halves = [(read[part].flatten(0, 2), wanted[part].flatten(0, 2)) for part in (first, ~first)]
    errors = [missed(halves, start.T, strength) for strength in STRENGTHS]
    assert min(errors) < errors[0]
    weight, _ = ridge_refit(read.flatten(0, 2), wanted.flatten(0, 2), start, STRENGTHS[errors.index(min(errors))])
    assert torch.allclose(cut[2].weight.flatten(1), weight, rtol=1e-6, atol=1e-9)
