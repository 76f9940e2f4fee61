"""What layers read and how much the logits depend on them, against plain autograd; what is taken first, by lstsq."""

import copy

import numpy as np
import pytest
import torch

from model_lego.budgets import sensitivity
from model_lego.budgets.reconstruction import believed, gains_of, reconstruction
from model_lego.budgets.sensitivity import Band, Sense, _Sums, chance, contrasts, sense
from model_lego.cutting.tracing import trace
from tests.support.plans import traced
from tests.support.tiny_models import TINY, build, inputs


def heard(model, images, path):
    """Input of one module of a network, from which derivatives can be taken, and the logits."""
    found = {}

    def hook(module, arguments):
        found["x"] = arguments[0].clone().requires_grad_()
        return (found["x"],)

    handle = model.get_submodule(path).register_forward_pre_hook(hook)
    logits = model(images)
    handle.remove()
    return found["x"], logits


def covariance(found: Sense) -> torch.Tensor:
    """Of all that a layer reads, between images and within them."""
    return sum(band.covariance for band in found.bands)


@pytest.mark.parametrize("path", ["0", "4", "11"])
def test_moments_and_sensitivities_are_those_of_autograd(path):
    model, graph = traced("plain")
    images = inputs("plain", batch=6)
    found = sense(model, graph, images, classes=[3, 1], seed=5)[path]
    x, logits = heard(build("plain"), images, path)
    (slope,) = torch.autograd.grad(((logits[:, 3] - logits[:, 1]) / 2**0.5).sum(), [x])
    count = len(found.channels)
    slope, values = slope.reshape(6, count, -1), x.detach().reshape(6, count, -1)
    rows = values.transpose(1, 2).reshape(-1, count).numpy()
    assert np.allclose(found.energy, (rows**2).mean(0))
    # whatever errors a map of the channels leaves: their first-order change of the logits, alike over an image or not
    between, *within = found.bands
    summed, means, rest = slope.sum(2), values.mean(2), slope - slope.mean(2, keepdim=True)
    assert torch.allclose(between.slopes, summed.T @ summed / 6, rtol=1e-4, atol=1e-6 * float(between.slopes.max()))
    parted = (values - means[..., None]).transpose(1, 2).reshape(-1, count).numpy()
    assert np.allclose(between.covariance, np.cov(means.T.numpy(), bias=True), rtol=1e-4, atol=1e-6)
    assert len(within) == (slope.shape[2] > 1)
    for band in within:
        assert torch.allclose(band.slopes, sum(one @ one.T for one in rest) / 6, rtol=1e-4, atol=1e-6)
        assert np.allclose(band.covariance, parted.T @ parted / len(parted), rtol=1e-4, atol=1e-6)
    assert np.allclose(covariance(found), np.cov(rows.T, bias=True), atol=1e-6)


def test_a_layer_that_reads_one_position_has_one_band():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 2)).double()
    images = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (band,) = sense(model, trace(model, images[:2]), images, classes=[0, 1])["0"].bands
    assert torch.allclose(band.covariance, torch.cov(images.T, correction=0))


@pytest.mark.parametrize("name", ["plain", "concat", "residual_pad", "grouped", "view_flatten"])
def test_channels_innermost_are_sensed_alike(name):
    model, graph = traced(name)  # in float64, channels lie where the images have them
    images = inputs(name, batch=6)
    expected = sense(model, graph, images, classes=[3, 1], seed=5)
    single = copy.deepcopy(model).float()
    found = sense(single, trace(single, images[:2].float()), images.float(), classes=[3, 1], seed=5)
    for layer, seen in expected.items():
        pairs = [(getattr(found[layer], field), getattr(seen, field)) for field in ("energy", "change")]
        for mine, theirs in zip(found[layer].bands, seen.bands, strict=True):
            pairs += [(getattr(mine, field), getattr(theirs, field)) for field in ("covariance", "slopes")]
        for given, wanted in pairs:
            assert torch.allclose(given, wanted, rtol=1e-3, atol=2e-3 * float(wanted.abs().max()))


def test_change_is_the_first_order_change_of_the_logits_without_the_channel():
    model, graph = traced("plain")
    images = inputs("plain", batch=6)
    found = sense(model, graph, images, classes=[3, 1])["4"]
    x, logits = heard(build("plain"), images, "4")
    (slope,) = torch.autograd.grad(((logits[:, 3] - logits[:, 1]) / 2**0.5).sum(), [x])
    each = (slope * x).flatten(2).sum(2).detach()
    assert found.change.tolist() == pytest.approx(each.square().mean(0).tolist())


def test_errors_that_push_the_logits_the_same_way_add_up():
    """Two outputs of a layer that the next one adds: their slopes are one, not two that have nothing in common."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 2)).double()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
    images = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slopes = sense(model, trace(model, images[:2]), images, classes=[0, 1])["0"].bands[0].slopes
    along = 2**0.5 * model[0].weight.detach().sum(0)
    assert torch.allclose(slopes, along[:, None] * along)


def test_a_small_memory_is_a_small_portion_of_a_batch(monkeypatch):
    model, graph = traced("plain")
    images, portions = inputs("plain", batch=12), []
    run = _Sums.add
    monkeypatch.setattr(_Sums, "add", lambda sums, x, images: portions.append(len(x)) or run(sums, x, images))
    whole = sense(model, graph, images, classes=[0, 2])
    assert set(portions) == {12}
    portions.clear()
    small = sense(model, graph, images, classes=[0, 2], memory=100_000)
    assert max(portions) < 12
    for name, seen in whole.items():
        for mine, theirs in zip(small[name].bands, seen.bands, strict=True):
            assert torch.allclose(mine.slopes, theirs.slopes, rtol=1e-4, atol=1e-6 * float(theirs.slopes.abs().max()))


def test_of_large_maps_a_sample_of_positions_stands_for_all(monkeypatch):
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    images = torch.randn(4, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    graph = trace(model, images[:2])
    whole = sense(model, graph, images, classes=[0, 1])["0"]
    rows = []
    add = _Sums.add
    monkeypatch.setattr(sensitivity, "LEAST", 2000)
    monkeypatch.setattr(_Sums, "add", lambda sums, *given: (add(sums, *given), rows.append(sums.rows))[0])
    some = sense(model, graph, images, classes=[0, 1])["0"]
    assert rows[-1] == 2000
    assert torch.allclose(covariance(some), covariance(whole), atol=0.1)
    for mine, theirs in zip(
        some.bands, whole.bands, strict=True
    ):  # slopes are the same at all positions: none is missed
        assert torch.allclose(mine.slopes, theirs.slopes, rtol=1e-4, atol=1e-5)
    assert torch.allclose(some.change, whole.change, rtol=1e-4)


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
    gains = gains_of([Band(torch.from_numpy(np.cov(x.T, bias=True)), torch.from_numpy(weight.T @ weight))])
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


def test_gains_of_two_bands_are_what_one_map_leaves_in_both_less_each_time():
    generator = np.random.default_rng(0)
    parts = [generator.normal(size=(300, 5)) @ generator.normal(size=(5, 5)) for _ in range(2)]
    parts = [part - part.mean(0) for part in parts]
    noticed = [generator.normal(size=(5, 5)) for _ in range(2)]
    bands = [
        Band(torch.from_numpy(part.T @ part / 300), torch.from_numpy(weight.T @ weight))
        for part, weight in zip(parts, noticed, strict=True)
    ]

    def left(chosen):
        x = np.concatenate(parts)
        solved = np.linalg.lstsq(x[:, chosen], x, rcond=None)[0] if chosen else np.zeros((0, 5))
        errors = [part - part[:, chosen] @ solved for part in parts]
        return sum(float(((e @ w.T) ** 2).sum() / 300) for e, w in zip(errors, noticed, strict=True))

    gains, chosen = gains_of(bands), []
    while len(chosen) < 5:
        after = {channel: left([*chosen, channel]) for channel in range(5) if channel not in chosen}
        best = min(after, key=after.get)
        assert float(gains[best]) == pytest.approx(left(chosen) - after[best], rel=1e-6)
        chosen.append(best)
    assert float(gains.sum()) == pytest.approx(left([]))


def test_a_channel_that_another_repeats_is_worth_nothing():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.cat([x, x[:, :1]], 1)
    gains = gains_of([Band(torch.cov(x.T), torch.eye(4, dtype=torch.float64))])
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
    gains = gains_of([Band(covariance, torch.eye(600, dtype=torch.float64))])
    assert bool(torch.isfinite(gains).all())
    assert 4 <= int((gains > 0).sum()) < 20


@pytest.mark.parametrize("name", TINY)
def test_every_network_is_scored_and_left_as_it_is(name):
    model, graph = traced(name)
    images = inputs(name, batch=7)
    before = images.clone()
    scores = reconstruction(graph, sense(model, graph, images, classes=[0, 2]))
    assert bool(torch.isfinite(scores).all())
    assert bool((scores >= 0).all())
    assert float(scores[graph.cuttable].max()) > 0
    assert torch.equal(images, before)
    assert not images.requires_grad


def test_the_first_channel_is_the_one_that_explains_most_of_what_the_logits_notice():
    model, graph = traced("plain")
    found = sense(model, graph, inputs("plain", batch=8), classes=[3, 1])
    scores = reconstruction(graph, found)
    layer, channels = graph.layer("11"), found["11"].channels
    weight = model[11].weight.detach().reshape(5, len(channels), -1).numpy()
    along = (weight[3] - weight[1]) / 2**0.5  # of (logit 3 - logit 1) / sqrt 2
    square = along @ along.T
    (band,) = found["11"].bands  # each channel stands at one position
    c = believed(band.covariance, band.chance).numpy()
    assert np.allclose(band.slopes, square)
    explained = np.diag(c @ square @ c) / np.maximum(np.diag(c), 1e-30)  # a map may be dead
    assert layer.outputs.tolist() == graph.head.tolist()
    assert int(scores[channels].argmax()) == int(explained.argmax())
    assert float(scores[channels].max()) == pytest.approx(float(explained.max()))


def test_a_channel_of_dead_weights_is_worth_nothing():
    model = build("plain")
    with torch.no_grad():
        model[4].weight[:, 2] = 0
    graph = trace(model, inputs("plain", batch=2))
    scores = reconstruction(graph, sense(model, graph, inputs("plain", batch=8), classes=[0, 2, 4]))
    assert float(scores[graph.layer("4").inputs[2]]) == 0
    assert float(scores[graph.layer("4").inputs].max()) > 0


def test_chance_is_the_share_of_correlations_that_the_sample_made():
    channels, rows = 12, 400
    place = torch.arange(channels)
    true = 0.6 ** (place[:, None] - place).abs().double()
    generator, found, expected = torch.Generator().manual_seed(0), [], []
    for _ in range(200):
        x = torch.randn(rows, channels, generator=generator, dtype=torch.float64) @ torch.linalg.cholesky(true).T
        found.append(chance(x[: rows // 2].T.cov(correction=0), x[rows // 2 :].T.cov(correction=0)))
        seen, off = x.T.cov(), place[:, None] != place
        expected.append(float((seen - true)[off].square().sum() / seen[off].square().sum()))
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.25)


def test_chance_is_none_in_what_is_seen_twice_and_all_in_what_is_seen_once():
    same = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    other = torch.tensor([[2.0, -1.0], [-1.0, 3.0]], dtype=torch.float64)
    assert chance(same, same) == 0.0
    assert chance(same, other) == chance(same, same.diag().diag()) == 1.0


def test_few_images_let_less_be_rebuilt_from_other_channels():
    model, graph = traced("plain")
    images, classes = inputs("plain", batch=64), [0, 1]
    few, many = (sense(model, graph, images[:count], classes=classes)["4"] for count in (2, 64))
    for mine, theirs in zip(few.bands, many.bands, strict=True):
        assert mine.chance > 2 * theirs.chance > 0
    same, apart = torch.ones(2, 2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    assert torch.equal(believed(same, 0.0), same)
    assert torch.equal(believed(same, 1.0), apart)
    assert float(gains_of([Band(believed(same, 0.1), apart)]).min()) > 0.1
