"""Accuracy against size: what components of several sizes would reach."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Unpack

from torch import nn

from model_lego.budgets.budget import COUNTED, Budget
from model_lego.budgets.removal_order import Shrinking
from model_lego.budgets.search import shrinking
from model_lego.budgets.settings import CutSettings
from model_lego.calling.options import refuse_unknown, value_of
from model_lego.data.batching import Batches
from model_lego.disassembly.request import InputOptions, ask
from model_lego.errors import BadConfig
from model_lego.parts.class_names import Classes, ClassNames
from model_lego.parts.origin import Cost

#: Shares of the source that are tried where no sizes are given.
SIZES = (0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.4, 0.7)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A component of one size: the limit that was asked for, what it costs, its accuracy in %."""

    size: float
    cost: Cost
    accuracy: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Accuracy against size, on held-out calibration images.

    `limit` is what the sizes limit; `source` the cost of the uncut source and `restricted` its accuracy over the
    classes, in %.
    """

    classes: tuple[str, ...]
    limit: str
    points: tuple[CurvePoint, ...]
    source: Cost
    restricted: float
    images: int

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.limit:>10} {'parameters':>20} {'multiply-adds':>24} {'accuracy':>9}"]
        for point in self.points:
            size = _size(point.cost, self.source)
            lines.append(f"{point.size:>10g} {size} {point.accuracy:>9.2f}")
        lines.append(f"{'source':>10} {_size(self.source, self.source)} {self.restricted:>9.2f}")
        return "\n".join([*lines, f"accuracy in % on {self.images} held-out calibration images"])


def _size(cost: Cost, source: Cost) -> str:
    parameters = f"{cost.parameters:,} ({100 * cost.parameters / max(1, source.parameters):.1f} %)"
    return f"{parameters:>20} {f'{cost.macs:,} ({100 * cost.macs / max(1, source.macs):.1f} %)':>24}"


def curve(
    model: nn.Module,
    batches: Batches,
    *,
    classes: Classes,
    class_names: ClassNames | None = None,
    sizes: Sequence[float] | None = None,
    limit: Literal["params", "macs", "bytes", "latency"] = "params",
    **options: Unpack[InputOptions],
) -> Curve:
    """Cut and repair components of several sizes and measure them on held-out calibration images; keeps none of them.

    `sizes` are limits as a `Budget` takes them, by default shares from 0.01 to 0.7, those that can be met; `options`
    are those of `disassemble` that a component within a budget has. The source is left as it is. Raises BadConfig (a
    size that cannot be met), and as `plan`.
    """
    refuse_unknown("curve", options, InputOptions)
    if limit not in COUNTED or (limit == "bytes" and sizes is None):
        raise BadConfig(f"limit '{limit}' cannot be drawn; use params, macs, latency, or bytes with sizes")
    budgets = [Budget(**{limit: size}) for size in (SIZES if sizes is None else sizes)]
    if not budgets:
        raise BadConfig("a curve needs at least one size")
    settings = value_of(CutSettings, {**options, "budget": budgets[0]})
    asked = ask(model, batches, classes, class_names, settings, options)
    for budget in budgets if sizes is not None else ():
        asked.refuse_unreachable(budget)
    stats, tried = asked.statistics(), asked.trials()
    way = shrinking(tried, budgets[0], stats)
    if sizes is None:
        budgets = [budget for budget in budgets if budget.holds(way.cost(len(way.order)), way.whole)]
    gone = [way.within_budget(budget) for budget in budgets]
    points = []
    for place, (budget, number) in enumerate(zip(budgets, gone, strict=True)):
        points.append(_point(way, number, getattr(budget, limit), tried.accuracy(way.after(number))))
        asked.progress("measuring sizes", place + 1, len(budgets))
    return Curve(
        classes=asked.classes,
        limit=limit,
        points=tuple(points),
        source=way.whole,
        restricted=tried.restricted(),
        images=len(tried.held),
    )


def _point(way: Shrinking, gone: int, size: float, accuracy: float) -> CurvePoint:
    return CurvePoint(size, way.cost(gone), accuracy)
