"""Law 4: the joined logits of an assembly are its components' logits side by side, in both layouts.

A group of classes has the sum of its members' probabilities, and an order changes nothing but the order.

Whole networks of torchvision and timm are put to it in tests/networks.
"""

import copy
import functools
import re

import pytest
import torch
from torch import Tensor, nn

from model_lego.assembly.assembling import assemble
from model_lego.errors import CutMismatch, IncompatibleComponents
from model_lego.parts.component import Component
from model_lego.parts.preprocessing import Preprocessing
from tests.support.components import tiny_part
from tests.support.plans import FREEZING
from tests.support.tiny_models import OTHER, TINY, inputs

ALIKE = 1e-10  # largest difference in float64, in parts of the largest logit

#: Networks that one dense network cannot hold, with what the refusal has to say.
REFUSED = {
    "view_constant": "does not run",
    "residual_pad": "padded channels written into the forward",
    "shuffle": "join channels of different parts",
    "slice_constant": "sliced at channel numbers written into the forward",
    "spatial_attention": "reduced over channels",
    "norm_groups_grouped": "have different widths in the parts",
    "select_kernels": "join channels of different parts",
    "shuffles": "join channels of different parts",
    "shuffles_bound": "blocks that must stay equal",
    "counted_elsewhere": "sums products of two values (queries and keys) over channels",
    "conditional": "tensor '2.kernels' belongs to no channel",
    "standardised": "tensor '2.weight' belongs to no channel",
    "softmax_over_channels_inside": "softmax reads across channels",
    "group_norm": "group_norm normalises across channels",
    "layer_norm_channels_last": "layer_norm normalises across channels",
    "weight_norm": "tensor '1.bias' belongs to no channel",
    "attention": "sums products of two values (queries and keys) over channels",
    "attention_fused": "sums products of two values (queries and keys) over channels",
    "attention_own_widths": "sums products of two values (queries and keys) over channels",
    "attention_bias_in_parts": "belongs to no channel and differs between the parts",
    "attention_over_channels": "parts would mix",
    "attention_talking_heads": "differ in the settings of aten.mul",  # of their scales, which follow other widths
    "positions_mixed": "belongs to no channel and differs between the parts",
    "attention_fixed": "sums products of two values (queries and keys) over channels",
}
#: These are noticed by the check on images only: their channels, or logits, of both parts meet.
MIXED = ("log_softmax_head", "split_halves")
#: Groups of a convolution have to be of one width in all parts: their channels differ, not their numbers.
EQUAL_GROUPS = ("grouped",)
#: These differ from others in what padding does not touch, and each would cost a second.
ALIKE_OTHERS = ("plain_nobn", "view_flatten", "average_flatten", "se_linear", "dead_branch", "auxiliary")
PADDED = [name for name in [*TINY, *OTHER] if name not in {*REFUSED, *MIXED, *ALIKE_OTHERS}]


@functools.cache
def unequal(name: str) -> tuple[Component, ...]:
    """Three parts of three sources, with other channels, other classes and, where it may be, other widths."""
    shares = (0.5, 0.5, 0.5) if name in EQUAL_GROUPS else (0.8, 0.5, 0.6)
    chosen = [("ab", (3, 1)), ("cde", (4, 0, 2)), ("fg", (2, 3))]
    return tuple(
        tiny_part(name, seed=seed, share=share, names=names, logits=logits)
        for seed, (share, (names, logits)) in enumerate(zip(shares, chosen, strict=True), 1)
    )


def side_by_side(parts: tuple[Component, ...] | list[Component], x: Tensor) -> Tensor:
    with torch.no_grad():
        logits = [part.module(x if part.preprocessing is None else part.preprocessing(x)) for part in parts]
    return torch.cat(logits, 1)


def widths(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(one.shape) for name, one in module.named_parameters() if one.dim() > 1}


def check(parts: tuple[Component, ...] | list[Component], layout: str, x: Tensor, *, alike: float = ALIKE) -> None:
    expected = side_by_side(parts, x)
    assembly = assemble(parts, layout=layout)
    with torch.no_grad():
        joined, logits = assembly.joined(x), assembly(x)
    assert joined.shape == expected.shape
    assert assembly.classes == tuple(name for part in parts for name in part.classes)
    assert (joined - expected).abs().max() <= alike * expected.abs().max()
    assert torch.equal(logits, joined)  # nothing was scaled or fitted
    for part in expected.split([len(part.classes) for part in parts], 1):
        assert part.std(0).max() > 1e-4 * part.abs().max()  # constant logits would prove nothing
    if layout == "padded":
        assert len(assembly.parts) == 0
        assert type(assembly.padded.module) is type(parts[0].module)


def check_groups(parts: tuple[Component, ...], layout: str, x: Tensor) -> None:
    groups = {"odd": ["a", "c"], "even": ["b", "d", "e"]}
    plain, made = (
        assemble(parts, layout=layout, **more) for more in ({}, {"groups": groups, "order": ["even", "odd"]})
    )
    with torch.no_grad():
        shares, given = plain(x).softmax(1), made(x).softmax(1)
    assert torch.allclose(given, torch.stack([shares[:, [1, 3, 4]].sum(1), shares[:, [0, 2]].sum(1)], 1), rtol=1e-9)


# ------------------------------------------------------------------------------------------------------ tiny networks


@pytest.mark.parametrize("name", [*TINY, *OTHER])
def test_parallel_parts_are_their_logits_side_by_side(name):
    parts = unequal(name)
    assert widths(parts[0].module) != widths(parts[1].module)
    check(parts, "parallel", inputs(name, batch=5, seed=9), alike=0)


@pytest.mark.parametrize("name", PADDED)
def test_one_dense_network_is_its_parts_side_by_side(name):
    count = 3 if name in {"plain", "residual", "concat"} else 2
    check(unequal(name)[:count], "padded", inputs(name, batch=5, seed=9))


@pytest.mark.parametrize("layout", ["parallel", "padded"])
@pytest.mark.parametrize("name", ["plain", "residual"])
def test_groups_are_sums_of_what_the_parts_give(name, layout):
    check_groups(unequal(name)[:2], layout, inputs(name, batch=5, seed=9))


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_an_order_is_a_permutation_of_the_logits(layout):
    parts, x = unequal("plain"), inputs("plain", batch=5, seed=9)
    plain, made = assemble(parts, layout=layout), assemble(parts, layout=layout, order=list("gfedcba"))
    assert made.classes == tuple("gfedcba")
    assert torch.equal(made(x), plain(x).flip(1))


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_an_assembly_inside_is_itself(layout):
    parts, x = unequal("plain"), inputs("plain", batch=5, seed=9)
    inside = assemble(parts[:2], layout=layout)
    with torch.no_grad():
        assert torch.equal(assemble([parts[2], inside])(x), torch.cat([parts[2](x), inside(x)], 1))


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_a_single_part_is_itself(layout):
    check(unequal("plain")[:1], layout, inputs("plain", batch=5, seed=9))


def test_a_part_of_one_class_fits_into_one_dense_network():
    lone = tiny_part("plain", seed=3, names="f", logits=[2])
    check([unequal("plain")[0], lone], "parallel", inputs("plain", batch=5, seed=9), alike=0)
    check([unequal("plain")[0], lone], "padded", inputs("plain", batch=5, seed=9))


def test_the_order_of_the_parts_is_the_order_of_the_logits():
    x = inputs("plain", batch=5, seed=9)
    check(unequal("plain")[1::-1], "padded", x)


def test_parallel_takes_networks_of_different_architectures():
    parts = [unequal("plain")[0], unequal("layer_norm_channels_last")[1], unequal("spatial_attention")[2]]
    check(parts, "parallel", inputs("plain", batch=5, seed=9), alike=0)


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_parts_of_one_source_are_joined_too(layout):
    parts = [
        tiny_part("plain", seed=4, share=share, names=[f"{share} a", f"{share} b"], logits=[2, 1])
        for share in (0.7, 0.3)
    ]
    check(parts, layout, inputs("plain", batch=5, seed=9))


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_images_are_normalised_as_all_parts_want_it(layout):
    common = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0), size=(12, 12))
    parts = [prepared(part, common) for part in unequal("plain")[:2]]
    check(parts, layout, inputs("plain", batch=5, seed=9)[:, :, ::2])  # 6 x 12 pixels, resized


def prepared(part: Component, preprocessing: Preprocessing) -> Component:
    return Component(
        part.module, classes=part.classes, labels=part.labels, origin=part.origin, preprocessing=preprocessing
    )


def test_a_part_with_a_bias_that_the_other_has_not_fits_in():
    """A repair may give a layer a bias, which its source had not."""
    plain, other = unequal("plain")[:2]
    biased = copy.deepcopy(other)
    conv = biased.module.get_submodule("4")
    assert conv.bias is None
    conv.bias = nn.Parameter(torch.linspace(-2, 2, conv.out_channels, dtype=torch.float64))
    x = inputs("plain", batch=5, seed=9)
    assert not torch.allclose(side_by_side([biased], x), side_by_side([other], x))
    for parts in ([plain, biased], [biased, plain]):
        check(parts, "padded", x)


# -------------------------------------------------------------------------------------------- what a dense network is


def test_a_dense_network_is_stacked_at_the_images_and_block_diagonal_behind():
    parts = unequal("plain")[:2]
    joint = assemble(parts, layout="padded").padded.module
    first, second = (part.module for part in parts)
    for path in ("0", "4"):
        ours, theirs = joint.get_submodule(path), [part.get_submodule(path) for part in (first, second)]
        assert ours.out_channels == len(ours.weight) == sum(conv.out_channels for conv in theirs)
    assert torch.equal(joint[0].weight, torch.cat([first[0].weight, second[0].weight]))
    expected = torch.block_diag(first[9].weight, second[9].weight)
    assert torch.equal(joint[9].weight, expected)
    assert (joint[9].in_features, joint[9].out_features) == (expected.shape[1], expected.shape[0])
    assert torch.equal(joint[5].running_var, torch.cat([first[5].running_var, second[5].running_var]))
    assert joint[5].num_features == len(joint[5].running_var)


def test_a_dense_network_can_be_trained_across_its_parts():
    parts = unequal("plain")[:2]
    joint = assemble(parts, layout="padded").train()
    joint(inputs("plain", batch=5, seed=9)).square().sum().backward()
    weight, rows = joint.padded.module[11].weight, len(parts[0].classes)
    columns = parts[0].module[11].in_features
    assert torch.equal(weight[:rows, columns:], torch.zeros_like(weight[:rows, columns:]))
    assert bool((weight.grad[:rows, columns:] != 0).any())


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_padded_is_refused_with_the_reason(name):
    with pytest.raises(IncompatibleComponents, match=re.escape(REFUSED[name])):
        assemble(unequal(name)[:2], layout="padded")


@pytest.mark.parametrize("name", MIXED)
def test_parts_that_would_meet_are_noticed(name):
    with pytest.raises((IncompatibleComponents, CutMismatch), match="use layout='parallel'"):
        assemble(unequal(name)[:2], layout="padded")


def test_every_network_that_freezes_channels_is_refused_in_padded():
    assert set(FREEZING) <= set(REFUSED)


def test_groups_of_different_widths_are_refused():
    parts = [
        tiny_part("grouped", seed=seed, share=share, names=[f"{seed} a", f"{seed} b"])
        for seed, share in ((1, 0.6), (2, 0.3))
    ]
    with pytest.raises(IncompatibleComponents, match=r"groups of layer '1.body.1.0' have different widths .*\(1, 1\)"):
        assemble(parts, layout="padded")


def test_different_architectures_are_refused():
    for one, other in (("plain", "plain_nobn"), ("view_flatten", "average_flatten")):
        with pytest.raises(
            IncompatibleComponents, match=r"one architecture.*different operators; use layout='parallel'"
        ):
            assemble([unequal(one)[0], unequal(other)[1]], layout="padded")


def test_different_preprocessing_is_refused():
    half = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    parts = [prepared(unequal("plain")[0], half), prepared(unequal("plain")[1], Preprocessing())]
    with pytest.raises(IncompatibleComponents, match=r"normalise images differently.*wrong at the border"):
        assemble(parts, layout="padded")
    check(parts, "parallel", inputs("plain", batch=5, seed=9), alike=0)


def test_different_epsilons_are_refused():
    other = copy.deepcopy(unequal("plain")[1])
    other.module[5].eps = 1e-2
    with pytest.raises(IncompatibleComponents, match=r"differ in the settings of aten.batch_norm.*0\.01"):
        assemble([unequal("plain")[0], other], layout="padded")


def test_a_number_for_all_channels_that_differs_is_refused():
    other = copy.deepcopy(unequal("prelu")[1])
    with torch.no_grad():
        other.module[3].weight.fill_(0.5)
    with pytest.raises(IncompatibleComponents, match=r"tensor '3\.weight' belongs to no channel and differs"):
        assemble([unequal("prelu")[0], other], layout="padded")
