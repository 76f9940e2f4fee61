"""The tiny networks are what they are said to be: small and reproducible. That they export, all laws need."""

import copy

import pytest
import torch
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from tests.support.tiny_models import CLASSES, OTHER, REFUSED, TINY, build, inputs, randomize_batchnorm

ALL = [*TINY, *OTHER, *REFUSED]


def run(model, x):
    with torch.no_grad():
        return model(x)


@pytest.mark.parametrize("name", ALL)
def test_it_is_small_and_gives_finite_logits_that_depend_on_image_and_seed(name):
    model, x = build(name), inputs(name)
    before = x.clone()
    logits = run(model, x)
    assert logits.shape == (4, 1 if name == "one_logit" else CLASSES)
    assert logits.dtype == torch.float64
    assert logits.isfinite().all()
    assert logits.std(dim=0).median() > 0.03  # a relu in front of the logits may silence one class
    assert torch.equal(x, before)
    assert sum(p.numel() for p in model.parameters()) < 20_000
    assert torch.equal(run(build(name), x), logits)
    assert not torch.allclose(run(build(name, seed=3), x), logits)


@pytest.mark.parametrize("name", [name for name in ALL if name != "data_dependent"])
def test_samples_do_not_mix(name):
    model, x = build(name), inputs(name)
    torch.testing.assert_close(torch.cat([run(model, x[:1]), run(model, x[1:])]), run(model, x))


def test_a_data_dependent_branch_cannot_be_exported():
    model, x = build("data_dependent"), inputs("data_dependent", batch=2)
    with pytest.raises(GuardOnDataDependentSymNode):
        torch.export.export(model, (x,), strict=False)


@pytest.mark.parametrize("name", TINY)
def test_it_trains(name):
    model = build(name).train()
    out = model(inputs(name))
    logits = out[0] if isinstance(out, tuple) else out
    logits.square().sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_randomising_is_reproducible_and_in_range():
    fresh = TINY["plain"]()
    one, two = copy.deepcopy(fresh), copy.deepcopy(fresh)
    for model in (one, two):
        randomize_batchnorm(model, torch.Generator().manual_seed(1))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    norm = one[1]
    assert 0.5 <= norm.running_var.min() < norm.running_var.max() <= 2
    assert 0.5 <= norm.weight.min() < norm.weight.max() <= 1.5
    assert norm.running_mean.abs().min() > 0
    assert norm.bias.abs().min() > 0
    assert torch.equal(one[0].weight, fresh[0].weight)


def test_what_is_shared_is_shared():
    tied, aliases = build("tied"), dict(build("tied").named_parameters(remove_duplicate=False))
    assert tied.a.weight is tied.b.weight
    assert {"a.weight", "b.weight"} <= set(aliases)
    assert "tilt" not in build("constants").state_dict()
    with torch.no_grad():
        assert len(build("auxiliary").train()(inputs("auxiliary"))) == 2
