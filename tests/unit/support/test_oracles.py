"""The oracles against torch's own operators, closed forms and planted answers."""

import ast
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.support import oracles
from tests.support.tiny_models import build, inputs, planted

GEOMETRIES = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (1, 2), "padding": (2, 0), "dilation": 2},
    {"padding": 1, "groups": 2},
    {"padding": (0, 1), "stride": (2, 1), "dilation": (1, 2), "groups": 3},
    {"groups": 6, "padding": 2},
]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)


def randn(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def case(generator, geometry, kernel=(3, 2)):
    width = 6 // geometry.get("groups", 1)
    return randn(generator, 2, 6, 9, 8), randn(generator, 12, width, *kernel)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_contributions_sum_to_the_spatial_sum_of_the_output(generator, geometry):
    x, weight = case(generator, geometry)
    expected = F.conv2d(x, weight, **geometry).sum(dim=(2, 3))
    torch.testing.assert_close(oracles.contributions_conv(x, weight, **geometry).sum(dim=2), expected)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_both_ways_to_the_hidden_maps_agree(generator, geometry):
    x, weight = case(generator, geometry)
    maps = oracles.hidden_maps(x, weight, **geometry)
    torch.testing.assert_close(maps.sum(dim=2), F.conv2d(x, weight, **geometry))
    torch.testing.assert_close(maps.sum(dim=(3, 4)), oracles.contributions_conv(x, weight, **geometry))


def test_a_contribution_belongs_to_its_own_input_channel(generator):
    x, weight = case(generator, {"groups": 2})
    silent = x.clone()
    silent[:, 4] = 0  # the second channel of the second group
    before = oracles.contributions_conv(x, weight, groups=2)
    after = oracles.contributions_conv(silent, weight, groups=2)
    changed = (before != after).any(dim=0)
    expected = torch.zeros(12, 3, dtype=torch.bool)
    expected[6:, 1] = True
    assert torch.equal(changed, expected)


@pytest.mark.parametrize("middle", [(), (4,), (2, 3)])
def test_contributions_of_a_linear_layer(generator, middle):
    x, weight = randn(generator, 3, *middle, 5), randn(generator, 4, 5)
    s = oracles.contributions_linear(x, weight)
    assert s.shape == (3, 4, 5)
    summed = F.linear(x, weight).reshape(3, -1, 4).sum(dim=1)
    torch.testing.assert_close(s.sum(dim=2), summed)
    if not middle:
        as_conv = oracles.contributions_conv(x[..., None, None], weight[..., None, None])
        torch.testing.assert_close(s, as_conv)


def test_relu_is_taken_in_each_sample_before_the_mean():
    s = torch.tensor([[[3.0, -1.0]], [[-3.0, 2.0]]])
    assert oracles.mean_contribution(s).tolist() == [[1.5, 1.0]]


def test_aggregation_by_hand():
    s = torch.tensor([[0.0, 3.0, 10.0, 2.9], [1.0, 1.0, 2.0, 1.2]])
    assert oracles.hard_aggregation(s, 0.299).tolist() == [[False, True, True, False], [False, False, True, False]]


def test_the_edges_of_aggregation():
    assert oracles.hard_aggregation(torch.tensor([[2.0], [0.0]]), 0.3).tolist() == [[True], [True]]
    assert oracles.hard_aggregation(torch.full((1, 3), 5.0), 0.3).tolist() == [[True] * 3]
    assert oracles.hard_aggregation(torch.full((1, 3), 0.1).double() * torch.tensor([1, 1 + 1e-15, 1]), 0.3).all()
    assert oracles.hard_aggregation(torch.zeros(1, 3), 0.3).tolist() == [[True, False, False]]
    zero_row = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 4.0]])
    assert oracles.hard_aggregation(zero_row, 0.3).tolist() == [[False, False, True], [False, False, True]]


def test_eps_is_absolute():
    assert not oracles.hard_aggregation(torch.tensor([[0.0, 1e-6]]), 0.3).any()
    assert oracles.normalised(torch.tensor([0.0, 1e-5])).tolist() == pytest.approx([0.0, 0.5])


def test_allocation_counts_relevant_rows_only():
    chosen = torch.tensor([[1, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.bool)
    both = torch.tensor([True, True, False])
    assert oracles.hard_allocation(chosen, both, 0.49).tolist() == [True, False, True]
    assert oracles.hard_allocation(chosen, both, 0.5).tolist() == [True, False, False]
    assert oracles.hard_allocation(chosen, torch.tensor([False, False, True]), 0.5).tolist() == [False, True, False]
    assert oracles.hard_allocation(chosen, torch.tensor([True, False, True]), 0.5).tolist() == [True] * 3


def test_allocation_without_a_vote_asks_the_soft_sum():
    nothing, relevant = torch.zeros(2, 3, dtype=torch.bool), torch.ones(2, dtype=torch.bool)
    soft = torch.tensor([0.1, 0.3, 0.2])
    assert oracles.hard_allocation(nothing, relevant, 0.2, soft=soft).tolist() == [False, True, False]
    assert oracles.hard_allocation(nothing, relevant, 0.2).tolist() == [True, False, False]


@pytest.mark.parametrize("classes", [2, 4, 6])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_walk_gives_back_what_was_planted(classes, seed):
    model, images, labels, expected = planted(classes, seed=seed)
    for c in range(classes):
        kept = oracles.walk_plain(model, images[labels == c], c)
        assert {layer: kept[layer] for layer in expected} == {layer: answer[c] for layer, answer in expected.items()}
        assert list(kept) == ["fc2", "fc1", "conv2", "conv1"]


def test_the_planted_network_knows_its_classes_and_every_threshold_matters():
    model, images, labels, expected = planted(4)
    with torch.no_grad():
        assert torch.equal(model(images).argmax(dim=1), labels)
    zeros = {"alpha_conv": 0.05, "beta_conv": 0.6, "alpha_linear": 0.05, "beta_linear": 0.15}
    answer = {layer: per_class[0] for layer, per_class in expected.items()}
    for name, value in zeros.items():
        kept = oracles.walk_plain(model, images[labels == 0], 0, **{name: value})
        assert {layer: kept[layer] for layer in expected} != answer, name


def test_channels_that_were_not_planted_are_not_needed():
    model, images, labels, expected = planted(4)
    own, kept = images[labels == 2], {layer: answer[2] for layer, answer in expected.items()}
    with torch.no_grad():
        whole = model(own)
    assert torch.equal(oracles.masked_forward(model, own, kept).argmax(dim=1), whole.argmax(dim=1))
    others = {layer: answer[3] for layer, answer in expected.items()}
    assert not torch.equal(oracles.masked_forward(model, own, others).argmax(dim=1), whole.argmax(dim=1))


def test_the_walk_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="Sigmoid"):
        oracles.walk_plain(nn.Sequential(nn.Sigmoid(), nn.Linear(2, 2)).double().eval(), torch.zeros(1, 2), 0)
    with pytest.raises(ValueError, match="eval mode"):
        oracles.walk_plain(nn.Sequential(nn.Linear(2, 2)).double().train(), torch.zeros(1, 2), 0)


def test_masked_forward_equals_zeroed_weights_and_leaves_no_hook():
    model, x = build("plain"), inputs("plain")
    kept = {"4": [0, 3, 5], "9": list(range(0, 108, 2)), "11": [1, 2, 9]}
    masked = oracles.masked_forward(model, x, kept)
    assert all(not module._forward_pre_hooks for module in model.modules())
    with torch.no_grad():
        whole = model(x)
        for name, channels in kept.items():
            weight = model.get_submodule(name).weight
            dropped = [i for i in range(weight.shape[1]) if i not in channels]
            weight[:, dropped] = 0
        torch.testing.assert_close(masked, model(x))
    assert (masked - whole).abs().max() > 1e-3


def test_hooks_go_when_the_forward_fails():
    model = build("plain")
    with pytest.raises(RuntimeError):
        oracles.masked_forward(model, torch.zeros(1, 4, 12, 12, dtype=torch.float64), {"0": [1]})
    assert all(not module._forward_pre_hooks for module in model.modules())


def test_linear_layers_are_masked_on_the_last_dimension(generator):
    layer, x = nn.Sequential(nn.Linear(3, 2)).double(), randn(generator, 2, 4, 3)
    expected = x[..., [1]] @ layer[0].weight[:, [1]].T + layer[0].bias
    torch.testing.assert_close(oracles.masked_forward(layer, x, {"0": [1]}), expected.detach())


@pytest.mark.parametrize("rows", [40, 5])
@pytest.mark.parametrize("lam", [1e-3, 1.0])
def test_ridge_refit_has_no_gradient_at_its_minimum(generator, rows, lam):
    x, y = randn(generator, rows, 6) + 3, randn(generator, rows, 2)
    start = randn(generator, 2, 6)
    weight, intercept = (t.requires_grad_() for t in oracles.ridge_refit(x, y, start, lam))
    penalty = lam * (x - x.mean(dim=0)).square().sum(dim=0).mean()
    loss = (y - x @ weight.T - intercept).square().sum() + penalty * (weight - start).square().sum()
    for gradient in torch.autograd.grad(loss, (weight, intercept)):
        assert gradient.abs().max() < 1e-8


def test_ridge_refit_finds_an_exact_solution_and_keeps_to_the_start(generator):
    x, start = randn(generator, 50, 4), randn(generator, 3, 4)
    weight, intercept = oracles.ridge_refit(x, x @ start.T + 2, start, 10.0)
    torch.testing.assert_close(weight, start)
    torch.testing.assert_close(intercept, torch.full((3,), 2.0, dtype=torch.float64))
    far, _ = oracles.ridge_refit(x, randn(generator, 50, 3), start, 1e9)
    torch.testing.assert_close(far, start, atol=1e-6, rtol=0)


@pytest.mark.parametrize("geometry", [g for g in GEOMETRIES if "groups" not in g])
def test_patches_times_kernels_are_the_convolution(generator, geometry):
    x, weight = case(generator, geometry)
    y = F.conv2d(x, weight, **geometry)
    patches = oracles.conv_patches(x, (3, 2), **geometry)
    torch.testing.assert_close((patches @ weight.flatten(1).T).transpose(1, 2), y.flatten(2))
    assert oracles.output_size((9, 8), (3, 2), **{"stride": 1, "padding": 0, "dilation": 1, **geometry}) == [
        *y.shape[2:]
    ]


def test_batchnorm_eval(generator):
    x = randn(generator, 2, 5, 3, 3)
    mean, weight, bias = (randn(generator, 5) for _ in range(3))
    var = randn(generator, 5).square()
    expected = F.batch_norm(x, mean, var, weight, bias, eps=1e-3)
    torch.testing.assert_close(
        oracles.batchnorm_eval(x, mean=mean, var=var, weight=weight, bias=bias, eps=1e-3), expected
    )


def test_multiply_adds_by_hand():
    assert oracles.macs_conv((8, 3, 3, 3), (12, 12)) == 8 * 27 * 144
    assert oracles.macs_conv(nn.Conv2d(8, 8, 3, groups=8).weight.shape, (4, 5)) == 8 * 9 * 20
    assert oracles.macs_linear((5, 16), rows=3) == 240


def test_the_test_material_imports_nothing_of_ours():
    tests = Path(oracles.__file__).parent
    for path in [tests / "oracles.py", tests / "tiny_models.py", *tests.glob("tiny/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            modules = [*names, getattr(node, "module", None) or ""]
            assert not any(name.split(".")[0] == "model_lego" for name in modules), path.name
