"""Reading weights: safetensors or plain state dicts, all or nothing."""

import pytest
import safetensors.torch
import torch
from torch import nn

from model_lego.errors import BadWeights
from model_lego.models import build, load_weights
from model_lego.models.weights import infer_classes


def network(classes=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(classes)
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, classes))


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def fresh():
    """A network with other weights than `network()`."""
    model = network()
    for parameter in model.parameters():
        parameter.data += 1
    return model


def test_safetensors(tmp_path, fresh):
    safetensors.torch.save_file(network().state_dict(), tmp_path / "a.safetensors")
    assert same(load_weights(fresh, tmp_path / "a.safetensors").state_dict(), network().state_dict())


def test_halves_become_what_the_network_has(tmp_path, fresh):
    safetensors.torch.save_file(network().half().state_dict(), tmp_path / "half.safetensors")
    loaded = load_weights(fresh, tmp_path / "half.safetensors").state_dict()
    assert loaded["3.weight"].dtype == torch.float32
    assert loaded["1.num_batches_tracked"].dtype == torch.int64
    assert torch.equal(loaded["3.weight"], network().state_dict()["3.weight"].half().float())


def test_files_from_before_batchnorm_counted_its_batches(tmp_path, fresh):
    state = network().state_dict()
    counter = state.pop("1.num_batches_tracked")
    safetensors.torch.save_file(state, tmp_path / "old.safetensors")
    loaded = load_weights(fresh, tmp_path / "old.safetensors").state_dict()
    assert same(loaded, {**state, "1.num_batches_tracked": counter})


def test_a_missing_file(tmp_path):
    with pytest.raises(BadWeights, match="does not exist"):
        infer_classes(tmp_path / "a.safetensors")


ARGUMENTS = {"zoo:lenet5": {}, "zoo:resnet20": {"width": 0.25}, "zoo:vgg16": {"width": 0.0625}}


@pytest.mark.parametrize("name", [*ARGUMENTS, "torchvision:squeezenet1_1", "torchvision:shufflenet_v2_x0_5"])
def test_the_number_of_classes_is_read_off_the_weights(tmp_path, name):
    model = build(name, num_classes=7, **ARGUMENTS.get(name, {}))
    safetensors.torch.save_file(model.state_dict(), tmp_path / "a.safetensors")
    assert infer_classes(tmp_path / "a.safetensors") == 7


@pytest.mark.parametrize("prefix", ["net.", "classifier.", "model.head."])
@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "vit_b_16"])
def test_a_prefix_that_is_called_like_a_head_is_none(tmp_path, name, prefix):
    with torch.device("meta"):
        shapes = build(f"torchvision:{name}", num_classes=7).state_dict()
    state = {prefix + key: torch.zeros(()).expand(tensor.shape) for key, tensor in shapes.items()}
    torch.save(state, tmp_path / "a.pt")
    assert infer_classes(tmp_path / "a.pt") == 7


def test_a_layer_within_a_block_is_no_head(tmp_path):
    inner = {"layer4.1.se.fc.0.weight": torch.zeros(5, 8), "layer4.1.se.fc.2.weight": torch.zeros(8, 5)}
    torch.save({"fc.weight": torch.zeros(3, 8), **inner}, tmp_path / "a.pt")
    assert infer_classes(tmp_path / "a.pt") == 3


#: timm's heads behind which a norm, another "fc", or something else than "head" or "fc", comes by name.
LATE = ("convnext_atto", "poolformer_s12", "legacy_seresnet18", "efficientvit_b0", "hgnet_tiny", "levit_128")


@pytest.mark.parametrize("name", LATE)
def test_the_number_of_classes_is_read_off_the_weights_of_timm(tmp_path, name):
    timm = pytest.importorskip("timm", reason="timm is not installed")
    with torch.device("meta"):
        shapes = timm.create_model(name, num_classes=7).state_dict()
    state = {key: torch.zeros(()).expand(tensor.shape) for key, tensor in shapes.items()}
    torch.save(state, tmp_path / "a.pt")
    assert infer_classes(tmp_path / "a.pt") == 7


def test_layer_ten_comes_behind_layer_two(tmp_path):
    torch.save({"2.weight": torch.zeros(5, 3), "10.weight": torch.zeros(4, 5)}, tmp_path / "a.pt")
    assert infer_classes(tmp_path / "a.pt") == 4


def test_weights_without_a_matrix_do_not_tell_the_number_of_classes(tmp_path):
    torch.save({"conv.weight": torch.zeros(5, 3, 3, 3)}, tmp_path / "a.pt")
    assert infer_classes(tmp_path / "a.pt") is None
