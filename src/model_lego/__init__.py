"""Take trained image classifiers apart into task-aware components, and build new ones from the pieces."""

from typing import TYPE_CHECKING

from model_lego.calling.late import late_names
from model_lego.version import __version__ as __version__

if TYPE_CHECKING:
    from model_lego.public import *  # noqa: F403  (the names, for type checkers)
else:
    __getattr__, __dir__ = late_names(__name__, "model_lego.public")
