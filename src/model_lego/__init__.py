"""Take trained image classifiers apart into task-aware components, and build new ones from the pieces."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from model_lego.version import __version__ as __version__

if TYPE_CHECKING:
    from model_lego.public import *  # noqa: F403  (the names, for type checkers)
else:

    def __getattr__(name: str) -> Any:
        """A public name. They come with the first that is asked for: torch, which they need, takes seconds."""
        public = import_module("model_lego.public")
        if name == "__all__" or name in public.__all__:
            return getattr(public, name)
        raise AttributeError(f"module 'model_lego' has no attribute '{name}'")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
