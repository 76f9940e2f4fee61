"""Image classifiers of transformers: their configuration as plain arguments, all that a manifest needs of them."""

import dataclasses
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from model_lego.errors import BadConfig, BadWeights
from model_lego.graph.modules import first_line
from model_lego.models.misfits import some
from model_lego.models.names import unknown

#: Types of configurations that a file may ask for: networks for images, whole, without a part from elsewhere.
TYPES = (
    *("beit", "bit", "convnext", "convnextv2", "cvt", "data2vec-vision", "deit", "dinov2", "dinov2_with_registers"),
    *("efficientnet", "focalnet", "hgnet_v2", "hiera", "ijepa", "levit", "mobilenet_v1", "mobilenet_v2", "mobilevit"),
    *("mobilevitv2", "poolformer", "pp_lcnet", "pvt", "pvt_v2", "regnet", "resnet", "segformer", "swiftformer", "swin"),
    *("swinv2", "textnet", "vit", "vit_msn"),
)
#: What a configuration says beside the network: names of classes and tasks, how it gives what it gives, other weights.
BESIDE = frozenset(
    {"architectures", "backbone", "backbone_config", "backbone_kwargs", "dtype", "id2label", "label2id"}
    | {"output_attentions", "output_hidden_states", "problem_type", "return_dict", "transformers_version"}
    | {"use_pretrained_backbone", "use_timm_backbone"}
)


def arguments_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that build the network of a config.json; raises BadConfig for one that is no image classifier."""
    kind: Any = config.get("model_type")
    classes = _classes(kind)
    named = [name for name in config.get("architectures") or [next(iter(classes))] if name in classes]
    if not named:
        raise BadConfig(f"it is a {' and '.join(config['architectures'])}, and no {' or '.join(classes)}")
    if config.get("quantization_config"):
        raise BadConfig("it is quantised, and quantised weights cannot be cut")
    fields = _fields(kind)
    made = _configuration(kind, {key: value for key, value in config.items() if key in fields})
    labels = config.get("id2label")
    plain = {key: _plain(getattr(made, key)) for key in sorted(fields)}
    first = {} if named[0] == next(iter(classes)) else {"classifier": named[0]}
    return {"model_type": kind, **plain, **first, "num_classes": len(labels) if labels else made.num_labels}


def build(arguments: Mapping[str, Any]) -> nn.Module:
    """Build the untrained network of such arguments; raises BadConfig for any that are not of the configuration."""
    return _made(arguments)


def load(arguments: Mapping[str, Any], folder: Path) -> nn.Module:
    """The network of such arguments and the weights in a folder, as float32; raises BadWeights for those of another."""
    if (folder / "adapter_config.json").exists():
        raise BadConfig(f"'{folder}' holds an adapter to another network; merge them and save the whole")
    model = _made(arguments)
    how = {"config": model.config, "use_safetensors": True, "local_files_only": True, "dtype": torch.float32}
    try:
        with quiet():
            found, info = type(model).from_pretrained(folder, output_loading_info=True, **how)  # type: ignore[attr-defined]
    except (SafetensorError, RuntimeError, OSError) as error:
        raise BadWeights(f"the weights in '{folder}' cannot be read: {first_line(error)}") from error
    missing = [name for name in sorted(info["missing_keys"]) if not name.endswith("num_batches_tracked")]
    if missing:
        raise BadWeights(
            f"the weights in '{folder}' are not those of a {type(model).__name__}: {some(tuple(missing))} is missing"
        )
    network: nn.Module = found
    return network


@contextmanager
def quiet() -> Iterator[None]:
    """Let transformers neither log nor draw progress for a while."""
    logging = _transformers().utils.logging
    level, drawn = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if drawn:
            logging.enable_progress_bar()


def _transformers() -> Any:
    """The package, which is an extra; raises BadConfig where it is not installed."""
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise BadConfig("networks of the Hub need the extra: pip install model-lego[hf]") from error


def _made(arguments: Mapping[str, Any]) -> nn.Module:
    given = dict(arguments)
    kind, classes = given.pop("model_type"), given.pop("num_classes", None)
    makers = _classes(kind)
    maker = given.pop("classifier", next(iter(makers)))
    if maker not in makers:
        raise BadConfig(f"'{maker}' is no classifier of '{kind}'; there are {', '.join(makers)}")
    if foreign := sorted(given.keys() - _fields(kind)):
        raise BadConfig(f"{', '.join(foreign)}: a network of type '{kind}' has no such argument")
    more = {} if classes is None else {"num_labels": classes}
    with quiet():
        network: nn.Module = makers[maker](_configuration(kind, given | more))
    return network


def _configuration(kind: str, given: Mapping[str, Any]) -> Any:
    return _transformers().CONFIG_MAPPING[kind](**given)


def _classes(kind: Any) -> dict[str, Any]:
    """The classifiers of a type of configurations by name, the usual one first; raises BadConfig for another type."""
    library = _transformers()
    if kind not in TYPES or kind not in library.CONFIG_MAPPING:
        raise unknown(f"model_type:{kind}", [each for each in TYPES if each in library.CONFIG_MAPPING])
    found = library.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[library.CONFIG_MAPPING[kind]]
    return {each.__name__: each for each in (found if isinstance(found, list | tuple) else [found])}


def _fields(kind: str) -> set[str]:
    """The arguments that are of the network itself."""
    return {field.name for field in dataclasses.fields(_transformers().CONFIG_MAPPING[kind])} - BESIDE


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
