"""What opening a network would fetch, found out without a connection."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from model_lego.hub import repositories as hub
from model_lego.models import of_hub, of_timm, of_torchvision
from model_lego.models.registry import kind_of
from model_lego.names.hub_names import NAME


def would_fetch(name: str) -> str:
    """What the published weights of a network are that are not in the cache, in words; nothing where none are fetched.

    Raises BadConfig for a name that is not there.
    """
    kind, _, plain = name.partition(":")
    kind_of(name)
    return _LACKING[kind](plain) if kind in _LACKING else ""


def _of_torchvision(name: str) -> str:
    file = of_torchvision.file_of(name)
    return "" if _downloaded(file) else f"'{file}' of torchvision"


def _of_timm(name: str) -> str:
    place, file = of_timm.place_of(name)
    if "://" in place:  # of no repository, and in no cache of the Hub
        return "" if _downloaded(file) else f"'{file}' from {place.removesuffix(file)}"
    return "" if not place or hub.is_cached(place, file) else f"'{file}' of {place} on the Hub"


def _of_hub(name: str) -> str:
    parsed = NAME.fullmatch(name)
    if parsed is None or Path(name).is_dir():
        return ""
    repository, revision = parsed.groups()
    weights = any(hub.is_cached(repository, file, revision) for file in (of_hub.WEIGHTS, of_hub.INDEX))
    there = weights and hub.is_cached(repository, of_hub.CONFIG, revision)
    return "" if there else f"configuration and weights of {name} on the Hub"


def _downloaded(file: str) -> bool:
    """Whether a file is where torch keeps what it downloaded."""
    import torch

    return Path(torch.hub.get_dir(), "checkpoints", file).is_file()


_LACKING: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"torchvision": _of_torchvision, "timm": _of_timm, "hf": _of_hub}
)
