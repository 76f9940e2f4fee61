"""Networks in their small-image forms, and how to build one from its name."""

from model_lego.models.registry import build, build_from, image_shape
from model_lego.models.weights import load_weights

__all__ = ["build", "build_from", "image_shape", "load_weights"]
