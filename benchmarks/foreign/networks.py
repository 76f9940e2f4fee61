"""The networks to try, as networks.yaml lists them: packages with their versions, authors, and why they were chosen."""

import functools
import importlib
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

LIST = Path(__file__).with_name("networks.yaml")


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the list: what is tried of it, and why it is there."""

    name: str
    version: str
    author: str
    why: str


@dataclass(frozen=True, slots=True)
class Network:
    """A published network: `maker` ("module:function") builds it from plain arguments, without weights."""

    name: str
    package: Package
    maker: str
    arguments: Mapping[str, Any]
    channels: int = 3


@functools.cache
def networks() -> dict[str, Network]:
    """Networks by name, "package:network", in the order of the list."""
    found = {}
    for entry in yaml.safe_load(LIST.read_text()):
        package = Package(entry["package"], str(entry["version"]), entry["author"], entry["why"])
        listed = entry["networks"]
        for name in listed:
            own = listed[name] if isinstance(listed, dict) else {}
            arguments = entry.get("arguments", {}) | own.get("arguments", {})
            network = Network(
                name=f"{package.name}:{name}",
                package=package,
                maker=(own.get("make") or entry["make"]).replace("NAME", name),
                arguments={key: name if value == "NAME" else value for key, value in arguments.items()},
                channels=entry.get("channels", 3),
            )
            found[network.name] = network
    return found


def built(network: Network) -> nn.Module:
    """The network in eval mode, with the same random weights each time; the global random state is left alone."""
    module, _, path = network.maker.partition(":")
    maker: Any = importlib.import_module(module)
    for name in path.split("."):
        maker = getattr(maker, name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: nn.Module = maker(**_arguments(network)).eval()
    return model


def installed(package: Package) -> str | None:
    """The version of a package that is here."""
    try:
        return importlib.metadata.version(package.name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _arguments(network: Network) -> dict[str, Any]:
    """Arguments as a maker wants them: a list of the file is a tuple, but for our own makers."""
    if network.maker.startswith("benchmarks."):
        return dict(network.arguments)
    return {name: tuple(value) if isinstance(value, list) else value for name, value in network.arguments.items()}
