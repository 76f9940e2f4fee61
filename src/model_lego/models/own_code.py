"""Networks of the user's own code: `python:PACKAGE.MODULE:CALLABLE` and `python:FILE.py:CALLABLE`.

Such a name is run, so it only ever comes from who calls, never from a file: `build`, by which `load` makes networks,
refuses it.
"""

import difflib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from model_lego.errors import BadConfig
from model_lego.graph.modules import first_parameter
from model_lego.models.importing import import_file, on_path
from model_lego.models.names import MOST_NAMED
from model_lego.models.network import Network, Wanted
from model_lego.models.own_errors import told
from model_lego.models.weights import load_weights
from model_lego.parts.answers import answer_of
from model_lego.parts.origin import OWN_CODE, Builder

FORM = f"{OWN_CODE}FILE.py:CALLABLE"
#: Sides of images that are tried where nothing says which a network takes.
SIDES = (224, 32, 28, 64, 16, 48, 96, 128, 160, 192, 240, 256, 299, 384)


def names() -> Sequence[str]:
    """None that could be suggested."""
    return ()


def build(name: str, _: dict[str, Any]) -> nn.Module:
    """Refuse to run code that a file names; raises BadConfig."""
    raise BadConfig(
        f"'{OWN_CODE}{name}' is code, which runs where the call itself names it, never because a file names it"
    )


def open_own(wanted: Wanted) -> Network:
    """Run the code that is named, and put the weights of a file in, where there is one.

    Without one the network is taken for trained where a second call gives it the same weights. Raises BadConfig,
    BadWeights.
    """
    name = OWN_CODE + wanted.name
    if wanted.pretrained:
        raise BadConfig(f"{name} says itself which weights it has: ask for no pretrained ones, or give a file")
    model = made(name, wanted.arguments)
    alone = wanted.weights is None and _same_weights(model, name, wanted.arguments)
    if wanted.weights is not None:
        load_weights(model, wanted.weights, key=wanted.weights_key)
    return Network(
        model.eval(),
        Builder(name, dict(wanted.arguments)),
        trained=alone or wanted.weights is not None,
        notes=(f"weights are those that {name} gives",) if alone else (),
        logits=next((gave for _, gave in _tried(model)), None),
    )


def made(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The network that the code of a name gives, in any state of training; raises BadConfig.

    What the code prints goes to stderr: stdout is for results.
    """
    place, path = _parts(name)
    with on_path(_folder(place)), redirect_stdout(sys.stderr):
        maker = _maker(name, place, path)
        _check_arguments(name, maker, arguments)
        network = told(name, partial(maker, **arguments))
    if not isinstance(network, nn.Module):
        raise BadConfig(f"{name} gives {_kind(network)}, not a torch.nn.Module; name what gives one")
    return network


def takes(name: str, argument: str) -> bool:
    """Whether the code of a name has a parameter of that name; raises BadConfig."""
    place, path = _parts(name)
    with on_path(_folder(place)), redirect_stdout(sys.stderr):
        return argument in _parameters(_maker(name, place, path))


def image_shape(_: Builder, model: nn.Module) -> tuple[int, int, int]:
    """Channels of the first convolution, and the first of the usual sides that it takes."""
    return next((shape for shape, _ in _tried(model)), (_channels(model), SIDES[0], SIDES[0]))


def _tried(model: nn.Module) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Shapes of images that a network takes, of those that are usual, and how many logits it gives."""
    channels = _channels(model)
    for side in SIDES:
        images = torch.zeros(2, channels, side, side).to(first_parameter(model))
        try:
            logits = answer_of(model, images)
        except Exception:  # code of any kind, which says no in any way
            continue
        yield (channels, side, side), logits.shape[1]


def _channels(model: nn.Module) -> int:
    return next((layer.in_channels for layer in model.modules() if isinstance(layer, _ConvNd)), 3)


def _parts(name: str) -> tuple[str, str]:
    """The file or module of a name, and the dotted path to what it names in it; raises BadConfig."""
    place, _, path = name.removeprefix(OWN_CODE).rpartition(":")
    if not place:
        raise BadConfig(f"'{name}' says no class or function: {name.rstrip(':')}:CALLABLE")
    words = path.split(".") + ([] if _is_file(place) else place.split("."))
    if not all(word.isidentifier() for word in words):
        raise BadConfig(f"'{name}' names no code; use {FORM} or {OWN_CODE}PACKAGE.MODULE:CALLABLE")
    return place, path


def _is_file(place: str) -> bool:
    return place.endswith(".py")


def _folder(place: str) -> Path:
    """What comes first on the path: a file's folder, and for a module the current one, as with `python -m`."""
    return Path(place).expanduser().parent if _is_file(place) else Path.cwd()


def _maker(name: str, place: str, path: str) -> Callable[..., Any]:
    """What makes the network: a class or a function, perhaps of a class; raises BadConfig."""
    here: Any = _file(name, place) if _is_file(place) else _module(name, place)
    for step in path.split("."):
        if not hasattr(here, step):
            raise BadConfig(f"{name}: {_kind(here)} has no '{step}'; {_instead(step, _there(here))}")
        here = getattr(here, step)
    if isinstance(here, nn.Module) or not callable(here):
        raise BadConfig(f"{name} is {_kind(here)}; name a class or a function that gives the network")
    maker: Callable[..., Any] = here
    return maker


def _file(name: str, place: str) -> ModuleType:
    path = Path(place).expanduser()
    if not path.is_file():
        known = [str(path.with_name(file.name)) for file in sorted(path.parent.glob("*.py"))]
        raise BadConfig(f"{name}: there is no file '{path}'; {_instead(str(path), known)}")
    return told(name, partial(import_file, path))


def _module(name: str, place: str) -> ModuleType:
    def run() -> ModuleType | None:
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if f"{place}.".startswith(f"{error.name}."):
                return None
            raise

    found = told(name, run)
    if found is None:
        parent, _, last = place.rpartition(".")
        paths = getattr(sys.modules.get(parent), "__path__", None) if parent else None
        known = [each.name for each in pkgutil.iter_modules(paths)] if paths or not parent else []
        raise BadConfig(
            f"{name}: there is no module '{place}' in the current folder or among the installed packages; "
            f"{_instead(last, known)}"
        )
    return found


def _there(here: Any) -> list[str]:
    """What may make a network: of a module what it defines itself, of a class its methods."""
    public = {key: value for key, value in vars(here).items() if key[0] != "_" and callable(getattr(here, key))}
    own = [key for key, value in public.items() if getattr(value, "__module__", None) == here.__name__]
    return own if isinstance(here, ModuleType) and own else list(public)


def _instead(word: str, known: Sequence[str]) -> str:
    """The nearest of what is there."""
    near = difflib.get_close_matches(word, known, n=3)
    every = ", ".join(known[:MOST_NAMED]) or "nothing of the kind"
    return f"did you mean {' or '.join(near)}?" if near else f"there is {every}{' …' if known[MOST_NAMED:] else ''}"


def _kind(value: Any) -> str:
    if isinstance(value, ModuleType):
        return f"'{Path(value.__file__).name if value.__file__ else value.__name__}'"
    if isinstance(value, nn.Module):
        return f"a network itself ({type(value).__name__})"
    return f"'{value.__name__}'" if isinstance(value, type) else f"{type(value).__name__}"


def _parameters(maker: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(maker).parameters
    except (TypeError, ValueError):  # code in C does not always say
        return {}


def _check_arguments(name: str, maker: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that are not taken, or lack; raises BadConfig."""
    try:
        inspect.signature(maker).bind(**arguments)
    except ValueError:
        return
    except TypeError as error:
        known = list(_parameters(maker))
        raise BadConfig(
            f"{name} cannot be called so: {error}; it takes {', '.join(known) or 'no arguments'}, which are given by "
            "name in arguments={…}"
        ) from error


def _same_weights(model: nn.Module, name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the code gives these weights each time, so that they are no random ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch.initial_seed() ^ 1)  # another one, whatever that was
        again = made(name, arguments).state_dict()
    mine = {key: value for key, value in model.state_dict().items() if isinstance(value, Tensor)}
    return all(key in again and torch.equal(mine[key], again[key].to(mine[key].device)) for key in mine)
