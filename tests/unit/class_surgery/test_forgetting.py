"""Erasing removed classes from logits: what a linear probe finds, what others lose, where it cannot be done."""

import numpy as np
import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.class_surgery.erasure import ConceptMoments, erased
from model_lego.errors import ShapeMismatch
from tests.support.components import pixel_part
from tests.support.tiny_models import build, inputs


def clouds(count, *, seed):
    """Points of five clouds in ten dimensions, and which they are of."""
    generator = torch.Generator().manual_seed(seed)
    middles = 3 * torch.randn(5, 10, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    labels = torch.arange(count) % 5
    return middles[labels] + torch.randn(count, 10, generator=generator, dtype=torch.float64), labels


def test_each_concept_has_the_mean_of_all():
    x, labels = clouds(200, seed=0)
    concepts = torch.where(labels < 3, 0, labels - 2)  # the fourth and the fifth
    seen = ConceptMoments.empty(10, 2)
    for some in range(0, 200, 64):
        seen.add(x[some : some + 64], concepts[some : some + 64])
    weight, bias = torch.randn(3, 10, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    before = (x @ weight.T + bias)[concepts == 0].mean(0).numpy()
    weight, bias = erased(weight, bias, seen)
    y = (x @ weight.T + bias).numpy()
    means = [y[concepts.numpy() == number].mean(0) for number in range(3)]
    assert np.allclose(means[0], means[1])
    assert np.allclose(means[0], means[2])
    assert np.allclose(means[0], before)
    plain = np.linalg.lstsq(np.c_[y, np.ones(200)], (concepts > 0).double().numpy(), rcond=None)[0]
    assert np.allclose(plain[:3], 0, atol=1e-9)  # the best linear probe is a constant


def test_what_is_not_told_as_the_concept_keeps_its_outputs():
    (x, labels), (test, truth) = clouds(500, seed=0), clouds(500, seed=1)
    seen = ConceptMoments.empty(10, 1)
    seen.add(x, (labels == 4).long())
    weight, bias = torch.eye(10, dtype=torch.float64)[:4], torch.zeros(4, dtype=torch.float64)
    new, shift = erased(weight, bias, seen)
    change = (test @ new.T + shift - test @ weight.T).norm(dim=1)
    assert change[truth != 4].mean() < 0.2 * change[truth == 4].mean()


def test_a_concept_that_nothing_tells_changes_nothing():
    seen = ConceptMoments.empty(2, 1)
    seen.add(torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]]), torch.tensor([0, 1, 0, 1]))  # equal means
    weight, bias = torch.eye(2), torch.zeros(2)
    assert torch.allclose(erased(weight, bias, seen)[0], weight)


def flat():
    """A component of the five clouds: its logits are a linear map of the points, right nearly always."""
    part = pixel_part("abcde", 0, shape=(10, 1, 1))
    middles = 3 * torch.randn(5, 10, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    layer = nn.Linear(10, 5, dtype=torch.float64)
    layer.weight.data, layer.bias.data = middles, -middles.square().sum(1) / 2
    part.module = nn.Sequential(nn.Flatten(), layer)
    part.labels = tuple(range(5))
    return part


def test_the_logits_of_a_component_no_longer_tell_what_is_gone():
    (x, labels), (test, truth) = (
        (points[:, :, None, None], labels) for points, labels in (clouds(500, seed=0), clouds(500, seed=1))
    )
    part = flat().eval()
    made = {
        forget: ml.remove_classes(part, ["c"], [(x, labels)], repair="none", forget=forget) for forget in (True, False)
    }
    assert made[True].origin.settings["forgotten"] == {"layer": "1", "images": 100, "others": 400}
    assert "forgotten" not in made[False].origin.settings
    gap, right = {}, {}
    rest = torch.tensor([0, 1, 3, 4])
    for forget, small in made.items():
        with torch.no_grad():
            logits, seen = small(x), small(test)
        gap[forget] = float((seen[truth == 2].mean(0) - seen[truth != 2].mean(0)).norm())
        right[forget] = float((rest[seen.argmax(1)] == truth)[truth != 2].double().mean())
        if forget:
            assert torch.allclose(logits[labels == 2].mean(0), logits[labels != 2].mean(0))
    assert gap[True] < 0.1 * gap[False]
    assert right[True] > right[False] - 0.01


def test_without_images_of_what_is_gone_there_is_nothing_to_forget():
    x, labels = clouds(100, seed=0)
    x, mine = x[:, :, None, None], labels != 2
    small = ml.remove_classes(flat().eval(), [2], [(x[mine], labels[mine])], repair="none")
    assert "forgotten" not in small.origin.settings


def test_images_of_what_is_gone_have_the_shape_of_the_others():
    x, labels = clouds(100, seed=0)
    x, gone = x[:, :, None, None], labels == 2
    odd = (x[gone].reshape(-1, 5, 2, 1), labels[gone])  # as many numbers, so that the network would run on them
    with pytest.raises(ShapeMismatch, match=r"batch 1 have shape \(5, 2, 1\), but the network takes \(10, 1, 1\)"):
        ml.remove_classes(flat().eval(), [2], [(x[~gone], labels[~gone]), odd], repair="none")


@pytest.mark.filterwarnings("ignore:no sample of class")
def test_where_no_layer_gives_the_logits_it_says_so():
    network, x = build("log_softmax_head"), inputs("log_softmax_head", batch=20)
    small = ml.remove_classes(network, [0], [(x, torch.arange(20) % 5)], repair="none")
    assert "the logits are not what layer" in small.origin.settings["forgotten"]["why_not"]
