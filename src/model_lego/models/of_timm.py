"""Networks of timm by name, `timm:NAME` or with the weights that are meant, `timm:NAME.TAG`."""

import importlib
import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, get_args
from urllib.parse import urlparse

from torch import nn

from model_lego.data.imagenet import imagenet_names
from model_lego.errors import BadConfig
from model_lego.hub import repositories as hub
from model_lego.models.names import unknown, unknown_tag, without_tag
from model_lego.models.network import Network, Wanted
from model_lego.models.published import Library, Published, distinct, fetching, open_published
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.provenance import Provenance
from model_lego.pictures.sides import Interpolation


def names() -> list[str]:
    """The networks that timm has; none where it is not installed."""
    return [] if importlib.util.find_spec("timm") is None else list(_timm().list_models())


def build(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Build one untrained; raises BadConfig for a name or a tag that is not there, and as timm does."""
    _check(name)
    model: nn.Module = _timm().create_model(name, pretrained=False, **arguments)
    return model


def image_shape(builder: Builder, model: nn.Module) -> tuple[int, int, int]:
    """Channels, height and width of the images that its published weights were trained for."""
    channels, height, width = model.pretrained_cfg["input_size"]  # type: ignore[index]
    return int(builder.arguments.get("in_chans", channels)), int(height), int(width)


def open_named(wanted: Wanted) -> Network:
    """Open one with published weights, with those of a file, or untrained."""
    return open_published(Library("timm", build, _published, _fetch), wanted)


def _timm() -> Any:
    """The package, which is an extra; raises BadConfig where it is not installed."""
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise BadConfig("timm networks need the extra: pip install model-lego[timm]") from error


def _check(name: str) -> None:
    """Refuse a name or a tag that timm does not have; raises BadConfig."""
    timm, (plain, tag) = _timm(), without_tag(name)
    if plain not in names():
        raise unknown(f"timm:{name}", names())
    tags = [without_tag(each)[1] for each in timm.models.get_arch_pretrained_cfgs(plain)]
    if tag and tag not in tags:
        raise unknown_tag(f"timm:{name}", [each for each in tags if each])


def _published(name: str, arguments: Mapping[str, Any]) -> Published | None:
    _check(name)
    found = _timm().models.get_pretrained_cfg(name)
    if found is None or not found.has_weights:
        return None
    called = f"{found.architecture}.{found.tag}" if found.tag else name
    return said_by(found.to_dict(), f"timm's {called}", arguments)


def _fetch(name: str, arguments: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    timm = _timm()
    config = timm.models.get_pretrained_cfg(name)
    with fetching(f"the weights of timm:{name} ({config.hf_hub_id or config.url})", hub.cache(), "HF_HUB_CACHE"):
        file = _safetensors(config)
        overlay = None if file is None else {"file": str(file), "custom_load": False}
        model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **arguments)
    return model, {"num_classes": model.num_classes} | arguments


def place_of(name: str) -> tuple[str, str]:
    """Where the weights that a name means are, and their file: a repository on the Hub, an address, or nowhere ("")."""
    _check(name)
    config = _timm().models.get_pretrained_cfg(name)
    if config is None or not (config.hf_hub_id or config.url):
        return "", ""
    if config.hf_hub_id:
        return config.hf_hub_id, config.hf_hub_filename or "model.safetensors"
    return config.url, PurePosixPath(urlparse(config.url).path).name


def _safetensors(config: Any) -> Path | None:
    """The file of published weights; None where timm has them elsewhere or in another form, which it reads itself."""
    from huggingface_hub.errors import RemoteEntryNotFoundError

    file = config.hf_hub_filename or "model.safetensors"
    if not config.hf_hub_id or not file.endswith(".safetensors"):
        return None
    try:
        return hub.fetched(config.hf_hub_id, file)
    except RemoteEntryNotFoundError:
        return None


def said_by(config: Mapping[str, Any], origin: str, arguments: Mapping[str, Any]) -> Published:
    """What timm's configuration of pretrained weights says, of a network that is built with some arguments."""
    side = arguments.get("img_size")
    sized = {"img_size": side} if isinstance(side, int) else {"input_size": side and (3, *side)}
    how = _timm().data.resolve_data_config(sized, pretrained_cfg=dict(config))
    channels, *sides = how["input_size"]
    mean, std = how["mean"], how["std"]
    if arguments.get("in_chans", channels) != channels:  # as timm does with weights that it adapts to other channels
        mean, std = ((sum(each) / len(each),) for each in (mean, std))
    crop = (sides[0], sides[1])
    whole = (math.floor(sides[0] / how["crop_pct"]), math.floor(sides[1] / how["crop_pct"]))
    shorter = how["crop_mode"] == "center" and whole[0] == whole[1]
    resampled: Any = how["interpolation"] if how["interpolation"] in get_args(Interpolation) else "bicubic"
    unsaid = [
        f"{origin} wants {what} '{wanted}', for which {instead} stands"
        for what, wanted, instead in (
            ("images resampled by", how["interpolation"], resampled),
            ("images cropped by", how["crop_mode"], "center" if shorter else "squash"),
        )
        if wanted != instead
    ]
    preprocessing = Preprocessing(mean, std, whole[0] if shorter else whole, crop, interpolation=resampled)
    classes, names = config["num_classes"], _class_names(config)
    named = names if names and len(names) == classes else None
    licence, tag = config.get("license"), config.get("tag")
    whose = Provenance(licences=(str(licence),) if licence else (), revisions=(str(tag),) if tag else ())
    return Published(origin, classes, named, preprocessing, tuple(unsaid), whose)


def _class_names(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Names of the classes, of the configuration itself, else of ImageNet where their number is one of its subsets."""
    if labels := config.get("label_names"):
        meant = config.get("label_descriptions") or {}
        in_order = [labels[key] for key in sorted(labels, key=int)] if isinstance(labels, Mapping) else list(labels)
        return distinct([meant.get(label, label) for label in in_order], in_order)
    data = _timm().data
    subset = data.infer_imagenet_subset(dict(config))
    if subset is None:
        return None
    if subset == "imagenet-1k":  # as torchvision calls them, so that both libraries' networks have the same classes
        return imagenet_names()
    info = data.ImageNetInfo(subset)
    return distinct(info.label_descriptions(), info.label_names())
