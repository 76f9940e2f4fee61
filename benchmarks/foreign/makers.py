"""How networks are built where a package has no function that gives a classifier of ten classes without weights."""

import importlib
import itertools
from typing import Any

from torch import Tensor, nn

CLASSES = 10


def transformers_classifier(kind: str, **config: Any) -> nn.Module:
    """A classifier of transformers from its configuration: its answer is an object with `.logits`."""
    transformers = importlib.import_module("transformers")
    settings = getattr(transformers, f"{kind}Config")(num_labels=CLASSES, **config)
    network: nn.Module = getattr(transformers, f"{kind}ForImageClassification")(settings)
    return network


def cadene(name: str) -> nn.Module:
    """A network of pretrainedmodels, which has 1,000 classes until its last layer is another one."""
    maker = getattr(importlib.import_module("pretrainedmodels"), name)
    network: nn.Module = maker(num_classes=1000, pretrained=None)
    last = network.last_linear
    if isinstance(last, nn.Conv2d):
        network.last_linear = nn.Conv2d(last.in_channels, CLASSES, last.kernel_size)  # type: ignore[arg-type]
    else:
        assert isinstance(last, nn.Linear)
        network.last_linear = nn.Linear(last.in_features, CLASSES)
    return network


class Encoder(nn.Module):
    """An encoder of segmentation_models_pytorch with pooling and a linear layer behind its last map."""

    def __init__(self, name: str) -> None:
        super().__init__()
        encoders = importlib.import_module("segmentation_models_pytorch.encoders")
        self.encoder = encoders.get_encoder(name, weights=None)
        self.head = nn.Linear(self.encoder.out_channels[-1], CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        logits: Tensor = self.head(self.encoder(x)[-1].mean((2, 3)))
        return logits


def openmmlab(backbone: str, width: Any, head: str = "LinearClsHead", **settings: Any) -> nn.Module:
    """A classifier of mmpretrain: backbone, neck (global pooling, if nothing else is named) and head."""
    importlib.import_module("mmpretrain.models")
    neck = settings.pop("neck", {"type": "GlobalAveragePooling"})
    parts = {
        "type": "ImageClassifier",
        "backbone": {"type": backbone, **settings},
        "neck": neck,
        "head": {"type": head, "num_classes": CLASSES, "in_channels": width},
    }
    network: nn.Module = importlib.import_module("mmpretrain.registry").MODELS.build(parts)
    return network


def mitorch(name: str) -> nn.Module:
    """A network of mitorch-models by its name."""
    network: nn.Module = importlib.import_module("mitorch.models").ModelFactory.create(name, CLASSES)
    return network


def by_name(package: str, kind: str, name: str) -> nn.Module:
    """A network of a package that has `from_name`."""
    network: nn.Module = getattr(importlib.import_module(package), kind).from_name(name, {"num_classes": CLASSES})
    return network


def efficientnet(package: str, name: str) -> nn.Module:
    """A network of one of the packages with a class EfficientNet."""
    kind = importlib.import_module(package).EfficientNet
    network: nn.Module = kind.from_name(name, num_classes=CLASSES)
    return network


def labml_resnet(**arguments: Any) -> nn.Module:
    """A residual network of labml_nn, which ends in features, with a linear layer behind."""
    base = importlib.import_module("labml_nn.resnet").ResNetBase(**arguments)
    return nn.Sequential(base, nn.Linear(arguments["n_channels"][-1], CLASSES))


def labml_conv_mixer(width: int = 32, depth: int = 3) -> nn.Module:
    """A mixer by convolutions of labml_nn."""
    parts = importlib.import_module("labml_nn.conv_mixer")
    layer, patches = parts.ConvMixerLayer(width, 5), parts.PatchEmbeddings(width, 4, 3)
    network: nn.Module = parts.ConvMixer(layer, depth, patches, parts.ClassificationHead(width, CLASSES))
    return network


def kornia_mobile_vit() -> nn.Module:
    """A feature network of kornia with pooling and a linear layer behind."""
    base = importlib.import_module("kornia.models.vit_mobile").MobileViT(mode="xxs")
    return nn.Sequential(base, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(320, CLASSES))


def airbench94() -> nn.Module:
    """The network of airbench's 94 % record, put together as `make_net94` does, which asks for a graphics card."""
    parts = importlib.import_module("airbench.lib_airbench94")
    widths = parts.hyp["net"]["widths"]
    ends = [24, widths["block1"], widths["block2"], widths["block3"]]
    groups = [parts.ConvGroup(*pair, parts.hyp["net"]["batchnorm_momentum"]) for pair in itertools.pairwise(ends)]
    return nn.Sequential(
        parts.Conv(3, 24, 2, padding=0, bias=True),
        nn.GELU(),
        *groups,
        nn.MaxPool2d(3),
        parts.Flatten(),
        nn.Linear(ends[-1], CLASSES, bias=False),
        parts.Mul(parts.hyp["net"]["scaling_factor"]),
    )


def augshuffle() -> nn.Module:
    """A feature network of augshufflenet_pytorch with a linear layer behind."""
    base = importlib.import_module("augshufflenet_pytorch").AugShuffleNet0_5x()
    return nn.Sequential(base, nn.Linear(192, CLASSES))


def tower(**arguments: Any) -> nn.Module:
    """The image tower of a CLIP network, its embedding taken for logits."""
    network: nn.Module = importlib.import_module("open_clip.modified_resnet").ModifiedResNet(
        output_dim=CLASSES, **arguments
    )
    return network
