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
    pretrained: bool = False,
    weights: str | Path | None = None,
    weights_key: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Network:
    """Open a network: `zoo:NAME`, `torchvision:NAME[.TAG]`, `timm:NAME[.TAG]`, `hf:ORG/NAME[@REVISION]`, `hf:FOLDER`.

    Class names and preprocessing come with published weights, and with those of a file that have as many classes.

    Args:
        name: what kind of network, and which.
        pretrained: with the weights that its library publishes, from the library's cache; they are fetched where they
            are not in it, which nothing else here does.
        weights: a file of weights, as people have them; without either the network is untrained.
        weights_key: where in the file they are, such as "ema", where several fit.
        arguments: what it is built with; the number of classes is that of the weights, where nothing is said.

    Raises:
        BadConfig: there is no such network, none with such arguments, or none with such published weights.
        BadWeights: the file holds no weights of it.
        CannotFetch: the weights are not in the cache, and cannot be fetched.
    """
    if weights_key is not None and weights is None:
        raise BadConfig(f"weights_key '{weights_key}' is a place in a weights file; give that by weights")
    if pretrained and weights is not None:
        raise BadConfig(f"weights='{weights}' and pretrained=True are two sets of weights; give one of them")
    kind, plain = kind_of(name)
    return kind.open(Wanted(plain, dict(arguments or {}), pretrained, weights, weights_key))
