"""compress: a smaller network for all classes of its source, within a budget, without training."""

from typing import Unpack

from torch import nn

from model_lego.budgets.budget import Budget
from model_lego.budgets.settings import PROMISED, CutSettings
from model_lego.calling.options import refuse_unknown, value_of
from model_lego.data.batching import Batches
from model_lego.disassembly.disassembling import component_for
from model_lego.disassembly.request import InputOptions, ask
from model_lego.errors import BadConfig
from model_lego.parts.class_names import ClassNames
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder


def compress(
    model: nn.Module,
    batches: Batches,
    budget: Budget = PROMISED,
    *,
    class_names: ClassNames | None = None,
    builder: Builder | None = None,
    **options: Unpack[InputOptions],
) -> Component:
    """Make a trained network smaller and keep all of its classes.

    The component for all classes, as `disassemble` takes it out: logits and labels are the source's, in its order.

    Args:
        model: a classifier; it is never changed.
        batches: re-iterable of (images B x C x H x W, labels B int64).
        budget: limits of size and of lost accuracy; by default the smallest network that loses at most one point.
        class_names: names of the classes, in the order of the logits.
        builder: how to build the uncut network again, for the saved file.
        options: the keyword arguments below.

    Keyword Args:
        calibration: images for the repair; by default up to 1,000 seeded ones from `batches`.
        criterion: by which channels are chosen, see `disassemble`.
        multiple: round kept widths up to a multiple of this.
        device: where it is to run, see `disassemble`.
        latency_table: times of another machine, see `disassemble`.
        repair: "ridge", "mean", "bn", "none", "tuned", or full settings.
        seed: for the random choices.
        preprocessing: with it, images are taken scaled to 0..1 and normalised here and in the component.
        graph: a channel graph of this network, where it is at hand.
        stats: statistics of this network, for the criteria that need them.
        progress: called with what is being done.
        group: of torch.distributed; its processes, all of which make this call, share the work.

    Returns:
        A smaller network of the same class, for the same classes, with its `verdict`, as of `disassemble`.

    Raises:
        LegoError: one of its children, BadConfig where the budget cannot be met; see `disassemble`.
    """
    refuse_unknown("compress", options, InputOptions)
    if not isinstance(budget, Budget):
        raise BadConfig(f"the budget is {budget!r}; give a Budget, for instance Budget(macs=0.5) for half of the work")
    settings = value_of(CutSettings, {**options, "budget": budget})
    return component_for(ask(model, batches, None, class_names, settings, options), builder)
