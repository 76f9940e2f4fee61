"""Networks as a command line names them."""

import ast
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_lego.cli.options import PreprocessingOptions, SourceOptions, WeightsOptions
from model_lego.cli.preprocessing import parse_preprocessing
from model_lego.cli.render import say
from model_lego.errors import BadConfig
from model_lego.models import Network, open_network
from model_lego.models.of_hub import HUB
from model_lego.parts.origin import OWN_CODE
from model_lego.parts.preprocessing import Preprocessing
from model_lego.store.located import is_named

#: What is said of a network that nobody has trained.
UNTRAINED = "a network without trained weights decides nothing; give --weights FILE or --pretrained"


def open_named(model: str, options: WeightsOptions, *, trained: bool = True) -> Network:
    """Open a network by its name; raises LegoError, also for one without weights where it has to be `trained`."""
    own = model.startswith((OWN_CODE, HUB))  # which may come with their weights
    if trained and not options.trained and not own:
        raise BadConfig(UNTRAINED)
    opened = open_network(
        model,
        pretrained=options.pretrained,
        weights=options.weights,
        weights_key=options.weights_key,
        arguments=parse_arguments(options.argument),
    )
    if trained and not opened.trained:
        if not model.startswith(OWN_CODE):
            raise BadConfig(UNTRAINED)
        raise BadConfig(f"{model} gives other weights each time that it is called, random ones; give --weights FILE")
    say_notes(opened)
    return opened


def say_notes(network: Network) -> None:
    """Say what of a network was taken from where."""
    for note in network.notes:
        say(f"note: {note}")


def preprocessing_for(
    options: PreprocessingOptions, network: Network, like: Preprocessing | None = None
) -> Preprocessing:
    """How a network takes its images: as the options say, else as `like` does, else as it says itself.

    Where the options change what it says, that is said. Raises BadConfig.
    """
    taken = parse_preprocessing(options, like or network.preprocessing)
    if network.preprocessing is not None and taken != network.preprocessing:
        say(f"note: by {'the options' if options.given else 'the saved part'} images are taken otherwise: {taken}")
    return taken


def is_folder(model: str) -> bool:
    """Whether a model is a saved part, by its folder, in the bin or on the Hub, and no name of a network."""
    return is_named(model) or (":" not in model and Path(model).is_dir())


def refuse_said(folder: str, options: SourceOptions) -> None:
    """Refuse options about a network where a saved part says all by itself; raises BadConfig."""
    loading = SourceOptions(uncut=options.uncut, argument=options.argument if options.uncut else None)
    if replace(options, class_map=None) != loading:
        raise BadConfig(
            f"'{folder}' is a folder, which says all by itself; leave --pretrained, --weights, --weights-key, "
            "--argument, --source-classes, --mean, --std, --size, --crop and --interpolation out"
        )


def parse_arguments(arguments: Sequence[str] | None) -> dict[str, Any]:
    """Builder arguments key=value; values are Python literals, else text."""
    values: dict[str, Any] = {}
    for argument in arguments or ():
        key, equals, value = argument.partition("=")
        if not equals or not key.isidentifier():
            raise BadConfig(f"'{argument}' is no key=value")
        try:
            values[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[key] = value
        if not _writable(values[key]):
            raise BadConfig(f"'{argument}' is what no saved part can hold; give numbers, text, switches or lists")
    return values


def _writable(value: Any) -> bool:
    """Whether a manifest can hold a value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
