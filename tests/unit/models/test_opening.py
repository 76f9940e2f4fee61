"""Networks by name with published weights, out of caches as their libraries lay them; no network is ever asked."""

import shutil

import pytest
import timm
import torch
import torchvision
from PIL import Image
from torch.nn import functional

import model_lego as ml
from model_lego.errors import BadConfig, BadWeights, CannotFetch
from model_lego.models import build_from, of_timm, of_torchvision
from model_lego.models.published import distinct
from tests.support.caches import only_caches, put_timm, put_torchvision, seeded

SIDE = 64
#: As smooth as a photograph: where it is not, each library rounds and clips in its own way.
PHOTO = functional.interpolate(
    torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0)), (300, 420), mode="bilinear"
)


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Empty caches, and nothing but them."""
    return only_caches(tmp_path, monkeypatch)


def same(one, other):
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(one(images), other(images))


def test_torchvision_with_published_weights(caches):
    published = put_torchvision(caches / "torch", "squeezenet1_1")
    opened = ml.open_network("torchvision:squeezenet1_1", pretrained=True)
    same(opened.model, published)
    assert (opened.trained, opened.classes, opened.class_names[207]) == (True, 1000, "golden retriever")
    assert opened.preprocessing == ml.Preprocessing(
        (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), size=256, crop=(224, 224)
    )
    assert opened.builder == ml.Builder("torchvision:squeezenet1_1", {"num_classes": 1000})
    weights, names, taken = opened.notes
    assert weights == "weights are torchvision's SqueezeNet1_1_Weights.IMAGENET1K_V1"
    assert names.endswith("'tench', 'goldfish' … (1,000 in all)")
    assert "shorter side brought to 256, cropped to 224 x 224" in taken


def test_torchvision_with_weights_by_their_tag(caches):
    published = put_torchvision(caches / "torch", "mobilenet_v2", "IMAGENET1K_V1")
    opened = ml.open_network("torchvision:mobilenet_v2.IMAGENET1K_V1", pretrained=True)
    same(opened.model, published)
    assert opened.preprocessing.size == 256  # 232 in those that are best
    assert opened.builder.name == "torchvision:mobilenet_v2.IMAGENET1K_V1"
    assert type(build_from(opened.builder)) is type(published)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_what_torchvisions_weights_change_about_a_network_is_in_its_builder(name, caches):
    put_torchvision(caches / "torch", name)
    opened = ml.open_network(f"torchvision:{name}", pretrained=True)
    again = build_from(opened.builder)
    again.load_state_dict(opened.model.state_dict())
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(again.eval()(images), opened.model(images))
    assert opened.builder.arguments["transform_input"] is True


@pytest.mark.parametrize("name", ["timm:resnet10t", "timm:resnet10t.c3_in1k"])
def test_timm_with_published_weights(name, caches):
    published = put_timm(caches / "hf", name.partition(":")[2])
    opened = ml.open_network(name, pretrained=True)
    same(opened.model, published)
    assert opened.class_names[:2] == ("tench", "goldfish")
    assert opened.preprocessing == ml.Preprocessing(
        (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), size=201, crop=(176, 176), interpolation="bicubic"
    )
    assert opened.builder == ml.Builder(name, {"num_classes": 1000})
    assert opened.notes[0] == "weights are timm's resnet10t.c3_in1k"


def test_timm_with_other_channels_takes_its_means_as_one(caches):
    put_timm(caches / "hf", "resnet10t")
    opened = ml.open_network("timm:resnet10t", pretrained=True, arguments={"in_chans": 1})
    assert opened.model.conv1[0].weight.shape[1] == 1
    assert opened.preprocessing.mean == pytest.approx([0.449], abs=1e-6)


@pytest.mark.parametrize("name", ["alexnet", "efficientnet_b0", "efficientnet_b2", "swin_v2_t"])
def test_images_are_taken_as_torchvision_takes_them(name):
    weights = torchvision.models.get_model_weights(name).DEFAULT
    said = of_torchvision.published(name, {})
    torch.testing.assert_close(said.preprocessing(PHOTO), weights.transforms()(PHOTO), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["resnet50.a1_in1k", "tf_efficientnet_lite0.in1k", "coat_lite_medium_384.in1k"])
def test_images_are_taken_as_timm_takes_them(name):
    config = timm.models.get_pretrained_cfg(name).to_dict()
    eager = timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=config))
    pixels = (255 * PHOTO).round().to(torch.uint8)
    picture = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
    said = of_timm.said_by(config, name, {})
    torch.testing.assert_close(said.preprocessing(pixels)[0], eager(picture), atol=0.05, rtol=0)  # rounded to uint8


@pytest.mark.parametrize(("classes", "names", "known"), [(1000, ("tench", "goldfish"), True), (5, None, False)])
def test_a_file_with_as_many_classes_as_the_published_weights_has_their_names(tmp_path, classes, names, known):
    network = seeded(lambda: torchvision.models.resnet18(weights=None, num_classes=classes))
    torch.save(network.state_dict(), tmp_path / "own.pth")
    opened = ml.open_network("torchvision:resnet18", weights=tmp_path / "own.pth")
    same(opened.model, network)
    assert (opened.class_names and opened.class_names[:2]) == names
    assert (opened.preprocessing is not None, opened.classes, opened.trained) == (known, classes, True)
    assert [note for note in opened.notes if "has 1,000 classes, as torchvision's ResNet18_Weights" in note] == [
        *opened.notes[:1]
    ]


def test_without_weights_nothing_is_known():
    opened = ml.open_network("timm:resnet10t.c3_in1k")
    assert (opened.trained, opened.class_names, opened.preprocessing, opened.notes) == (False, None, None, ())


def test_a_component_of_published_weights_is_saved_and_loaded_without_them(caches, tmp_path):
    put_timm(caches / "hf", "resnet10t")
    opened = ml.open_network("timm:resnet10t", pretrained=True)
    batches = [(torch.rand(8, 3, SIDE, SIDE), torch.arange(8) % 2)]
    component = ml.disassemble(
        opened.model, batches, classes=[0, 1], class_names=opened.class_names, builder=opened.builder, sampling="all"
    )
    ml.save(component, tmp_path / "part")
    shutil.rmtree(caches / "hf")
    assert ml.load(tmp_path / "part").classes == ("tench", "goldfish")


@pytest.mark.parametrize(
    ("name", "file", "variable"),
    [("torchvision:squeezenet1_1", "squeezenet1_1-b8a52dc0.pth", "TORCH_HOME"), ("timm:resnet10t", "", "HF_HUB_CACHE")],
)
def test_without_a_network_what_is_not_in_the_cache_is_one_clear_refusal(name, file, variable, caches):
    with pytest.raises(CannotFetch) as refused:
        ml.open_network(name, pretrained=True)
    words = str(refused.value)
    assert f"the weights of {name}" in words
    assert str(caches) in words
    assert file in words
    assert f"the environment's {variable}, or give weights=FILE" in words
    assert "\n" not in words


def test_a_file_of_the_cache_that_is_no_weights(caches):
    put_torchvision(caches / "torch", "squeezenet1_1")
    file = next((caches / "torch").rglob("*.pth"))
    file.write_bytes(b"cut off")
    with pytest.raises(BadWeights, match=r"cannot be read: .*; if the file in '.*checkpoints' is damaged, remove it"):
        ml.open_network("torchvision:squeezenet1_1", pretrained=True)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("timm:resnet50.a1_1k", {}, "resnet50 has no weights of this tag; did you mean a1_in1k"),
        ("timm:resnet50.a1", {}, "did you mean a1_in1k"),
        ("timm:resnet51.a1_in1k", {}, "did you mean resnet50"),
        ("torchvision:resnet50.IMAGENET1K_V3", {}, "did you mean IMAGENET1K_V2 or IMAGENET1K_V1"),
        ("zoo:lenet5", {"pretrained": True}, "zoo:lenet5 has no published weights; give weights=FILE"),
        ("timm:botnet50ts_256", {"pretrained": True}, "no published weights of a classifier"),
        ("torchvision:vgg16.IMAGENET1K_FEATURES", {"pretrained": True}, "no published weights of a classifier"),
        ("timm:resnet18", {"pretrained": True, "weights": "w.pt"}, "two sets of weights"),
        ("timm:resnet18", {"weights_key": "ema"}, "is a place in a weights file"),
        ("timm:resnet18", {"pretrained": True, "arguments": {"num_classes": 3}}, "with num_classes=3 its last layer"),
        ("timm:resnet18", {"pretrained": True, "arguments": {"checkpoint_path": "x"}}, "would fetch weights"),
    ],
)
def test_what_cannot_be_opened(name, given, words):
    with pytest.raises(BadConfig, match=words):
        ml.open_network(name, **given)


def test_an_argument_that_is_not_taken(caches):
    put_timm(caches / "hf", "resnet10t")
    with pytest.raises(BadConfig, match="timm:resnet10t cannot be built with widht=2"):
        ml.open_network("timm:resnet10t", pretrained=True, arguments={"widht": 2})


def test_names_that_are_there_twice_are_told_apart():
    assert distinct(["crane", "tench", "crane"]) == ("crane (0)", "tench", "crane (2)")
    assert distinct(["crane", "crane"], ["n1", "n2"]) == ("crane (n1)", "crane (n2)")


def test_names_of_larger_sets_of_classes():
    config = timm.models.get_pretrained_cfg("convnext_nano.in12k").to_dict()
    names = of_timm.said_by(config, "it", {}).class_names
    assert (len(names), len(set(names))) == (11821, 11821)
    own = config | {"num_classes": 2, "label_names": ["n1", "n2"], "label_descriptions": {"n1": "cat", "n2": "dog"}}
    assert of_timm.said_by(own, "it", {}).class_names == ("cat", "dog")
    gaps = config | {"num_classes": 3, "label_names": {"0": "cat", "2": "dog"}}
    assert of_timm.said_by(gaps, "it", {}).class_names is None
