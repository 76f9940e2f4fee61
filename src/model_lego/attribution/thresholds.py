"""Thresholds of equations (5) and (8)."""

from dataclasses import dataclass

from model_lego.errors import BadConfig
from model_lego.graph import Layer


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where soft relevance becomes hard: alpha for aggregation (5), beta for allocation (8); the published defaults."""

    conv_alpha: float = 0.3
    conv_beta: float = 0.2
    linear_alpha: float = 0.4
    linear_beta: float = 0.3

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise BadConfig(f"threshold {name} is {value}; it has to lie between 0 and 1")

    def of(self, layer: Layer) -> tuple[float, float]:
        """Alpha and beta for a layer: linear ones have their own."""
        return (self.linear_alpha, self.linear_beta) if layer.window.linear else (self.conv_alpha, self.conv_beta)
