"""A LeNet for small images (LeCun et al., 1998), with ReLU, max pooling and, by choice, BatchNorm."""

import torch
from torch import Tensor, nn


class LeNet5(nn.Module):
    """Two 5x5 convolutions and three linear layers; 28 x 28 pixels by default."""

    def __init__(
        self,
        num_classes: int = 10,
        *,
        width: float = 1.0,
        in_channels: int = 1,
        image_size: int = 28,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        first, second = max(1, int(6 * width)), max(1, int(16 * width))
        self.features = nn.Sequential(
            *_block(in_channels, first, batch_norm, padding=2),
            *_block(first, second, batch_norm, padding=0),
        )
        with torch.no_grad():
            size = self.features.eval()(torch.zeros(1, in_channels, image_size, image_size)).numel()
        self.features.train()
        hidden = (max(1, int(120 * width)), max(1, int(84 * width)))
        self.classifier = nn.Sequential(
            nn.Linear(size, hidden[0]),
            nn.ReLU(inplace=True),
            nn.Linear(hidden[0], hidden[1]),
            nn.ReLU(inplace=True),
            nn.Linear(hidden[1], num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, batch x classes."""
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits


def _block(channels: int, out: int, batch_norm: bool, padding: int) -> list[nn.Module]:
    norm: list[nn.Module] = [nn.BatchNorm2d(out)] if batch_norm else []
    return [nn.Conv2d(channels, out, 5, padding=padding), *norm, nn.ReLU(inplace=True), nn.MaxPool2d(2)]
