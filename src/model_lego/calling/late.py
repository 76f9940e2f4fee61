"""Names of a package that come with the first that is asked for: torch, which they need, takes seconds."""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def late_names(package: str, home: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package that has the public names of the module `home`, once it is asked.

    Modules of the package are imported without it.
    """

    def late(name: str) -> Any:
        # `from package import module` asks here first, and finds the module then
        if name != "__all__" and find_spec(f"{package}.{name}") is not None:
            raise AttributeError(f"module '{package}.{name}' is not imported")
        module = import_module(home)
        if name == "__all__" or name in module.__all__:
            return getattr(module, name)
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *late("__all__")})

    return late, names
