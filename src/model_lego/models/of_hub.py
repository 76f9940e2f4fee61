"""Networks of the Hugging Face Hub, `hf:ORG/NAME`, `hf:ORG/NAME@REVISION` or `hf:FOLDER`: of transformers and of timm.

Of a repository only JSON and safetensors are read: no pickle, and no code of its own. What builds the network goes into
the arguments of the builder, so that a saved part needs neither the Hub nor the folder.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model_lego.errors import BadConfig, BadWeights, CannotFetch
from model_lego.hub import repositories as hub
from model_lego.hub.card_header import LONGEST, header_of, licences_in
from model_lego.models import of_timm, transformers_networks
from model_lego.models.building import built
from model_lego.models.network import Network, Wanted
from model_lego.models.published import Published, described, distinct, fetching
from model_lego.models.weights import load_weights
from model_lego.names.hub_names import NAME
from model_lego.parts.origin import Builder
from model_lego.parts.provenance import Provenance

#: What their names begin with.
HUB = "hf:"
CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
CARD = "README.md"
INDEX = f"{WEIGHTS}.index.json"
#: Names of classes of a network that nobody named.
UNNAMED = re.compile(r"LABEL_\d+")
#: What a timm configuration may say of its weights; all else is left out, above all other places to load from.
OF_IMAGES = ("mean", "std", "input_size", "interpolation", "crop_pct", "crop_mode", "label_names", "label_descriptions")


@dataclass(frozen=True, slots=True)
class Repository:
    """A folder with a network's files; `name` is its own on the Hub, `trained` says that its weights are there."""

    folder: Path
    name: str | None
    trained: bool

    @property
    def origin(self) -> str:
        """What it is called in notes."""
        return f"'{self.folder}'" if self.name is None else f"hf:{self.name}"


def names() -> list[str]:
    """None: they are too many to suggest."""
    return []


def build(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Build one untrained of the arguments that opening it gave; raises BadConfig for anything else."""
    given = dict(arguments)
    if "model_type" in given:
        return transformers_networks.build(given)
    if "architecture" in given:
        return of_timm.build(given.pop("architecture"), given)
    raise BadConfig(f"hf:{name} is not built by its name alone, but of what its configuration says")


def image_shape(builder: Builder, model: nn.Module) -> tuple[int, int, int]:
    """Channels, height and width of the images that it was made for; 224 pixels where it does not say."""
    given = builder.arguments
    if "architecture" in given:
        return of_timm.image_shape(builder, model)
    side = given.get("image_size") or 224
    height, width = side if isinstance(side, list) else (side, side)
    return int(given.get("num_channels", 3)), int(height), int(width)


def open_named(wanted: Wanted) -> Network:
    """Open one with the weights of its repository, with those of a file, or untrained."""
    where = _repository(wanted)
    config = _json(where.folder / CONFIG)
    try:
        arguments, said = (_of_timm if "architecture" in config else _of_transformers)(config, where)
    except BadConfig as error:
        raise BadConfig(f"'hf:{wanted.name}' cannot be opened: {error}") from error
    if wanted.arguments.get("num_classes", said.classes) != said.classes:
        raise BadConfig(
            f"hf:{wanted.name} has {said.classes:,} classes; with num_classes={wanted.arguments['num_classes']} its "
            "last layer would be untrained, whether that was given or is the data's: take its own classes"
        )
    given = arguments | dict(wanted.arguments)
    builder = Builder(f"hf:{where.name or given.get('model_type', given.get('architecture'))}", given)
    plain = builder.name.partition(":")[2]
    if wanted.weights is None and not where.trained:
        return Network(built(builder.name, partial(build, plain), given).eval(), builder)
    with torch.random.fork_rng(devices=[]):
        if wanted.weights is None:
            model = built(builder.name, partial(_loaded, where.folder, config), given)
            network = described(model, builder, said, f"weights are those of {said.origin}")
            return replace(network, published=_whose(where))
        model = built(builder.name, partial(build, plain), given)
    model = load_weights(model, wanted.weights, key=wanted.weights_key)
    return described(model, builder, said, f"'{wanted.weights}' has the {said.classes:,} classes of {said.origin}")


def _repository(wanted: Wanted) -> Repository:
    """Where the files are: a folder, or the cache of the Hub, into which they are fetched where that is asked for."""
    folder = Path(wanted.name)
    if folder.is_dir():
        if not (folder / CONFIG).is_file():
            raise BadConfig(f"'{folder}' holds no {CONFIG}; give a folder that save_pretrained or timm's hub wrote")
        _check_weights(folder)
        return Repository(folder, None, trained=True)
    parsed = NAME.fullmatch(wanted.name)
    if parsed is None:
        raise BadConfig(f"'hf:{wanted.name}' names no network: it is no folder, and no ORG/NAME of the Hub")
    hub.check_installed()
    repository, revision = parsed.groups()
    if not wanted.pretrained:
        try:
            config = hub.cached(repository, CONFIG, revision)
        except (OSError, ValueError) as error:
            raise CannotFetch(
                f"'hf:{wanted.name}' is not in the cache '{hub.cache()}', and nothing is fetched without being asked: "
                "give pretrained=True, or the folder that it is in"
            ) from error
        return Repository(config.parent, f"{repository}@{config.parent.name}", trained=False)
    with fetching(f"the files of hf:{wanted.name}", hub.cache(), "HF_HUB_CACHE", "give the folder that they are in"):
        known = hub.is_cached(repository, CONFIG, revision)
        config = hub.fetched(repository, CONFIG, revision)
        _fetch_weights(repository, config.parent.name)
        with suppress(OSError):  # some have none
            hub.fetched(repository, PROCESSOR, config.parent.name)
        if not known:  # of what was in the cache before, it is taken if it is there
            with suppress(Exception):  # it is for people: a network is opened without it as well
                hub.fetched(repository, CARD, config.parent.name)
    return Repository(config.parent, f"{repository}@{config.parent.name}", trained=True)


def _whose(where: Repository) -> Provenance:
    """The licences that a repository's card names, where it is there, and the commit."""
    revisions = () if where.name is None else (where.name.partition("@")[2],)
    try:
        with (where.folder / CARD).open(encoding="utf-8", errors="replace") as card:
            return Provenance(licences_in(header_of(card.read(LONGEST))), revisions)
    except OSError:
        return Provenance(revisions=revisions)


def _fetch_weights(repository: str, commit: str) -> None:
    """Get the weights of a repository, in one file or several; raises BadWeights where they are no safetensors."""
    from huggingface_hub.errors import RemoteEntryNotFoundError

    with suppress(RemoteEntryNotFoundError):
        hub.fetched(repository, WEIGHTS, commit)
        return
    try:
        index = hub.fetched(repository, INDEX, commit)
    except RemoteEntryNotFoundError as error:
        raise BadWeights(f"'hf:{repository}' has no {WEIGHTS}, and no other form of weights is read") from error
    for shard in sorted(set(_json(index)["weight_map"].values())):
        hub.fetched(repository, shard, commit)


def _check_weights(folder: Path) -> None:
    if not (folder / WEIGHTS).is_file() and not (folder / INDEX).is_file():
        others = sorted(file.name for file in folder.iterdir() if file.suffix in (".bin", ".pt", ".pth"))
        there = f"; '{others[0]}' is none: save it with safe_serialization=True" if others else ""
        raise BadWeights(f"'{folder}' holds no {WEIGHTS}{there}")


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadConfig(f"'{file}' cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise BadConfig(f"'{file}' holds no configuration")
    return found


def _of_transformers(config: Mapping[str, Any], where: Repository) -> tuple[dict[str, Any], Published]:
    arguments = transformers_networks.arguments_of(config)
    labels = {int(number): str(name) for number, name in (config.get("id2label") or {}).items()}
    in_order = [labels[number] for number in sorted(labels)]
    named = not all(UNNAMED.fullmatch(name) for name in in_order)
    preprocessing, unsaid = _processing(where.folder)
    classes = distinct(in_order) if named else None
    return arguments, Published(where.origin, arguments["num_classes"], classes, preprocessing, unsaid)


def _processing(folder: Path) -> tuple[Any, tuple[str, ...]]:
    """The preprocessing of a folder's image processor, and what is not followed of it."""
    from transformers import AutoImageProcessor

    from model_lego.models.image_processor import preprocessing_of

    if not (folder / PROCESSOR).is_file():
        return None, (f"'{folder}' has no {PROCESSOR}: how images are taken has to be said",)
    try:
        with transformers_networks.quiet():
            maker: Any = AutoImageProcessor
            processor = maker.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            found = preprocessing_of(processor)
    except Exception as error:  # of a file that may hold anything
        return None, (f"'{folder / PROCESSOR}' cannot be followed: {error}",)
    name = type(processor).__name__
    more = (f"its {name} does more than to resize, crop and normalise: how images are taken has to be said",)
    return found, more if found is None else ()


def _of_timm(config: Mapping[str, Any], where: Repository) -> tuple[dict[str, Any], Published]:
    known = dict(config.get("pretrained_cfg") or {})
    kept = {key: known[key] for key in OF_IMAGES if key in known}
    kept |= {key: config[key] for key in ("label_names", "label_descriptions") if config.get(key)}
    classes = int(config.get("num_classes", known.get("num_classes", 0)))
    if not classes:
        raise BadConfig(f"'{config['architecture']}' has no classifier there")
    arguments = dict(config.get("model_args") or {}) | {"num_classes": classes}
    said = of_timm.said_by(kept | {"num_classes": classes}, where.origin, arguments)
    return {"architecture": config["architecture"], **arguments}, said


def _loaded(folder: Path, config: Mapping[str, Any], arguments: dict[str, Any]) -> nn.Module:
    if "architecture" not in config:
        return transformers_networks.load(arguments, folder)
    return load_weights(build("", arguments), folder / WEIGHTS)
