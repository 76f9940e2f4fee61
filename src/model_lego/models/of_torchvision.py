"""Networks of torchvision by name, `torchvision:NAME` or with the weights that are meant, `torchvision:NAME.TAG`."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from model_lego.models.names import unknown, unknown_tag, without_tag
from model_lego.models.network import Network, Wanted
from model_lego.models.published import Library, Published, fetching, open_published
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.provenance import Provenance

#: Arguments that weights decide, and that the networks which take them keep as attributes.
OF_WEIGHTS = ("aux_logits", "image_size", "transform_input")


def names() -> list[str]:
    """The classifiers that torchvision has."""
    import torchvision

    found: list[str] = torchvision.models.list_models(module=torchvision.models)
    return found


def build(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Build one untrained; raises BadConfig for a name or a tag that is not there, and as torchvision does."""
    import torchvision

    _weights(name)
    plain, _ = without_tag(name)
    if plain in ("googlenet", "inception_v3"):
        arguments = {"init_weights": False} | arguments
    model: nn.Module = torchvision.models.get_model(plain, weights=None, **arguments)
    return model


def image_shape(builder: Builder, _: nn.Module) -> tuple[int, int, int]:
    """Channels, height and width of the images that its published weights were trained for."""
    side = int(_weights(builder.name.partition(":")[2]).transforms.keywords["crop_size"])
    return 3, side, side


def open_named(wanted: Wanted) -> Network:
    """Open one with published weights, with those of a file, or untrained."""
    return open_published(Library("torchvision", build, published, _fetch), wanted)


def _weights(name: str) -> Any:
    """The weights that a name means, torchvision's best ones where it has no tag."""
    import torchvision

    plain, tag = without_tag(name)
    if plain not in names():
        raise unknown(f"torchvision:{name}", names())
    known = torchvision.models.get_model_weights(plain)
    if tag and tag != "DEFAULT" and tag not in known.__members__:
        raise unknown_tag(f"torchvision:{name}", list(known.__members__))
    return known[tag or "DEFAULT"]


def published(name: str, _: Mapping[str, Any]) -> Published:
    """What the weights that a name means say of classes and images."""
    weights = _weights(name)
    how, classes = weights.transforms(), tuple(weights.meta["categories"] or ())
    preprocessing = Preprocessing(
        how.mean, how.std, how.resize_size[0], how.crop_size[0], interpolation=how.interpolation.value
    )
    licence = weights.meta.get("license")  # few have one; it is a page then
    whose = Provenance(licences=(licence,) if licence else (), revisions=(weights.name,))
    return Published(f"torchvision's {weights}", len(classes), classes or None, preprocessing, whose=whose)


def file_of(name: str) -> str:
    """The file in torchvision's cache with the weights that a name means."""
    return str(_weights(name).url.rpartition("/")[2])


def _fetch(name: str, arguments: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    import torch
    import torchvision

    weights, plain, file = _weights(name), without_tag(name)[0], file_of(name)
    with fetching(f"the weights of torchvision:{name} ('{file}')", f"{torch.hub.get_dir()}/checkpoints", "TORCH_HOME"):
        weights.get_state_dict(progress=False, check_hash=True, weights_only=True)  # from here on they are in the cache
    model = torchvision.models.get_model(plain, weights=weights, progress=False, **arguments)
    decided = {key: getattr(model, key) for key in OF_WEIGHTS if hasattr(model, key)}
    return model, {"num_classes": len(weights.meta["categories"])} | decided | arguments
