"""Scaling the parts of an assembly: the published factors of the logits, and equation (9), each against an oracle."""

import copy

import pytest
import torch
from torch import Tensor, nn

from model_lego.assembly.assembling import assemble
from model_lego.errors import IncompatibleComponents
from model_lego.parts.component import Component
from tests.support.components import batch, pair, pixel_part, random_batch, shared, tiny_part
from tests.support.tiny_models import inputs

# ----------------------------------------------------------------------------------------------------- logit scaling


def mean_winning_logit(logits: list[list[float]], columns: list[int], column: int, own: range) -> float | None:
    """Of the samples of a class that its own part gets right."""
    winning = [
        row[column]
        for row, wanted in zip(logits, columns, strict=True)
        if wanted == column and row[column] == max(row[other] for other in own)
    ]
    return sum(winning) / len(winning) if winning else None


def test_logit_scaling_is_the_published_formula():
    images, labels = random_batch(200, seed=1, signal=2.0)
    rows = images.flatten(1).tolist()
    joint = assemble(pair(), scaling="logit", head="concat", calibration=[(images, labels)])
    means = [mean_winning_logit(rows, labels.tolist(), c, range(2) if c < 2 else range(2, 4)) for c in range(4)]
    expected = [[value / mean for value, mean in zip(row, means, strict=True)] for row in rows]
    assert torch.allclose(joint(images), torch.tensor(expected, dtype=torch.float64), rtol=1e-6)
    assert torch.equal(joint.joined(images), images.flatten(1))  # law 4 is about what stands before the factors
    factors = [1 / mean for mean in means]
    assert joint.settings["factors"]["least"] == pytest.approx(min(factors))
    assert joint.settings["factors"]["most"] == pytest.approx(max(factors))
    assert joint.settings["factors"]["guarded"] == []
    assert (joint.head.kind, joint.settings["scaling"]) == ("logit", "logit")


#: a: right with 4; b: never right, or with a mean that is not positive; c, d: right with 2 and 5.
UNUSUAL = {
    "no correct sample": [[4, 1, 0, 0], [4, 1, 0, 0], [0, 0, 2, 1], [0, 0, 1, 5]],
    "mean not positive": [[4, 1, 0, 0], [-4, -2, 0, 0], [0, 0, 2, 1], [0, 0, 1, 5]],
    "mean of zero": [[4, 1, 0, 0], [-4, 0, 0, 0], [0, 0, 2, 1], [0, 0, 1, 5]],
}


@pytest.mark.parametrize("rows", UNUSUAL.values(), ids=UNUSUAL)
def test_a_class_that_cannot_be_scaled_takes_the_factor_of_its_part(rows):
    joint = assemble(pair(), scaling="logit", head="concat", calibration=[batch(rows, [0, 1, 2, 3])])
    expected = torch.tensor([1 / 4, 1 / 4, 1 / 2, 1 / 5], dtype=torch.float64)
    assert torch.allclose(joint.head.weight.double(), expected, rtol=1e-6)


@pytest.mark.parametrize("rows", UNUSUAL.values(), ids=UNUSUAL)
def test_a_class_that_cannot_be_scaled_is_noted(rows):
    joint = assemble(pair(), scaling="logit", head="concat", calibration=[batch(rows, [0, 1, 2, 3])])
    assert joint.settings["factors"]["guarded"] == [1]


def test_a_part_that_cannot_be_scaled_at_all_stays_as_it_is():
    rows = [[-4, -5, 0, 0], [-4, -2, 0, 0], [0, 0, 2, 1], [0, 0, 1, 5]]
    joint = assemble(pair(), scaling="logit", head="concat", calibration=[batch(rows, [0, 1, 2, 3])])
    assert torch.allclose(joint.head.weight.double(), torch.tensor([1, 1, 1 / 2, 1 / 5], dtype=torch.float64))


def test_each_logit_of_a_shared_class_has_its_own_factor():
    rows = [[4, 1, 0, 0], [1, 5, 1, 8], [0, 0, 2, 1]]  # a, b (5 in one part, 8 in the other), c
    joint = assemble(shared(), scaling="logit", head="concat", on_clash="average", calibration=[batch(rows, [0, 1, 2])])
    assert joint(batch([[0, 5, 0, 8]], [0])[0])[0, 1].item() == pytest.approx(1)  # (5 / 5 + 8 / 8) / 2


# ----------------------------------------------------------------------------------------------------- layer scaling


def bright(name: str, *, batch: int = 6) -> Tensor:
    return inputs(name, batch=batch, seed=4).abs()


def positive(name: str, *, seed: int, share: float) -> Component:
    """A part all of whose maps have a positive sum."""
    made = tiny_part(name, seed=seed, share=share, names=[f"{seed} a", f"{seed} b"])
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.abs_()
    return made


def maps(module: nn.Module, images: Tensor, paths: list[str]) -> dict[str, Tensor]:
    """Equation (9)'s e of each filter: sums over pixels of what a layer gives, averaged over the images."""
    found: dict[str, Tensor] = {}

    def listen(path: str):
        return lambda _, __, out: found.update({path: out.detach().clone().reshape(*out.shape[:2], -1).sum(2).mean(0)})

    twin = copy.deepcopy(module)
    for path in paths:
        twin.get_submodule(path).register_forward_hook(listen(path))
    with torch.no_grad():
        twin(images)
    return found


def layer_scaled(parts: list[Component], images: Tensor, layout: str = "parallel"):
    count = sum(len(one.classes) for one in parts)
    labels = torch.arange(len(images)) % count
    return assemble(parts, layout=layout, scaling="layer", head="concat", calibration=[(images, labels)])


#: The layers whose tensors carry the scale, in front of the last one; with and without a BatchNorm behind.
SCALED = {"plain_nobn": ["0", "3", "7"], "plain": ["1", "5", "9"]}


def expected_scaled(name: str, parts: list[Component], images: Tensor) -> list[nn.Module]:
    twins = [copy.deepcopy(one.module) for one in parts]
    levels = [maps(one.module, images, SCALED[name]) for one in parts]
    for path in SCALED[name]:
        every = [float(value) for level in levels for value in level[path]]
        mean = sum(every) / len(every)
        for twin, level in zip(twins, levels, strict=True):
            layer = twin.get_submodule(path)
            with torch.no_grad():
                for number, value in enumerate(level[path]):
                    layer.weight[number] *= mean / float(value)
                    layer.bias[number] *= mean / float(value)
    return twins


@pytest.mark.parametrize("layout", ["parallel", "padded"])
@pytest.mark.parametrize("name", SCALED)
def test_layer_scaling_is_equation_9(name, layout):
    parts, images = [positive(name, seed=1, share=0.7), positive(name, seed=2, share=0.4)], bright(name)
    twins = expected_scaled(name, parts, images)
    expected = torch.cat([twin(images) for twin in twins], 1)
    unscaled = torch.cat([one(images) for one in parts], 1)
    assert ((expected / unscaled - 1).abs() > 0.1).any()
    assert torch.allclose(layer_scaled(parts, images, layout)(images), expected, rtol=1e-9)


def test_levels_are_those_that_the_next_layer_reads():
    """Of maps on both sides of zero the part above counts, behind the ReLU."""
    images = inputs("plain", batch=6, seed=4)
    parts = [tiny_part("plain", seed=seed, share=0.7, names=[f"{seed} a", f"{seed} b"]) for seed in (1, 2)]
    scaled = layer_scaled(parts, images).parts
    sums = [relu_sums(part.module, images) for part in parts]
    mean = torch.cat([level[level > 0] for level in sums]).mean()
    for part, twin, level in zip(parts, scaled, sums, strict=True):
        factor = torch.where(level > 0, (mean / level).clamp(0.1, 10), torch.ones_like(level))
        assert torch.allclose(twin.module[1].weight, part.module[1].weight * factor)


def relu_sums(module: nn.Module, images: Tensor) -> Tensor:
    """Sums over pixels of the first maps of a plain network, where they are positive."""
    with torch.no_grad():
        return module[1](module[0](images)).clamp(min=0).flatten(2).sum(2).mean(0)


def test_a_filter_without_a_positive_sum_keeps_its_scale_and_factors_have_a_limit():
    parts, images = [positive("plain_nobn", seed=seed, share=0.7) for seed in (1, 2)], bright("plain_nobn")
    with torch.no_grad():
        conv = parts[0].module[0]
        conv.weight[0], conv.bias[0] = -conv.weight[0], -conv.bias[0]
        conv.weight[1], conv.bias[1] = conv.weight[1] * 1e-4, conv.bias[1] * 1e-4
        conv.weight[2], conv.bias[2] = conv.weight[2] * 1e4, conv.bias[2] * 1e4
    scaled = layer_scaled(parts, images).parts[0].module[0]
    for new, old in ((scaled.bias, conv.bias), (scaled.weight[:, 0, 0, 0], conv.weight[:, 0, 0, 0])):
        assert (new / old)[:3].tolist() == pytest.approx([1, 10, 1 / 10])
    assert torch.isfinite(layer_scaled(parts, images)(images)).all()


def test_all_writers_of_a_stream_get_one_factor():
    parts = [tiny_part("residual", seed=seed, share=seed / 3, names=[f"{seed} a", f"{seed} b"]) for seed in (1, 2)]
    scaled = layer_scaled(parts, inputs("residual", batch=8)).parts[1].module
    factors = [
        scaled.get_submodule(path).weight / parts[1].module.get_submodule(path).weight for path in ("0.1", "1.b.1")
    ]
    assert torch.allclose(*factors, rtol=1e-9)
    assert bool((factors[0] != 1).any())


def test_maps_that_are_concatenated_as_they_are_get_factors_too():
    parts = [tiny_part("dense", seed=seed, share=0.6, names=[f"{seed} a", f"{seed} b"]) for seed in (1, 2)]
    scaled = layer_scaled(parts, inputs("dense", batch=8)).parts[0].module
    assert not torch.equal(scaled[2].conv.weight, parts[0].module[2].conv.weight)


def test_layer_scaling_compares_layers_of_one_class():
    parts = [tiny_part("plain", seed=1), pixel_part("cd", 0, 1, shape=(3, 12, 12))]
    with pytest.raises(IncompatibleComponents, match="one architecture; use scaling='logit'"):
        layer_scaled(parts, bright("plain"))


def test_layer_scaling_compares_layers_of_one_architecture():
    parts = [tiny_part("plain", seed=1), tiny_part("plain_nobn", seed=2, names="cd")]
    with pytest.raises(IncompatibleComponents, match="one architecture"):
        layer_scaled(parts, bright("plain"))
