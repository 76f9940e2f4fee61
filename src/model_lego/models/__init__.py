"""Networks in their small-image forms, and how to build one from its name."""

from model_lego.models.registry import build, build_from
from model_lego.models.weights import load_weights

__all__ = ["build", "build_from", "load_weights"]
