"""open_network: any network by its name, with its weights and what they say of classes and images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_lego.errors import BadConfig
from model_lego.models.network import Network, Wanted
from model_lego.models.registry import kind_of


def open_network(
    name: str,
    *,
    weights: str | Path | None = None,
    weights_key: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Network:
    """Open a network by its name, `zoo:NAME`, `torchvision:NAME` or `timm:NAME`.

    Args:
        name: what kind of network, and which.
        weights: a file of weights, as people have them; without it the network is untrained.
        weights_key: where in the file they are, such as "ema", where several fit.
        arguments: what it is built with; the number of classes is that of the weights, where nothing is said.

    Raises:
        BadConfig: there is no such network, or none with such arguments.
        BadWeights: the file holds no weights of it.
    """
    if weights_key is not None and weights is None:
        raise BadConfig(f"weights_key '{weights_key}' is a place in a weights file; give that by weights")
    kind, plain = kind_of(name)
    return kind.open(Wanted(plain, dict(arguments or {}), weights=weights, weights_key=weights_key))
