"""Components and assemblies on disk: safetensors and JSON, no pickle, no code."""

from typing import TYPE_CHECKING

from model_lego.calling.late import late_names

if TYPE_CHECKING:
    from model_lego.store.public import *  # noqa: F403  (the names, for type checkers)
else:
    __getattr__, __dir__ = late_names(__name__, "model_lego.store.public")
