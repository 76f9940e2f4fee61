"""The kinds of networks that are known by name, one row each, and how one is built from its name."""

import difflib
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import nn

from model_lego.errors import BadConfig, LegoError
from model_lego.models import of_timm, of_torchvision, own_code, zoo
from model_lego.models.network import Kind, Network, Wanted
from model_lego.models.weights import infer_classes, load_weights
from model_lego.parts.component import OWN_CODE, Builder

#: Arguments that would fetch weights or name code.
FORBIDDEN = ("weights", "pretrained", "checkpoint_path", "pretrained_cfg", "weights_backbone", "cache_dir")


def build(name: str, **arguments: Any) -> nn.Module:
    """Build an untrained network, "zoo:vgg16" or "torchvision:resnet18"; raises BadConfig."""
    kind, plain = kind_of(name)
    for argument in FORBIDDEN:
        if arguments.get(argument):
            raise BadConfig(f"argument '{argument}' of {name} would fetch weights; load them from a file instead")
    given = {key: value for key, value in arguments.items() if key not in FORBIDDEN}
    try:
        return kind.build(plain, given)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        if isinstance(error, LegoError):
            raise
        said = ", ".join(f"{key}={value!r}" for key, value in given.items())
        text = [key for key, value in given.items() if isinstance(value, str)]
        hint = f"; '{text[0]}' is text, and has to be a number perhaps" if text else ""
        raise BadConfig(f"{name} cannot be built with {said}: {error}{hint}") from error


def build_from(builder: Builder) -> nn.Module:
    """Build the uncut network that a component's file names."""
    return build(builder.name, **builder.arguments)


def build_named(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Build a network by a name that the caller says, which may be code of the user's own; raises BadConfig."""
    return own_code.made(name, arguments) if name.startswith(OWN_CODE) else build(name, **arguments)


def for_classes(name: str, arguments: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Arguments that make a network of so many classes; the user's own code is told where it takes `num_classes`."""
    told = not name.startswith(OWN_CODE) or own_code.takes(name, "num_classes")
    return {**arguments, "num_classes": count} if told else dict(arguments)


def image_shape(builder: Builder, model: nn.Module) -> tuple[int, int, int]:
    """Shape of the images (channels x height x width) that a network of this name was made for."""
    return kind_of(builder.name)[0].image_shape(builder, model)


def kind_of(name: str) -> tuple[Kind, str]:
    """The row of a name, and what stands behind the colon; raises BadConfig."""
    kind, _, plain = name.partition(":")
    if kind not in KINDS or not plain:
        forms = [each.form for each in KINDS.values()]
        raise BadConfig(
            f"'{name}' names no network; use {', '.join(forms[:-1])} or {forms[-1]}{suggested(plain or kind)}"
        )
    return KINDS[kind], plain


def suggested(word: str) -> str:
    """The end of a message: the networks of that name or a similar one, by their whole names, if there are any."""
    known = {prefix: kind.names() for prefix, kind in KINDS.items()}
    same = [f"{kind}:{word}" for kind, names in known.items() if word in names]
    near = [f"{kind}:{name}" for kind, names in known.items() for name in difflib.get_close_matches(word, names, n=1)]
    found = list(dict.fromkeys(same + near))
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _from_a_file(kind: str, wanted: Wanted) -> Network:
    """A network with the weights of a file, of as many classes as these have; untrained without one."""
    given = dict(wanted.arguments)
    classes = None if wanted.weights is None else infer_classes(wanted.weights, key=wanted.weights_key)
    if classes is not None:
        given.setdefault("num_classes", classes)
    builder = Builder(f"{kind}:{wanted.name}", given)
    model = build_from(builder)
    if wanted.weights is not None:
        model = load_weights(model, wanted.weights, key=wanted.weights_key)
    return Network(model.eval(), builder, trained=wanted.weights is not None)


#: What stands in front of the colon: where such networks come from.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "zoo": Kind("zoo:NAME", zoo.names, zoo.build, zoo.image_shape, partial(_from_a_file, "zoo")),
        "torchvision": Kind(
            "torchvision:NAME",
            of_torchvision.names,
            of_torchvision.build,
            of_torchvision.image_shape,
            partial(_from_a_file, "torchvision"),
        ),
        "timm": Kind("timm:NAME", of_timm.names, of_timm.build, of_timm.image_shape, partial(_from_a_file, "timm")),
        "python": Kind(own_code.FORM, own_code.names, own_code.build, own_code.image_shape, own_code.open_own),
    }
)
