"""The one training loop, which `train`, `finetune` and `distill` share, and what it needs."""

from model_lego.training.examples import Examples, Streamed, Whole
from model_lego.training.loop import Goal, fit
from model_lego.training.settings import TrainingSettings

__all__ = ["Examples", "Goal", "Streamed", "TrainingSettings", "Whole", "fit"]
