"""What opening a network would fetch, found out without a connection."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from model_lego import hub
from model_lego.hub_names import NAME
from model_lego.models import of_hub, of_timm, of_torchvision
from model_lego.models.registry import kind_of


def would_fetch(name: str) -> str:
    """What the published weights of a network are that are not in the cache, in words; nothing where none are fetched.

    Raises BadConfig for a name that is not there.
    """
    kind, _, plain = name.partition(":")
    kind_of(name)
    return _LACKING[kind](plain) if kind in _LACKING else ""


def _of_torchvision(name: str) -> str:
    import torch

    file = of_torchvision.file_of(name)
    there = Path(torch.hub.get_dir(), "checkpoints", file).is_file()
    return "" if there else f"'{file}' of torchvision"


def _of_timm(name: str) -> str:
    repository, file = of_timm.file_of(name)
    return "" if not repository or hub.is_cached(repository, file) else f"'{file}' of {repository} on the Hub"


def _of_hub(name: str) -> str:
    parsed = NAME.fullmatch(name)
    if parsed is None or Path(name).is_dir():
        return ""
    repository, revision = parsed.groups()
    weights = any(hub.is_cached(repository, file, revision) for file in (of_hub.WEIGHTS, of_hub.INDEX))
    there = weights and hub.is_cached(repository, of_hub.CONFIG, revision)
    return "" if there else f"configuration and weights of {name} on the Hub"


_LACKING: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"torchvision": _of_torchvision, "timm": _of_timm, "hf": _of_hub}
)
