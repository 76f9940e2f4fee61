"""The paper's networks: how many parameters they have, counted by hand, and what they take and give."""

import itertools

import pytest
import torch

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.models import build
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs
from tests.support.plans import lost as lost_channels
from tests.support.tiny_models import randomize_batchnorm, strengthen


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def shape(name, side, *, channels=3, **arguments):
    """The shape of a network's logits on two images, with its parameters left out of the sum."""
    model = build(name, **arguments).eval()
    with torch.no_grad():
        return tuple(model(torch.zeros(2, channels, side, side)).shape)


def test_lenet5_has_the_parameters_of_its_paper():
    # 5x5 convolutions 1 -> 6 -> 16: 6 (25 + 1) = 156 and 16 (6 x 25 + 1) = 2,416; the first is padded by two, so that
    # 28 pixels give 16 maps of 5 x 5 = 400 features; linear layers 400 -> 120 -> 84 -> 10: 48,120 + 10,164 + 850
    assert 156 + 2_416 + 48_120 + 10_164 + 850 == 61_706
    assert count(build("zoo:lenet5", batch_norm=False)) == 61_706
    # a BatchNorm has a weight and a bias a channel: 2 (6 + 16)
    assert count(build("zoo:lenet5")) == 61_706 + 44


def test_lenet5_of_another_size_colour_and_number_of_classes():
    # 32 pixels: 32 -> 16 -> 12 -> 6, so 16 x 6 x 6 = 576 features; colour: 6 (3 x 25 + 1); seven classes: 84 x 7 + 7
    model = build("zoo:lenet5", num_classes=7, in_channels=3, image_size=32, batch_norm=False)
    assert count(model) == 6 * 76 + 2_416 + (576 * 120 + 120) + 10_164 + 595
    assert shape("zoo:lenet5", 32, num_classes=7, in_channels=3, image_size=32) == (2, 7)


def test_resnet20_has_the_parameters_of_its_paper():
    # 3x3 convolutions without biases. Stem 3 x 16 x 9 = 432. Stage 1: six of 16 x 16 x 9 = 2,304. Stage 2: one of
    # 16 x 32 x 9 = 4,608, five of 32 x 32 x 9 = 9,216. Stage 3: 32 x 64 x 9 = 18,432, five of 64 x 64 x 9 = 36,864.
    convolutions = 432 + 6 * 2_304 + 4_608 + 5 * 9_216 + 18_432 + 5 * 36_864
    # BatchNorm, two numbers a channel: seven of 16, six of 32, six of 64. Linear 64 -> 10. Shortcuts have none.
    norms, head = 2 * (7 * 16 + 6 * 32 + 6 * 64), 650
    assert convolutions + norms + head == 269_722
    assert count(build("zoo:resnet20")) == 269_722


def test_resnet20_has_twenty_layers_and_no_parameters_in_its_shortcuts():
    names = [name for name, tensor in build("zoo:resnet20").named_parameters() if tensor.dim() > 1]
    assert len(names) == 20
    assert not any("shortcut" in name or "downsample" in name for name in names)


def test_a_padded_shortcut_skips_pixels_and_puts_zero_channels_on_both_sides():
    from model_lego.models.resnet import PaddedBlock

    block = PaddedBlock(4, 8, 2).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 4, 6, 6)
    with torch.no_grad():
        y = block(x)
    assert torch.equal(y[0, 2:6], x[0, :, ::2, ::2])
    assert not y[0, [0, 1, 6, 7]].any()


def vgg16_parameters(width):
    """Thirteen 3x3 convolutions with biases and BatchNorm, 512 -> 2048 -> 2048 -> 10 behind them, times the width."""
    planes = [int(width * n) for n in (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)]
    hidden = int(2048 * width)
    convolutions = sum(9 * i * o + 3 * o for i, o in itertools.pairwise([3, *planes]))
    return convolutions + (planes[-1] + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * 10


@pytest.mark.parametrize("width", [0.125, 0.5])
def test_vgg16_at_a_fraction_of_its_width(width):
    assert count(build("zoo:vgg16", width=width)) == vgg16_parameters(width)


def test_vgg16_for_images_of_64_pixels():
    # five poolings leave maps of 2 x 2: four times as many features go into the first linear layer
    assert shape("zoo:vgg16", 64, width=0.125, image_size=64, num_classes=6) == (2, 6)
    more = count(build("zoo:vgg16", width=0.125, image_size=64)) - count(build("zoo:vgg16", width=0.125))
    assert more == 3 * 64 * 256


def test_vgg16_has_the_convolutions_of_its_paper():
    # 14,714,688 kernels and biases of thirteen convolutions (as in every ImageNet VGG-16) and 8,448 numbers of norms
    with torch.device("meta"):
        features = build("zoo:vgg16").features
    assert count(features) == 14_714_688 + 8_448


def test_vgg16_at_half_its_width_has_the_layers_of_the_plan():
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in build("zoo:vgg16", width=0.5, num_classes=5).state_dict().items()}
    assert shapes["features.0.weight"] == (32, 3, 3, 3)
    assert shapes["features.40.weight"] == (256, 256, 3, 3)
    assert shapes["features.41.running_mean"] == (256,)
    assert shapes["classifier.0.weight"] == (1024, 256)
    assert shapes["classifier.6.weight"] == (5, 1024)


def test_vgg16_numbers_its_layers_as_torchvision_does():
    from torchvision.models import vgg16_bn

    with torch.device("meta"):
        theirs, ours = vgg16_bn(weights=None).state_dict(), build("zoo:vgg16").state_dict()
    assert list(ours) == list(theirs)
    features = [name for name in ours if name.startswith("features")]
    assert [ours[name].shape for name in features] == [theirs[name].shape for name in features]


#: The small-image forms, counted by others: AlexNet with one linear layer, ResNet-50 and MobileNet with a 3x3 stem.
PUBLISHED = {"alexnet": 2_472_266, "resnet50": 23_520_842, "mobilenet": 3_217_226}


@pytest.mark.parametrize("name", PUBLISHED)
def test_small_image_forms_have_the_parameters_that_are_published(name):
    assert count(build(f"zoo:{name}")) == PUBLISHED[name]


def test_googlenet_has_the_parameters_that_are_published():
    # counted elsewhere with a bias at every convolution, which BatchNorm makes idle: 6,166,250
    model = build("zoo:googlenet")
    biases = sum(module.out_channels for module in model.modules() if isinstance(module, torch.nn.Conv2d))
    assert count(model) + biases == 6_166_250


def test_simplenet_has_the_parameters_of_its_paper():
    # the paper says 5.48 M: kernels and biases of thirteen convolutions, and a linear layer
    model = build("zoo:simplenet")
    norms = sum(2 * module.num_features for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d))
    planes = (3, 64, 128, 128, 128, 128, 128, 256, 256, 256, 512, 2048, 256, 256)
    kernels = (9,) * 10 + (1, 1, 9)
    by_hand = sum((i * k + 1) * o for (i, o), k in zip(itertools.pairwise(planes), kernels, strict=True)) + 2_570
    assert count(model) - norms == by_hand
    assert 5_480_000 <= by_hand < 5_490_000


SMALL = ["zoo:alexnet", "zoo:resnet50", "zoo:googlenet", "zoo:mobilenet", "zoo:simplenet"]


@pytest.mark.parametrize("name", SMALL)
def test_small_image_forms_take_64_pixels_too(name):
    assert shape(name, 64, width=0.125, num_classes=6) == (2, 6)


@pytest.mark.parametrize("name", SMALL)
def test_small_image_forms_can_be_taken_apart(name):
    model = build(name, width=0.125).double().eval()
    strengthen(model)
    randomize_batchnorm(model, torch.Generator().manual_seed(0))
    x = torch.randn(3, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    graph = trace(model, x)
    assert not graph.freezes
    plan = half_plan(graph, seed=0, logits=[7, 2, 5])
    assert all(lost for lost, _ in lost_channels(graph, plan).values())
    expected = masked_forward(model, x, kept_inputs(graph, plan))[:, [7, 2, 5]]
    with torch.no_grad():
        found = slice_model(model, graph, plan).module(x)
    assert (found - expected).abs().max() <= 1e-8 * expected.abs().max()


@pytest.mark.parametrize("name", ["zoo:resnet20", "zoo:vgg16", *SMALL])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_for_images_of_32_pixels(name, channels):
    assert shape(name, 32, channels=channels, in_channels=channels, width=0.125, num_classes=6) == (2, 6)


@pytest.mark.parametrize("name", ["zoo:lenet5", "zoo:resnet20", "zoo:vgg16", *SMALL])
def test_no_width_is_so_small_that_a_layer_has_no_channel(name):
    model = build(name, width=0.001)
    assert all(tensor.numel() for tensor in model.parameters())
