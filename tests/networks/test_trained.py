"""Trained networks: a ResNet-20 that others wrote and trained (akamaster/pytorch_resnet_cifar10, BSD-2), and a VGG-16.

Their weights and CIFAR-10 lie in the shared folder; where that is absent, everything here is skipped.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from model_lego import ChannelGraph, Preprocessing, Thresholds, disassemble, evaluate, trace
from model_lego.cutting.slicing import slice_model
from model_lego.models import build, load_weights
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs, lost
from tests.support.shared_folder import shared

WEIGHTS = "zoo/resnet20-cifar10-akamaster.safetensors"
DATA = "data/cifar10-15k.npz"
ACCURACY = 91.7  # on all 10,000 test images, as its README says
TESTED = 500
NORMS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

VGG_WEIGHTS = "zoo/vgg16-half-cifar10-0to4.safetensors"
VGG_CLASSES = ("airplane", "automobile", "bird", "cat", "deer")  # the first five of CIFAR-10
VGG_NORMS = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)}


class Images(NamedTuple):
    """Images scaled to 0..1, B x 3 x 32 x 32, and labels."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    names: tuple[str, ...]


def some(found, part: str, per_class: int, classes: Iterable[int] = range(10)) -> tuple[Tensor, Tensor]:
    """The first images of each class."""
    labels = found[f"y_{part}"].reshape(-1)
    places = np.sort(np.concatenate([np.flatnonzero(labels == label)[:per_class] for label in classes]))
    pixels = torch.from_numpy(found[f"x_{part}"][places]).permute(0, 3, 1, 2).float() / 255
    return pixels, torch.from_numpy(labels[places]).long()


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """The network as torch itself loads it: strictly, but for BatchNorm's counters, which old files do not have."""
    model = build("zoo:resnet20", num_classes=10)
    saved = safetensors.torch.load_file(shared(WEIGHTS) / WEIGHTS)
    model.load_state_dict({name: tensor.float() for name, tensor in saved.items()}, strict=True)
    return model.eval()


@pytest.fixture(scope="module")
def images() -> Images:
    with np.load(shared(DATA) / DATA) as found:
        names = tuple(str(name) for name in found["class_names"])
        return Images(some(found, "train", 30), some(found, "test", TESTED // 10), names)


@pytest.fixture(scope="module")
def normalised(images: Images) -> Tensor:
    """Test images as the network takes them."""
    return Preprocessing(**NORMS)(images.test[0])


@pytest.fixture(scope="module")
def doubled(network: nn.Module, normalised: Tensor) -> tuple[nn.Module, ChannelGraph]:
    """The network in float64, and its graph."""
    model = build("zoo:resnet20", num_classes=10).double().eval()
    model.load_state_dict(network.state_dict())
    return model, trace(model, normalised[:2].double())


def test_the_weights_fit_tensor_for_tensor(network):
    saved = safetensors.torch.load_file(shared(WEIGHTS) / WEIGHTS)
    loaded = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("batches_tracked")}
    assert saved.keys() == loaded.keys()
    assert all(torch.equal(loaded[name], tensor.float()) for name, tensor in saved.items())
    assert sum(parameter.numel() for parameter in network.parameters()) == 269_722


def test_our_own_reader_of_weights_takes_the_file(network):
    loaded = load_weights(build("zoo:resnet20", num_classes=10), shared(WEIGHTS) / WEIGHTS).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in network.state_dict().items())


def test_it_is_as_accurate_as_its_authors_say(network, normalised, images):
    with torch.no_grad():
        right = (network(normalised).argmax(1) == images.test[1]).float().mean()
    # the standard error of a share of 0.917 among 500 is 1.2 points; three of them, so that only a real fault is seen
    assert 100 * float(right) == pytest.approx(ACCURACY, abs=3.7)


def test_every_hidden_channel_can_be_cut_but_those_of_the_padded_shortcuts(doubled):
    _, graph = doubled
    assert len(graph.layers) == 20
    assert all("padded channels" in freeze.reason for freeze in graph.freezes), graph
    for layer in graph.layers:
        inside = layer.name.startswith("layer") and layer.name.endswith("conv1")
        assert not inside or bool(graph.cuttable[layer.outputs].all()), layer.name


@pytest.mark.parametrize("seed", [0, 1])
def test_a_slice_of_it_is_its_mask(doubled, normalised, seed):
    model, graph = doubled
    x = normalised[40 * seed : 40 * seed + 12].double()
    plan = half_plan(graph, seed=seed, logits=[7, 2, 5])
    groups = lost(graph, plan)
    assert groups
    assert all(count > 0 for count, _ in groups.values()), groups
    expected = masked_forward(model, x, kept_inputs(graph, plan))[:, [7, 2, 5]]
    with torch.no_grad():
        whole, found = model(x)[:, [7, 2, 5]], slice_model(model, graph, plan).module(x)
    largest = expected.abs().max()
    assert (found - expected).abs().max() <= 1e-8 * largest
    assert (expected - whole).abs().max() > 1e-3 * largest


def test_a_component_of_it_is_smaller_and_nearly_as_good(network, images):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train = list(zip(*(part.split(120) for part in images.train), strict=True))
    component = disassemble(
        network,
        train,
        classes=["automobile", "frog"],
        class_names=images.names,
        preprocessing=Preprocessing(**NORMS),
        thresholds=Thresholds(),
    )
    report = evaluate(component, [images.test], class_names=images.names)
    assert component.classes == ("automobile", "frog")
    assert component.origin.cost_after.parameters < component.origin.cost_before.parameters
    assert report.rows[0].accuracy > 90  # 50 is chance
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_two_classes_of_a_vgg_need_less_than_a_quarter_of_it_and_are_told_apart():
    folder = shared(VGG_WEIGHTS, DATA)
    source = load_weights(build("zoo:vgg16", num_classes=5, width=0.5), folder / VGG_WEIGHTS).eval()
    with np.load(folder / DATA) as found:
        assert tuple(found["class_names"][:5]) == VGG_CLASSES
        train, test = some(found, "train", 500, classes=(0, 1)), some(found, "test", 200, classes=(0, 1))
    batches = list(zip(*(part.split(200) for part in train), strict=True))
    component = disassemble(
        source,
        batches,
        classes=["airplane", "automobile"],
        class_names=VGG_CLASSES,
        preprocessing=Preprocessing(**VGG_NORMS),
        thresholds=Thresholds(),
    )
    cut, whole = (sum(parameter.numel() for parameter in model.parameters()) for model in (component, source))
    assert cut <= 0.225 * whole
    assert len(test[0]) == 400
    with torch.no_grad():
        right = (component.eval()(test[0]).argmax(1) == test[1]).float().mean()
    assert float(right) >= 0.975
