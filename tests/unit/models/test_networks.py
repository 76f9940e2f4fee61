"""The paper's networks: how many parameters they have, counted by hand, and what they take and give."""

import itertools

import pytest
import torch

from model_lego.models import build


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


@pytest.mark.parametrize("name", ["zoo:resnet20", "zoo:vgg16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_for_images_of_32_pixels(name, channels):
    assert shape(name, 32, channels=channels, in_channels=channels, width=0.125, num_classes=6) == (2, 6)


@pytest.mark.parametrize("name", ["zoo:lenet5", "zoo:resnet20", "zoo:vgg16"])
def test_no_width_is_so_small_that_a_layer_has_no_channel(name):
    model = build(name, width=0.001)
    assert all(tensor.numel() for tensor in model.parameters())
