"""SimpleNet for images of 32 to 64 pixels (Hasanpour et al., 2016): thirteen plain convolutions."""

from torch import Tensor, nn

from model_lego.models.layers import conv_norm_relu, scaled

#: Channels and kernel of each convolution at width 1; "M" halves the map.
LAYERS: tuple[tuple[int, int] | str, ...] = (
    *((64, 3), (128, 3), (128, 3), (128, 3), "M"),
    *((128, 3), (128, 3), (256, 3), "M"),
    *((256, 3), (256, 3), "M"),
    *((512, 3), "M"),
    *((2048, 1), (256, 1), "M"),
    (256, 3),
)


class SimpleNet(nn.Module):
    """Convolutions with biases, BatchNorm and ReLU; the largest of what is left of each map goes to a linear layer."""

    def __init__(self, num_classes: int = 10, *, width: float = 1.0, in_channels: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for layer in LAYERS:
            if isinstance(layer, str):
                layers += [nn.MaxPool2d(2), nn.Dropout2d(0.1)]
                continue
            out = scaled(layer[0], width)
            layers.append(conv_norm_relu(channels, out, layer[1], bias=True))
            channels = out
        self.features = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1))
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, batch x classes."""
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits
