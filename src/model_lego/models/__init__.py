"""Networks in their small-image forms, and how to build or open one from its name."""

from model_lego.models.network import Network
from model_lego.models.opening import open_network
from model_lego.models.registry import build, build_from, image_shape
from model_lego.models.weights import load_weights

__all__ = ["Network", "build", "build_from", "image_shape", "load_weights", "open_network"]
