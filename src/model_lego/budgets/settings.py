"""How a component is cut: one frozen value inside, keyword arguments for callers."""

from dataclasses import dataclass, replace
from typing import TypedDict

from model_lego.attribution import Sampling, Thresholds
from model_lego.budgets.budget import Budget
from model_lego.budgets.criteria import Criterion, criterion
from model_lego.errors import BadConfig
from model_lego.latency.device import Device
from model_lego.latency.table import LatencyTable
from model_lego.repairing.layerwise import Method, RepairSettings, as_settings

#: What a component keeps where neither a budget nor thresholds say how small it is to be.
PROMISED = Budget(accuracy_drop=1)


class SizeOptions(TypedDict, total=False):
    """Keyword arguments of every verb that chooses channels within a budget."""

    criterion: str | None  # by which channels are chosen within a budget; "reconstruction" by default
    multiple: int  # kept widths are rounded up to a multiple of this
    device: Device | str | None  # where the component is to run: widths are rounded as it likes them, and it is timed
    latency_table: LatencyTable | None  # times of another machine, in the place of a device of this one
    repair: Method | RepairSettings  # "ridge" (by default), "mean", "bn", "none", "tuned", or full settings
    seed: int  # of the random choices


class CutOptions(SizeOptions, total=False):
    """Keyword arguments of the verbs that choose by thresholds as well; `CutSettings` holds them."""

    thresholds: Thresholds | None  # alpha and beta of equations (5) and (8), by which the paper chooses
    budget: Budget | None  # limits of size and of lost accuracy; by default one point may be lost
    sampling: Sampling  # "confident" (by default), "random" or "all": what the statistics are taken from
    per_class: int | None  # samples a class; 1 % and at least 50 by default


@dataclass(frozen=True, slots=True)
class CutSettings:
    """Everything that decides which channels a component keeps and how it is repaired, as `CutOptions` names it.

    Raises BadConfig for an unknown criterion or method of repair, a multiple below 1, a criterion with thresholds, a
    device with thresholds, and a budget of time without a device.
    """

    thresholds: Thresholds | None = None
    budget: Budget | None = None
    criterion: str | None = None
    sampling: Sampling = "confident"
    per_class: int | None = None
    multiple: int = 1
    device: Device | str | None = None
    latency_table: LatencyTable | None = None
    repair: Method | RepairSettings = "ridge"
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_device()
        if self.aim is None and self.criterion is not None:
            raise BadConfig(
                f"criterion '{self.criterion}' chooses channels within a budget, not by thresholds; give a budget as "
                "well"
            )
        if self.multiple < 1:
            raise BadConfig(f"kept widths cannot be rounded to a multiple of {self.multiple}; give 1 or more")
        as_settings(self.repair)
        criterion(self.criterion_name)

    def _check_device(self) -> None:
        limit = None if self.budget is None else self.budget.latency
        if self.device is not None and self.latency_table is not None:
            whose = self.latency_table.device
            raise BadConfig(f"latency_table has the times of its own device, {whose}: leave device out")
        if limit is not None and not self.names_device:
            raise BadConfig(
                f"budget latency={limit} is about a device: give device='onnxruntime' (or torch, torch-compile, "
                "openvino), or the latency_table of another machine"
            )
        if self.names_device and (self.thresholds is not None or self.aim is None):
            raise BadConfig(
                "thresholds choose channels whatever time they take: give either thresholds, or a device and a budget"
            )

    @property
    def place(self) -> Device | None:
        """The device of this machine where the component is to run."""
        return Device(self.device) if isinstance(self.device, str) else self.device

    @property
    def names_device(self) -> bool:
        """Whether it is said where the component is to run."""
        return self.device is not None or self.latency_table is not None

    @property
    def alpha_beta(self) -> Thresholds:
        """The thresholds that are given, or the paper's."""
        return self.thresholds or Thresholds()

    @property
    def criterion_name(self) -> str:
        """The criterion by which channels are chosen within a budget."""
        return self.criterion or "reconstruction"

    @property
    def scored_by(self) -> Criterion:
        """The row of that criterion."""
        return criterion(self.criterion_name)

    @property
    def aim(self) -> Budget | None:
        """How small the component is to be: as the budget says, else what is promised; None for thresholds."""
        published = self.thresholds is not None or self.sampling != "confident" or self.per_class is not None
        return PROMISED if self.budget is None and not published else self.budget

    @property
    def searches(self) -> bool:
        """Whether the size is searched for by trials."""
        return self.aim is not None and self.aim.accuracy_drop is not None

    @property
    def needs_statistics(self) -> bool:
        """Whether contributions have to be summed."""
        return self.aim is None or self.scored_by.needs_stats

    def published(self) -> "CutSettings":
        """The same, with the paper's thresholds where neither a budget nor a criterion is named."""
        asked = self.budget is not None or self.criterion is not None
        return self if asked else replace(self, thresholds=self.alpha_beta)

    @property
    def repairing(self) -> RepairSettings:
        """How a cut is repaired, in full."""
        return as_settings(self.repair, seed=self.seed)
