"""AlexNet for images of 32 to 64 pixels (Krizhevsky et al., 2012): five convolutions and one linear layer."""

from torch import Tensor, nn

from model_lego.models.layers import scaled


class AlexNet(nn.Module):
    """The convolutions of the original on small maps, without its two wide linear layers."""

    def __init__(self, num_classes: int = 10, *, width: float = 1.0, in_channels: int = 3) -> None:
        super().__init__()
        a, b, c, d = (scaled(channels, width) for channels in (64, 192, 384, 256))
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, a, 11, stride=4, padding=5),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(a, b, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(b, c, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c, d, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(d, d, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveMaxPool2d(1),
        )
        self.classifier = nn.Linear(d, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, batch x classes."""
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits
