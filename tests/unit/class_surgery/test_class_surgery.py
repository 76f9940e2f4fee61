"""remove_classes, add_classes and replace_part on assemblies, and what is refused."""

import copy

import pytest
import torch

import model_lego as ml
from model_lego.assembly.assembling import assemble
from model_lego.errors import BadConfig, ClassClash, EmptySelection, IncompatibleComponents, UnknownClass
from model_lego.parts.assembly import NONE_OF_THESE
from model_lego.parts.join_record import HeadState
from tests.support.components import batch, pixel_part, random_batch, tiny_part
from tests.support.plans import traced
from tests.support.tiny_models import build, inputs


def linear_part(classes, *pixels):
    """A component whose logits are pixels of its image, and that can be cut."""
    part = pixel_part(classes, *pixels)
    layer = torch.nn.Linear(4, len(pixels), bias=False, dtype=torch.float64)
    layer.weight.data = torch.eye(4, dtype=torch.float64)[list(pixels)]
    part.module = torch.nn.Sequential(torch.nn.Flatten(), layer)
    return part.eval()


def pair():
    return [linear_part("ab", 0, 1), linear_part("cd", 2, 3)]


def fitted(parts, *, head="affine", seed=0, **options):
    classes = len(dict.fromkeys(name for part in parts for name in part.classes))
    images, labels = random_batch(40, seed=seed, classes=classes)
    return assemble(parts, calibration=[(images, labels)], head=head, **options)


def tiny_pair(layout="parallel", **options):
    parts = [tiny_part("plain", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]
    return assemble(parts, layout=layout, **options)


# -------------------------------------------------------------------------------------------------------- removing


def test_the_head_loses_the_rows_and_columns_of_what_is_gone():
    joint, images = fitted(pair()), random_batch(9, seed=1)[0]
    small = ml.remove_classes(joint, ["b"])
    assert small.classes == ("a", "c", "d")
    assert [part.classes for part in small.parts] == [("a",), ("c", "d")]
    keep = [0, 2, 3]
    expected = images.flatten(1)[:, keep] @ joint.head.weight[keep][:, keep].T + joint.head.shift[keep]
    assert torch.allclose(small(images), expected, rtol=1e-12)
    assert small.record.head_state == HeadState.CARRIED
    assert joint.classes == ("a", "b", "c", "d")


def test_a_part_that_only_served_what_is_gone_goes():
    joint = fitted(pair())
    small = ml.remove_classes(joint, ["c", 3])
    assert small.classes == ("a", "b")
    assert len(small.parts) == 1
    assert small.head.weight.shape == (2, 2)


def test_logits_side_by_side_stay_side_by_side():
    small = ml.remove_classes(assemble(pair()), ["a"])
    images = random_batch(5, seed=1)[0]
    assert torch.equal(small(images), images.flatten(1)[:, 1:])
    assert small.record.head_state == HeadState.SIDE_BY_SIDE
    assert small.head.weight.dim() == 1


def test_with_images_the_head_is_the_one_of_the_assembly_of_what_is_left():
    calibration = [random_batch(60, seed=2)]
    small = ml.remove_classes(fitted(pair()), ["c", "d"], calibration, head="affine")
    rest = [(images[labels < 2], labels[labels < 2]) for images, labels in calibration]
    anew = assemble(pair()[:1], calibration=rest, head="affine")
    assert torch.allclose(small.head.weight, anew.head.weight, rtol=1e-9)
    assert torch.allclose(small.head.shift, anew.head.shift, atol=1e-12)
    assert small.settings["calibration_images"] == 30
    assert small.record.head_state == HeadState.FITTED


@pytest.mark.parametrize("kind", ["ridge", "lda", "blend"])
def test_a_head_on_features_loses_the_features_of_the_part_that_goes(kind):
    images, labels = inputs("plain", batch=40), torch.arange(40) % 4
    joint = tiny_pair(calibration=[(images, labels)], head=kind)
    small = ml.remove_classes(joint, ["c", "d"])
    width = joint.parts[0].module[:11](images).shape[1]
    expected = joint.parts[0].module[:11](images) @ joint.head.weight[:2, :width].T + joint.head.shift[:2]
    assert torch.allclose(small(images), expected, rtol=1e-10)
    assert small.head.reads == joint.head.reads[:1]
    assert torch.allclose(
        ml.remove_classes(joint, ["a"])(images), joint(images)[:, 1:], rtol=1e-9
    )  # of a part that stays no feature goes


@pytest.mark.parametrize("outsiders", [True, False])
def test_none_of_these_stays_unless_it_is_what_goes(outsiders):
    joint, images = fitted(pair(), outsiders=0.25), random_batch(9, seed=1)[0]
    small = ml.remove_classes(joint, ["a"] if outsiders else [NONE_OF_THESE])
    assert (small.classes[-1] == NONE_OF_THESE) == outsiders
    assert (small.record.outsiders is not None) == outsiders
    last = small(images)[:, -1]
    assert torch.allclose(last, joint(images)[:, -1 if outsiders else -2], rtol=1e-10)
    again = ml.remove_classes(joint, ["a"] if outsiders else [NONE_OF_THESE], [random_batch(40, seed=3)])
    assert again.classes == small.classes
    with pytest.raises(EmptySelection, match="no class of the assembly would be left"):
        ml.remove_classes(joint, ["a", "b", "c", "d"])


def test_a_padded_network_loses_the_channels_of_the_part_that_goes():
    joint, alone = tiny_pair("padded"), tiny_part("plain", seed=2, names="cd", share=0.6)
    x = inputs("plain", batch=3)
    small = ml.remove_classes(joint, ["a", "b"])
    assert small.classes == ("c", "d")
    assert torch.allclose(small(x), alone(x), rtol=1e-9)
    parameters = [sum(p.numel() for p in network.parameters()) for network in (small, alone)]
    assert parameters[0] <= parameters[1] + 30  # biases of zeros aside
    one = ml.remove_classes(joint, ["b"])
    assert (one.classes, one.owned()) == (("a", "c", "d"), [("a",), ("c", "d")])
    assert torch.allclose(one(x), joint(x)[:, [0, 2, 3]], rtol=1e-9)


def test_a_padded_network_keeps_its_parts_apart_and_its_head_is_fitted_again(tmp_path):
    images, labels = inputs("plain", batch=40), torch.arange(40) % 4
    joint = tiny_pair("padded", calibration=[(images, labels)], head="ridge")
    small = ml.remove_classes(joint, ["a"], [(images, labels)], head="ridge")
    assert torch.allclose(small.joined(images), joint.joined(images)[:, 1:], rtol=1e-9)
    assert small.settings["head"] == "ridge"
    ml.save(small, tmp_path / "small")
    loaded = ml.load(tmp_path / "small", factory=lambda: build("plain"))
    assert torch.equal(loaded(images), small(images))


def test_a_class_that_two_parts_have_goes_from_both():
    parts = [linear_part("ab", 0, 1), linear_part("cb", 2, 3)]
    small = ml.remove_classes(assemble(parts, on_clash="average"), ["b"])
    images = random_batch(5, seed=1)[0]
    assert torch.equal(small(images), images.flatten(1)[:, [0, 2]])


# ---------------------------------------------------------------------------------------------------------- adding


def test_a_fitted_head_goes_on_for_the_old_classes_and_new_ones_have_their_own_logit():
    joint, images = fitted(pair()[:1]), random_batch(6, seed=1)[0]
    more = ml.add_classes(joint, pair()[1])
    assert more.classes == ("a", "b", "c", "d")
    assert torch.allclose(more(images), torch.cat([joint(images), images.flatten(1)[:, 2:]], 1), rtol=1e-12)
    assert more.record.head_state == HeadState.CARRIED
    assert ml.add_classes(more, pixel_part("x", 0)).record.head_state == HeadState.CARRIED


def test_with_images_it_is_the_assembly_of_all_parts():
    calibration = [random_batch(60, seed=2)]
    more = ml.add_classes(fitted(pair()[:1], outsiders=0.1), pair()[1], calibration=calibration, head="affine")
    anew = assemble(pair(), calibration=calibration, head="affine", outsiders=0.1)
    assert more.classes == anew.classes == ("a", "b", "c", "d", NONE_OF_THESE)
    assert torch.equal(more.head.weight, anew.head.weight)


def test_without_images_none_of_these_stays_the_last_class():
    joint, images = fitted(pair()[:1], outsiders=0.1), random_batch(6, seed=1)[0]
    more = ml.add_classes(joint, pair()[1])
    assert more.classes == ("a", "b", "c", "d", NONE_OF_THESE)
    assert torch.allclose(more(images)[:, [0, 1, 4]], joint(images), rtol=1e-12)


@pytest.mark.parametrize(("on_clash", "weights"), [("prefer", (1.0, 0.0)), ("average", (0.5, 0.5))])
def test_a_class_that_is_there_already(on_clash, weights):
    joint, images = fitted(pair()[:1]), random_batch(6, seed=1)[0]
    new = pixel_part("cb", 2, 3)
    with pytest.raises(ClassClash, match="class 'b' is there already"):
        ml.add_classes(joint, new)
    more = ml.add_classes(joint, new, on_clash=on_clash)
    expected = weights[0] * joint(images)[:, 1] + weights[1] * images.flatten(1)[:, 3]
    assert more.classes == ("a", "b", "c")
    assert torch.allclose(more(images)[:, 1], expected, rtol=1e-12)


def test_a_component_and_a_whole_network_get_a_part():
    images = random_batch(6, seed=1)[0]
    assert torch.equal(ml.add_classes(pair()[0], pair()[1])(images), images.flatten(1))
    network, x = traced("plain")[0], inputs("plain", batch=50)
    new = tiny_part("plain", seed=3, names="fg")
    more = ml.add_classes(
        network, new, calibration=[(x, torch.arange(50) % 7)], network_classes=list("abcde"), head="concat"
    )
    assert more.classes == tuple("abcdefg")
    assert torch.allclose(more(x), torch.cat([network(x), new(x)], 1), rtol=1e-12)


def test_a_padded_network_gets_a_part():
    joint, new = tiny_pair("padded"), tiny_part("plain", seed=3, names="ef", share=0.6)
    x = inputs("plain", batch=3)
    more = ml.add_classes(joint, new)
    assert more.layout == "padded"
    assert torch.allclose(more(x), torch.cat([joint(x), new(x)], 1), rtol=1e-9)


# ------------------------------------------------------------------------------------------------------- replacing


def test_the_new_part_stands_in_the_old_ones_place():
    joint, images = fitted(pair()), random_batch(6, seed=1)[0]
    new = pixel_part("xy", 3, 2)
    for old in (0, "b"):
        other = ml.replace_part(joint, old, new)
        assert other.classes == ("x", "y", "c", "d")
        rest = images.flatten(1)[:, 2:] @ joint.head.weight[2:, 2:].T + joint.head.shift[2:]
        assert torch.allclose(other(images), torch.cat([images.flatten(1)[:, [3, 2]], rest], 1), rtol=1e-12)
        assert other.record.head_state == HeadState.CARRIED
    assert [part.classes for part in joint.parts] == [("a", "b"), ("c", "d")]


def test_with_images_the_head_is_fitted_to_the_new_parts():
    calibration = [random_batch(60, seed=2)]
    other = ml.replace_part(fitted(pair(), outsiders=0.1), 1, pixel_part("dc", 3, 2), calibration=calibration,
                            class_names=list("abcd"), head="affine")  # fmt: skip
    anew = assemble(
        [pair()[0], pixel_part("dc", 3, 2)], calibration=calibration, class_names=list("abcd"), head="affine"
    )
    assert other.classes == (*"abdc", NONE_OF_THESE)
    assert torch.equal(other.head.weight[:4], anew.head.weight)


def test_an_assembly_that_was_never_fitted_is_put_together_anew():
    other = ml.replace_part(assemble(pair()), "a", pixel_part("x", 3))
    assert other.record.head_state == HeadState.SIDE_BY_SIDE
    assert other.classes == ("x", "c", "d")


# -------------------------------------------------------------------------------------------------------- refusals


def test_what_is_given_is_left_as_it_is():
    joint = fitted(pair())
    before = copy.deepcopy(joint.state_dict())
    settings = copy.deepcopy(joint.settings)
    for made in (ml.remove_classes(joint, ["a"]), ml.add_classes(joint, pixel_part("x", 0)),
                 ml.replace_part(joint, 0, pixel_part("x", 0))):  # fmt: skip
        with torch.no_grad():
            for tensor in (*made.parameters(), *made.buffers()):
                tensor.fill_(7)
    assert all(torch.equal(before[key], value) for key, value in joint.state_dict().items())
    assert joint.settings == settings


def test_refusals_of_removing():
    joint, part = assemble(pair()), pair()[0]
    with pytest.raises(UnknownClass, match="the assembly has no class 'x'"):
        ml.remove_classes(joint, ["x"])
    with pytest.raises(UnknownClass, match="the component has no class 'c'"):
        ml.remove_classes(part, ["c"])
    with pytest.raises(EmptySelection, match="no class of the component would be left"):
        ml.remove_classes(part, ["a", "b"])
    with pytest.raises(EmptySelection, match="no class was chosen"):
        ml.remove_classes(part, [])
    with pytest.raises(BadConfig, match="their own preprocessing"):
        ml.remove_classes(part, ["a"], preprocessing=ml.Preprocessing())
    with pytest.raises(BadConfig, match="give batches"):
        ml.remove_classes(traced("plain")[0], [0])
    with pytest.raises(UnknownClass, match="the images have no class 'b'; class_names has to name it"):
        ml.remove_classes(part, ["a"], [batch([[1, 2, 3, 4]], [0])], class_names=["a", "bee"])


def test_refusals_of_adding_and_replacing():
    joint = fitted(pair())
    with pytest.raises(BadConfig, match="not a Linear"):
        ml.add_classes(joint, torch.nn.Linear(2, 2))
    with pytest.raises(BadConfig, match="their own classes"):
        ml.add_classes(joint, pixel_part("x", 0), network_classes=list("ab"))
    with pytest.raises(BadConfig, match="traced by an image"):
        ml.add_classes(traced("plain")[0], pixel_part("x", 0))
    with pytest.raises(BadConfig, match="no part at position 2; positions"):
        ml.replace_part(joint, 2, pixel_part("x", 0))
    with pytest.raises(UnknownClass, match="the assembly has no class 'x'"):
        ml.replace_part(joint, "x", pixel_part("x", 0))
    with pytest.raises(BadConfig, match="not a Linear"):
        ml.replace_part(joint, 0, torch.nn.Linear(2, 2))
    shared = assemble([pixel_part("ab", 0, 1), pixel_part("cb", 2, 3)], on_clash="prefer")
    with pytest.raises(UnknownClass, match="class 'b' is in 2 parts"):
        ml.replace_part(shared, "b", pixel_part("x", 0))
    with pytest.raises(IncompatibleComponents, match="cannot be exchanged"):
        ml.replace_part(tiny_pair("padded"), 0, tiny_part("plain", seed=3, names="xy"))
    reading = tiny_pair(calibration=[(inputs("plain", batch=40), torch.arange(40) % 4)], head="ridge")
    for change in (lambda: ml.add_classes(reading, tiny_part("plain", seed=3, names="xy")),
                   lambda: ml.replace_part(reading, 0, tiny_part("plain", seed=3, names="xy"))):  # fmt: skip
        with pytest.raises(BadConfig, match="reads features"):
            change()
