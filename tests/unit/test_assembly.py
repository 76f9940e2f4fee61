"""assemble: clashes, heads, the images for calibration, what is refused; logits are pixels of the images."""

import math

import pytest
import torch
from torch import Tensor

from model_lego import assembly as assembling
from model_lego.assembly import assemble
from model_lego.component import Preprocessing
from model_lego.errors import (
    BadBatches,
    BadConfig,
    ClassClash,
    CutMismatch,
    IncompatibleComponents,
    ShapeMismatch,
    UnknownClass,
)
from tests.parts import batch, pair, pixel_part, random_batch, shared, tiny_part
from tests.tiny_models import inputs

ROWS = [[3.0, 1.0, 5.0, -2.0], [0.5, 7.0, 1.0, 4.0]]


# -------------------------------------------------------------------------------------------- a class of several parts


def test_a_class_of_two_parts_is_an_error_that_names_it_and_them():
    with pytest.raises(ClassClash, match=r"class 'b' is in part 1 and part 2; .*'prefer' or 'average'"):
        assemble(shared())
    with pytest.raises(ClassClash, match="class 'a' is in part 1 and part 3"):
        assemble([pixel_part("a", 0), pixel_part("b", 1), pixel_part("ca", 2, 3)])


def test_prefer_takes_the_logit_of_the_first_part():
    joint = assemble(shared(), on_clash="prefer")
    assert joint.classes == ("a", "b", "c")
    assert joint(batch(ROWS, [0, 0])[0]).tolist() == [[3, 1, 5], [0.5, 7, 1]]


def test_average_takes_the_mean_of_the_logits():
    joint = assemble(shared(), on_clash="average")
    assert joint.classes == ("a", "b", "c")
    assert joint(batch(ROWS, [0, 0])[0]).tolist() == [[3, -0.5, 5], [0.5, 5.5, 1]]


def test_the_mean_of_three_logits_is_exact_in_float64():
    joint = assemble([pixel_part("a", number) for number in range(3)], on_clash="average")
    assert joint(batch([[1, 2, 6, 0]], [0])[0]).item() == pytest.approx(3, rel=1e-12)


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_clashes_are_settled_in_both_layouts(layout):
    parts = [
        tiny_part("plain_nobn", seed=seed, names=names, share=share)
        for seed, names, share in ((1, "ab", 0.7), (2, "cb", 0.4))
    ]
    x = inputs("plain_nobn", batch=5)
    first, second = parts[0](x), parts[1](x)
    for on_clash, b in (("prefer", first[:, 1]), ("average", (first[:, 1] + second[:, 1]) / 2)):
        expected = torch.stack([first[:, 0], b, second[:, 0]], 1)
        assert torch.allclose(assemble(parts, layout=layout, on_clash=on_clash)(x), expected, rtol=1e-10)


def test_the_fitted_head_settles_clashes_too():
    images, labels = random_batch(60, seed=0, classes=3)
    joint = assemble(shared(), on_clash="average", calibration=[(images, labels)], head="affine")
    assert joint.head.weight.shape == (3, 4)
    assert joint(images).shape == (60, 3)


# --------------------------------------------------------------------------------------------------------------- heads


def loss(logits: Tensor, labels: Tensor) -> float:
    """Mean of -log softmax at the labels, written out."""
    rows = zip(logits.tolist(), labels.tolist(), strict=True)
    each = [math.log(sum(math.exp(one - row[wanted]) for one in row)) for row, wanted in rows]
    return sum(each) / len(each)


def test_concat_is_the_logits_side_by_side():
    images, labels = random_batch(20, seed=0)
    for options in ({}, {"head": "concat", "calibration": [(images, labels)]}):
        joint = assemble(pair(), **options)
        assert joint.classes == ("a", "b", "c", "d")
        assert torch.equal(joint(images), images.flatten(1))
        assert joint.head.kind == joint.settings["head"] == "concat"


@pytest.mark.parametrize("on_clash", ["prefer", "average"])
@pytest.mark.parametrize("signal", [0.0, 1.0, 6.0])
def test_the_fitted_head_is_never_worse_on_its_own_images(signal, on_clash):
    for parts, classes in ((pair(), 4), (shared(), 3)):
        images, labels = random_batch(60, seed=2, classes=classes, signal=signal)
        plain, fitted = (
            assemble(parts, calibration=[(images, labels)], head=head, on_clash=on_clash)(images)
            for head in ("concat", "affine")
        )
        assert loss(fitted, labels) <= loss(plain, labels) + 1e-7


def test_the_fitted_head_takes_over_confidence_away():
    images, labels = random_batch(400, seed=3, signal=2.0)
    loud = images * torch.tensor([1.0, 1.0, 5.0, 5.0], dtype=torch.float64)[:, None, None]
    other, theirs = random_batch(400, seed=4, signal=2.0)
    other = other * torch.tensor([1.0, 1.0, 5.0, 5.0], dtype=torch.float64)[:, None, None]
    plain, fitted = (assemble(pair(), calibration=[(loud, labels)], head=head)(other) for head in ("concat", "affine"))
    right = [float((logits.argmax(1) == theirs).double().mean()) for logits in (plain, fitted)]
    assert right[1] > right[0] + 0.05
    assert loss(fitted, theirs) < 0.7 * loss(plain, theirs)


def test_two_images_are_enough_to_fit_a_head():
    joint = assemble([pixel_part("a", 0), pixel_part("b", 1)], calibration=[batch(torch.eye(4)[:2], [0, 1])])
    assert torch.isfinite(joint(batch(ROWS, [0, 0])[0])).all()


# ------------------------------------------------------------------------------------------------- calibration images


def test_class_names_say_what_the_labels_mean():
    images, labels = random_batch(80, seed=1)
    plain = assemble(pair(), calibration=[(images, labels)])
    names = ["d", "stranger", "b", "a", "c"]
    renamed = torch.tensor([names.index("abcd"[label]) for label in labels])
    strangers = batch(100 * torch.ones(7, 4), [1] * 7)
    named = assemble(pair(), calibration=[strangers, (images, renamed), strangers], class_names=names)
    assert named.settings["calibration_images"] == plain.settings["calibration_images"] == 80
    assert torch.equal(named.head.weight, plain.head.weight)
    assert torch.equal(named(images), plain(images))


def test_how_calibration_images_are_batched_does_not_matter():
    images, labels = random_batch(600, seed=1)
    whole, pieces = (
        assemble(pair(), calibration=list(zip(images.split(size), labels.split(size), strict=True)), scaling="logit")
        for size in (600, 7)
    )
    assert torch.equal(whole.head.weight, pieces.head.weight)


def test_a_class_without_a_calibration_image_is_refused():
    images, labels = random_batch(8, seed=0, classes=3)
    with pytest.raises(UnknownClass, match="no calibration image of class 'd'"):
        assemble(pair(), calibration=[(images, labels)])
    with pytest.raises(UnknownClass, match="no class 'c'; class_names has to name it"):
        assemble(pair(), calibration=[(images, labels)], class_names=["a", "b", "d"])


def test_bad_calibration_images_are_refused():
    images, labels = random_batch(8, seed=0)
    with pytest.raises(BadBatches, match="label 4 of batch 0 is out of range: there are 4 classes"):
        assemble(pair(), calibration=[(images, labels + 1)])
    with pytest.raises(BadBatches, match="empty"):
        assemble(pair(), calibration=[])
    with pytest.raises(ShapeMismatch, match=r"shape \(4, 2, 1\), but the network takes \(4, 1, 1\)"):
        assemble(pair(), calibration=[(images.repeat(1, 1, 2, 1), labels)])


def test_a_one_shot_generator_is_refused_and_not_read():
    generator = (pair for pair in [random_batch(8, seed=0)])
    with pytest.raises(BadBatches, match="one-shot generator"):
        assemble(pair(), calibration=generator)
    assert len(list(generator)) == 1


@pytest.mark.parametrize("options", [{"head": "affine"}, {"scaling": "logit"}, {"scaling": "layer"}])
def test_what_is_fitted_needs_calibration_images(options):
    with pytest.raises(BadConfig, match="need calibration images; give calibration="):
        assemble(pair(), **options)


# ----------------------------------------------------------------------------------------------- images of each source

HALF = Preprocessing(mean=(0.5,), std=(0.25,))


def test_each_part_has_its_own_preprocessing():
    parts = [
        pixel_part("ab", 0, 1, shape=(1, 2, 2), preprocessing=HALF),
        pixel_part("cd", 2, 3, shape=(1, 2, 2), preprocessing=Preprocessing()),
    ]
    image = torch.tensor([[[[0.5, 1.0], [0.25, 0.75]]]], dtype=torch.float64)
    assert assemble(parts)(image).tolist() == [[0, 2, 0.25, 0.75]]


def test_parts_with_and_without_preprocessing_are_refused():
    parts = [pixel_part("ab", 0, 1), pixel_part("cd", 2, 3, preprocessing=Preprocessing())]
    for order in (parts, parts[::-1]):
        with pytest.raises(IncompatibleComponents, match=r"some parts take images scaled to 0\.\.1"):
            assemble(order)


def test_images_of_different_sizes_are_refused_where_nothing_resizes_them():
    for preprocessing in (None, HALF):
        sizes = ((1, 2, 2), (1, 4, 4))
        parts = [pixel_part(n, 0, shape=size, preprocessing=preprocessing) for n, size in zip("ab", sizes, strict=True)]
        with pytest.raises(IncompatibleComponents, match=r"different shapes \[\(1, 2, 2\), \(1, 4, 4\)\]; .*a size"):
            assemble(parts)


def sized(name: str, side: int, *, channels: int = 1, resizes: bool = True):
    """A part that gives the last pixel of an image of its own size."""
    preprocessing = Preprocessing(size=(side, side) if resizes else None)
    return pixel_part(name, channels * side * side - 1, shape=(channels, side, side), preprocessing=preprocessing)


def test_parts_that_resize_take_images_of_any_size():
    images = torch.linspace(0, 1, 2 * 36, dtype=torch.float64).reshape(2, 1, 6, 6)
    parts = [sized("a", 2), sized("b", 3), sized("c", 6)]
    joint = assemble(parts, calibration=[(torch.cat([images, images[:1]]), torch.tensor([0, 1, 2]))], head="concat")
    expected = [[float(one.preprocessing(image[None])[0, 0, -1, -1]) for one in parts] for image in images]
    assert joint(images).tolist() == expected
    assert len(set(expected[0])) == 3


def test_a_part_that_resizes_goes_with_one_that_does_not():
    images = torch.rand(2, 1, 3, 3, dtype=torch.float64)
    assert assemble([sized("a", 3, resizes=False), sized("b", 2)])(images).shape == (2, 2)
    assert assemble([sized("b", 2), sized("a", 3, resizes=False)])(images).shape == (2, 2)


def test_gray_and_coloured_parts_are_refused():
    parts = [sized("a", 2, channels=3), sized("b", 2, channels=1)]
    with pytest.raises(IncompatibleComponents, match="channels"):
        assemble(parts)


# ------------------------------------------------------------------------------------------------- what is noted, kept


def test_the_check_is_noted_with_the_images_it_ran_on():
    images, labels = random_batch(50, seed=0)
    joint = assemble(pair(), calibration=[(images, labels)])
    largest = float(images[:32].abs().max())
    assert joint.settings["check"] == {"images": 32, "difference": 0.0, "largest_logit": largest}
    assert assemble(pair()).settings["check"]["images"] == 2


def test_a_wrong_dense_network_is_noticed(monkeypatch):
    right = assembling.place

    def wrong(modules, example):
        placed = right(modules, example)
        with torch.no_grad():
            placed.module[9].weight[0, -1] += 1e-6
        return placed

    parts = [tiny_part("plain_nobn", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]
    assert assemble(parts, layout="padded").settings["check"]["difference"] < 1e-12
    monkeypatch.setattr(assembling, "place", wrong)
    with pytest.raises(CutMismatch, match=r"differ from its parts' by .*; use layout='parallel'"):
        assemble(parts, layout="padded")


def state(parts) -> list:
    return [
        [
            {name: one.detach().numpy().tobytes() for name, one in part.state_dict().items()},
            [(id(one), one.requires_grad, one.grad) for one in part.parameters()],
            [(path, module.training, len(module._forward_hooks)) for path, module in part.named_modules()],
            (part.classes, part.labels, part.origin, part.preprocessing),
        ]
        for part in parts
    ]


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_components_are_left_as_they_are(layout):
    parts = [tiny_part("plain", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]
    parts[0].train().module[1].eval()
    parts[1].module[0].weight.requires_grad_(False)
    before, random = state(parts), torch.get_rng_state()
    data = [(inputs("plain", batch=12), torch.arange(12) % 4)]
    joint = assemble(parts, layout=layout, calibration=data, scaling="layer")
    assert state(parts) == before
    assert torch.equal(torch.get_rng_state(), random)
    ours = {one.data_ptr() for part in parts for one in (*part.parameters(), *part.buffers())}
    assert not ours & {one.data_ptr() for one in (*joint.parameters(), *joint.buffers())}


def test_an_assembly_is_in_eval_mode():
    joint = assemble([one.train() for one in pair()], calibration=[random_batch(12, seed=0)])
    assert not any(module.training for module in joint.modules())


def test_components_are_left_as_they_are_where_an_assembly_is_refused():
    parts = [tiny_part(name, seed=1, names=names).train() for name, names in (("plain", "ab"), ("plain_nobn", "cd"))]
    before = state(parts)
    with pytest.raises(IncompatibleComponents):
        assemble(parts, layout="padded")
    assert state(parts) == before


def test_the_head_has_the_data_type_of_the_parts():
    for dtype in (torch.float32, torch.float64):
        parts = [one.to(dtype) for one in pair()]
        images, labels = random_batch(12, seed=0)
        joint = assemble(parts, calibration=[(images, labels)])  # images of another data type are taken too
        assert joint(images.to(dtype)).dtype == joint.head.weight.dtype == dtype


def test_options_and_parts_that_make_no_sense_are_refused():
    for name, value in (
        ("layout", "stacked"),
        ("scaling", "both"),
        ("head", "svm"),
        ("labels", "words"),
        ("on_clash", "last"),
    ):
        with pytest.raises(BadConfig, match=f"{name} '{value}' is unknown; use one of"):
            assemble(pair(), **{name: value})
    with pytest.raises(BadConfig, match="no component to assemble"):
        assemble([])
    with pytest.raises(BadConfig, match="part 2 is a Pixels, not a component"):
        assemble([pair()[0], pair()[1].module])
