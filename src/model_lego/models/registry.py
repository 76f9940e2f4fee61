"""The kinds of networks that are known by name, one row each, and how one is built from its name."""

import difflib
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import nn

from model_lego.errors import BadConfig
from model_lego.models import of_hub, of_timm, of_torchvision, own_code, zoo
from model_lego.models.building import built
from model_lego.models.network import Kind
from model_lego.parts.origin import OWN_CODE, Builder


def build(name: str, **arguments: Any) -> nn.Module:
    """Build an untrained network, "zoo:vgg16" or "torchvision:resnet18"; raises BadConfig."""
    kind, plain = kind_of(name)
    return built(name, partial(kind.build, plain), arguments)


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


#: What stands in front of the colon: where such networks come from.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "zoo": Kind("zoo:NAME", zoo.names, zoo.build, zoo.image_shape, zoo.open_named),
        "torchvision": Kind(
            "torchvision:NAME",
            of_torchvision.names,
            of_torchvision.build,
            of_torchvision.image_shape,
            of_torchvision.open_named,
        ),
        "timm": Kind("timm:NAME", of_timm.names, of_timm.build, of_timm.image_shape, of_timm.open_named),
        "hf": Kind("hf:ORG/NAME, hf:FOLDER", of_hub.names, of_hub.build, of_hub.image_shape, of_hub.open_named),
        "python": Kind(own_code.FORM, own_code.names, own_code.build, own_code.image_shape, own_code.open_own),
    }
)
