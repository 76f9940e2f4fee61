"""How a component is cut: one frozen value inside, keyword arguments for callers."""

from dataclasses import dataclass
from typing import TypedDict

from model_lego.attribution import Sampling, Thresholds
from model_lego.budgets.budget import Budget
from model_lego.budgets.criteria import Criterion, criterion
from model_lego.errors import BadConfig
from model_lego.repairing.layerwise import Method, RepairSettings, as_settings


class SizeOptions(TypedDict, total=False):
    """Keyword arguments of every verb that chooses channels within a budget."""

    criterion: str | None  # by which channels are chosen within a budget; "reconstruction" by default
    multiple: int  # kept widths are rounded up to a multiple of this
    repair: Method | RepairSettings  # "ridge" (by default), "mean", "bn", "none", or full settings
    seed: int  # of the random choices


class CutOptions(SizeOptions, total=False):
    """Keyword arguments of the verbs that choose by thresholds as well; `CutSettings` holds them."""

    thresholds: Thresholds | None  # alpha and beta of equations (5) and (8)
    budget: Budget | None  # limits of size and of lost accuracy, which take the place of the thresholds
    sampling: Sampling  # "confident" (by default), "random" or "all": what the statistics are taken from
    per_class: int | None  # samples a class; 1 % and at least 50 by default


@dataclass(frozen=True, slots=True)
class CutSettings:
    """Everything that decides which channels a component keeps and how it is repaired, as `CutOptions` names it.

    Raises BadConfig for an unknown criterion or method of repair, a multiple below 1, and a criterion without a budget.
    """

    thresholds: Thresholds | None = None
    budget: Budget | None = None
    criterion: str | None = None
    sampling: Sampling = "confident"
    per_class: int | None = None
    multiple: int = 1
    repair: Method | RepairSettings = "ridge"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.budget is None and self.criterion is not None:
            raise BadConfig(f"criterion '{self.criterion}' chooses channels within a budget; give a budget as well")
        if self.multiple < 1:
            raise BadConfig(f"kept widths cannot be rounded to a multiple of {self.multiple}; give 1 or more")
        as_settings(self.repair)
        criterion(self.criterion_name)

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
    def searches(self) -> bool:
        """Whether the size is searched for by trials."""
        return self.budget is not None and self.budget.accuracy_drop is not None

    @property
    def needs_statistics(self) -> bool:
        """Whether contributions have to be summed."""
        return self.budget is None or self.scored_by.needs_stats

    @property
    def repairing(self) -> RepairSettings:
        """How a cut is repaired, in full."""
        return as_settings(self.repair, seed=self.seed)
