"""VGG-16 with BatchNorm for images of 32 to 64 pixels (Simonyan and Zisserman, 2015)."""

from torch import Tensor, nn

from model_lego.models.layers import scaled

#: Channels of the convolutions at width 1; "M" halves the map.
STAGES = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")


class VGG16(nn.Module):
    """Thirteen 3x3 convolutions and three linear layers; keys are numbered as in torchvision's vgg16_bn."""

    def __init__(
        self, num_classes: int = 10, *, width: float = 1.0, in_channels: int = 3, image_size: int = 32
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for stage in STAGES:
            if isinstance(stage, str):
                layers.append(nn.MaxPool2d(2))
                continue
            out = scaled(stage, width)
            layers += [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
            channels = out
        self.features = nn.Sequential(*layers)
        hidden = scaled(2048, width)
        self.classifier = nn.Sequential(
            nn.Linear(channels * (image_size // 32) ** 2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, batch x classes."""
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits
