"""What layers read and how much the logits depend on them, against plain autograd; what is taken first, by lstsq."""

import copy

import numpy as np
import pytest
import torch

from model_lego.budgets.reconstruction import gains_of, reconstruction
from model_lego.budgets.sensitivity import contrasts, sense
from model_lego.cutting.tracing import trace
from tests.support.plans import traced
from tests.support.tiny_models import TINY, build, inputs


def heard(model, images, path):
    """Input, output and the module's forward, of one module of a network."""
    found = {}

    def hook(module, arguments, y):
        found["x"], found["y"] = arguments[0].clone(), y
        return y.clone()

    handle = model.get_submodule(path).register_forward_hook(hook)
    logits = model(images)
    handle.remove()
    return found["x"], found["y"], logits


@pytest.mark.parametrize("path", ["0", "4", "11"])
def test_moments_and_sensitivities_are_those_of_autograd(path):
    model, graph = traced("plain")
    images = inputs("plain", batch=6)
    found = sense(model, graph, images, classes=[3, 1], seed=5)[path]
    x, y, logits = heard(build("plain"), images, path)
    (slope,) = torch.autograd.grad(((logits[:, 3] - logits[:, 1]) / 2**0.5).sum(), [y])
    expected = [sum(float(value) ** 2 for value in slope[:, o].flatten()) / 6 for o in range(slope.shape[1])]
    assert found.sensitivity.tolist() == pytest.approx(expected)
    count = len(found.channels)
    rows = x.detach().reshape(6, count, -1).transpose(1, 2).reshape(-1, count).numpy()
    assert np.allclose(found.covariance, np.cov(rows.T, bias=True), atol=1e-9)
    assert np.allclose(found.energy, (rows**2).mean(0))


@pytest.mark.parametrize("name", ["plain", "concat", "residual_pad", "grouped", "view_flatten"])
def test_channels_innermost_are_sensed_alike(name):
    model, graph = traced(name)  # in float64, channels lie where the images have them
    images = inputs(name, batch=6)
    expected = sense(model, graph, images, classes=[3, 1], seed=5)
    single = copy.deepcopy(model).float()
    found = sense(single, trace(single, images[:2].float()), images.float(), classes=[3, 1], seed=5)
    for layer, seen in expected.items():
        for field in ("covariance", "energy", "sensitivity", "change"):
            wanted = getattr(seen, field)
            assert torch.allclose(
                getattr(found[layer], field), wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max())
            )


def test_change_is_the_first_order_change_of_the_logits_without_the_channel():
    model, graph = traced("plain")
    images = inputs("plain", batch=6)
    found = sense(model, graph, images, classes=[3, 1])["4"]
    network = build("plain")
    inner = {}
    handle = network[4].register_forward_pre_hook(lambda module, given: inner.setdefault("x", given[0].clone()))
    handle.remove()

    def entered(module, given):
        inner["x"] = given[0].clone().requires_grad_()
        return (inner["x"],)

    handle = network[4].register_forward_pre_hook(entered)
    logits = network(images)
    handle.remove()
    (slope,) = torch.autograd.grad(((logits[:, 3] - logits[:, 1]) / 2**0.5).sum(), [inner["x"]])
    each = (slope * inner["x"]).flatten(2).sum(2).detach()
    assert found.change.tolist() == pytest.approx(each.square().mean(0).tolist())


@pytest.mark.parametrize("count", [2, 3, 7])
def test_contrasts_are_orthonormal_and_blind_to_what_all_logits_share(count):
    rows = contrasts(count)
    assert rows.shape == (count - 1, count)
    assert torch.allclose(rows @ rows.T, torch.eye(count - 1, dtype=torch.float64))
    assert rows.sum(1).abs().max() < 1e-12


def left_over(x, y, chosen):
    """Mean squared error of the best linear map from some columns of x, with intercept."""
    columns = np.concatenate([np.ones((len(x), 1)), x[:, chosen]], 1)
    return float(((y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2).sum() / len(x))


def test_gains_are_what_least_squares_leaves_less_each_time_the_best_is_taken():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 6)) @ generator.normal(size=(6, 6))
    weight = generator.normal(size=(3, 6))
    y = x @ weight.T
    gains = gains_of(torch.from_numpy(np.cov(x.T, bias=True)), torch.from_numpy(weight.T @ weight))
    order = gains.argsort(descending=True).tolist()
    chosen, error, picked = [], left_over(x, y, []), []
    while len(chosen) < 6 and error > 1e-9:
        after = {j: left_over(x, y, [*chosen, j]) for j in range(6) if j not in chosen}
        best = min(after, key=after.get)
        picked.append((best, error - after[best]))
        chosen.append(best)
        error = after[best]
    for best, gain in picked:
        assert float(gains[best]) == pytest.approx(gain, rel=1e-4, abs=1e-5)
    assert int((gains > 0).sum()) == len(picked)
    assert order[0] == picked[0][0] or gains[picked[0][0]] > 0


def test_a_channel_that_another_repeats_is_worth_nothing():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.cat([x, x[:, :1]], 1)
    gains = gains_of(torch.cov(x.T), torch.eye(4, dtype=torch.float64))
    assert sorted((gains > 0).tolist()) == [False, True, True, True]
    assert gains[1] > 0
    assert gains[2] > 0


def test_channels_that_are_taken_together_may_repeat_each_other_up_to_rounding():
    """As of a wide layer on a handful of images, in single precision."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 300, generator=generator)
    x = torch.cat([x, 1.7 * x], 1) - torch.cat([x, 1.7 * x], 1).mean(0)
    noise = torch.randn(600, 600, generator=generator)
    covariance = (x.T @ x / 5).double()
    covariance += 1e-7 * float(covariance.max()) * (noise + noise.T).double() / 2
    gains = gains_of(covariance, torch.eye(600, dtype=torch.float64))
    assert bool(torch.isfinite(gains).all())
    assert 4 <= int((gains > 0).sum()) < 20


@pytest.mark.parametrize("name", TINY)
def test_every_network_is_scored_and_left_as_it_is(name):
    model, graph = traced(name)
    images = inputs(name, batch=7)
    before = images.clone()
    scores = reconstruction(model, graph, sense(model, graph, images, classes=[0, 2]))
    assert bool(torch.isfinite(scores).all())
    assert bool((scores >= 0).all())
    assert float(scores[graph.cuttable].max()) > 0
    assert torch.equal(images, before)
    assert not images.requires_grad


def test_the_first_channel_is_the_one_that_explains_most_of_what_the_logits_notice():
    model, graph = traced("plain")
    found = sense(model, graph, inputs("plain", batch=8), classes=[3, 1])
    scores = reconstruction(model, graph, found)
    layer, channels = graph.layer("11"), found["11"].channels
    assert found["11"].sensitivity.tolist() == pytest.approx([0, 0.5, 0, 0.5, 0])  # of (logit 3 - logit 1) / sqrt 2
    weight, c = model[11].weight.detach().reshape(5, len(channels), -1).numpy(), found["11"].covariance.numpy()
    square = sum(0.5 * np.outer(weight[o, :, p], weight[o, :, p]) for o in (1, 3) for p in range(weight.shape[2]))
    explained = np.diag(c @ square @ c) / np.maximum(np.diag(c), 1e-30)  # a map may be dead
    assert layer.outputs.tolist() == graph.head.tolist()
    assert int(scores[channels].argmax()) == int(explained.argmax())
    assert float(scores[channels].max()) == pytest.approx(float(explained.max()))


def test_a_channel_of_dead_weights_is_worth_nothing():
    model = build("plain")
    with torch.no_grad():
        model[4].weight[:, 2] = 0
    graph = trace(model, inputs("plain", batch=2))
    scores = reconstruction(model, graph, sense(model, graph, inputs("plain", batch=8), classes=[0, 2, 4]))
    assert float(scores[graph.layer("4").inputs[2]]) == 0
    assert float(scores[graph.layer("4").inputs].max()) > 0
