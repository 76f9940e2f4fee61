"""Networks that a caller names for saved parts which their files alone do not build again: the user's own code."""

import re
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from model_lego.errors import BadConfig
from model_lego.models.registry import build_named
from model_lego.parts.origin import Builder
from model_lego.store.manifest import FETCHING, Manifest
from model_lego.store.rebuild import Factory, part_keys

#: Text that names no file, no address and no code.
_WORD = re.compile(r"[\w-]{1,64}")


def named_factories(
    folder: Path, manifest: Manifest, names: Sequence[str], said: Mapping[str, Any]
) -> dict[str, Factory]:
    """A factory for each part of a manifest that needs one, as `named_factory` gives it; raises BadConfig."""
    builders = {key: part.origin.built_by() for key, part in zip(part_keys(manifest), manifest.parts, strict=True)}
    needing = {key: each for key, each in builders.items() if each is None or each.is_own_code}
    if not needing:
        known = " and ".join(dict.fromkeys(map(str, builders.values())))
        warnings.warn(f"{folder}: {names[0]} is not needed, its network is {known}", stacklevel=3)
    return {key: named_factory(f"{folder}: part '{key}'", each, names, said) for key, each in needing.items()}


def named_factory(where: str, builder: Builder | None, names: Sequence[str], said: Mapping[str, Any]) -> Factory:
    """What builds the uncut network of a part, by the name that was recorded, or by the only one that is given.

    The arguments are those that were recorded with the same callable, and those that are `said` in their place. Raises
    BadConfig, also for a recorded one that could make the code read a file, fetch or import something: a file of
    somebody else's is not to decide that.
    """
    recorded = builder or Builder("")
    if len(names) > 1 and recorded.name not in names:
        raise BadConfig(f"{where} was cut from {builder or 'a network without a name'}; none that is given is named so")
    name = recorded.name if recorded.name in names else names[0]
    same = recorded.name.rpartition(":")[2] == name.rpartition(":")[2]
    arguments = {**(recorded.arguments if same else {}), **said}
    for key, value in arguments.items():
        if key not in said and not _harmless(key, value):
            raise BadConfig(
                f"{where} was built with {key}={value!r}, which might name a file or code; where you trust it, say it "
                "again in arguments={…}"
            )
    return partial(build_named, name, arguments)


def _harmless(key: str, value: Any) -> bool:
    """Whether an argument is a number, a switch or a plain word, or a list of them, and fetches no weights."""
    if isinstance(value, list | tuple):
        return all(_harmless(key, each) for each in value)
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None and not Path(value).exists()
    return not isinstance(value, dict) and not (key in FETCHING and value)
