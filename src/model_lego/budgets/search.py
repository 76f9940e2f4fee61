"""Components on a budget: which channels stay, found on calibration images of the classes."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from model_lego.attribution import ContributionStats
from model_lego.budgets.budget import Budget
from model_lego.budgets.criteria import Context
from model_lego.budgets.marginal_cost import TIME
from model_lego.budgets.reconstruction import reconstruction
from model_lego.budgets.removal_order import Shrinking, removal_order
from model_lego.budgets.sensitivity import sense
from model_lego.budgets.size import share
from model_lego.budgets.trials import Trial, Trials
from model_lego.data.batching import chosen
from model_lego.digest import SEEN
from model_lego.errors import BadConfig
from model_lego.graph import ChannelSelection
from model_lego.graph.modules import first_parameter
from model_lego.latency.network_times import NetworkTimes
from model_lego.parts.origin import Cost
from model_lego.parts.verdict import Search, Verdict

#: Images that the criterion looks at.
SENSED = 1000
#: Costs that count alike where a budget limits none.
EVENLY = ("parameters", "macs")
#: Sizes that are tried at most on the way to the smallest component.
SIZES = 5
#: Sizes are tried half-way between others by their ratio, this share added to both: small ones lie closer together.
OFFSET = 0.1
#: The search ends where the sizes on both sides of the answer, so shifted, differ by less than this.
NEAR = 1.05
NO_OTHERS = (
    "whether a single class loses anything is told by images of other classes, of which there are none: the largest "
    "component is kept; give some, a budget of size, or thresholds"
)


def shrinking(tried: Trials, budget: Budget, stats: ContributionStats | None = None) -> Shrinking:
    """The way of a network from whole to smallest, priced by the costs that the budget limits.

    How many channels each group keeps is told by reconstruction, whatever the criterion; which ones, by the criterion.
    """
    model, graph, settings = tried.model, tried.graph, tried.settings
    images = chosen(tried.images, range(min(SENSED, len(tried.images))))
    senses = sense(
        model,
        graph,
        images,
        classes=tried.classes,
        seed=settings.seed,
        memory=settings.repairing.memory // 2,
        progress=tried.progress,
    )
    scores = reconstruction(graph, senses)
    within = None
    if settings.criterion_name != "reconstruction":
        context = Context(
            model=model,
            graph=graph,
            classes=tried.classes,
            images=images[:].to(first_parameter(model)),
            senses=senses,
            stats=stats,
            thresholds=settings.alpha_beta,
            seed=settings.seed,
        )
        within = settings.scored_by.score(context)
    order = removal_order(model, graph, scores, _priced(budget, tried.times), tried.times)
    return Shrinking(model, graph, tried.classes, order, settings.multiple, within, tried.times)


def _priced(budget: Budget, times: NetworkTimes | None) -> tuple[str, ...]:
    """What channels cost: what the budget limits, else time where a device is named."""
    return budget.counted or (EVENLY if times is None else (TIME,))


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The channels of a component within a budget, what it reaches, and, where a size was searched for, its verdict."""

    selection: ChannelSelection
    reached: Mapping[str, Any]
    verdict: Verdict | None = None


def within_budget(
    tried: Trials, budget: Budget, stats: ContributionStats | None = None
) -> tuple[Fitted, dict[str, Any]]:
    """The channels of a component within a budget, and the record of it; raises BadConfig where there is none.

    Where images do not tell what is lost, or a drop alone cannot be kept, the largest component is taken.
    """
    name = tried.settings.criterion_name
    found = fitted(tried, shrinking(tried, budget, stats), budget)
    record: dict[str, Any] = {"budget": {"asked": budget.to_dict(), "criterion": name, "reached": dict(found.reached)}}
    if name == "count":
        record["thresholds"] = asdict(tried.settings.alpha_beta)
    return found, record | {SEEN: tried.digests}


def fitted(tried: Trials, way: Shrinking, budget: Budget) -> Fitted:
    """The channels of a component within a budget, and what it reaches; raises BadConfig where there is none."""
    gone = way.within_budget(budget) if budget.counted else 0
    if budget.accuracy_drop is None:
        return Fitted(way.after(gone), asdict(way.cost(gone)))
    if not tried.tells:
        warnings.warn(NO_OTHERS, stacklevel=2)
        return Fitted(way.after(gone), asdict(way.cost(gone)) | {"trials": 0, "met": False})
    gone, verdict = _smallest(tried, way, budget, gone)
    return Fitted(way.after(gone), asdict(way.cost(gone)) | _reached(verdict), verdict)


def _reached(verdict: Verdict) -> dict[str, Any]:
    assert verdict.search is not None
    return {
        "measure": verdict.measure,
        "accuracy": verdict.own,
        "restricted": verdict.theirs,
        "accuracy_drop": verdict.lost,
        "expected_drop": verdict.search.expected,
        "interval": list(verdict.interval),
        "held_out_images": verdict.search.images,
        "trials": verdict.search.trials,
        "met": verdict.search.met,
    }


def _smallest(tried: Trials, way: Shrinking, budget: Budget, gone: int) -> tuple[int, Verdict]:
    """Bisect for the smallest component that loses no more than it may; the largest where none does."""
    assert budget.accuracy_drop is not None
    allowed, least, found = budget.accuracy_drop, telling(budget.accuracy_drop), dict[int, Trial]()
    theirs, images = tried.source_logits(), tried.measured

    def keeps(gone: int) -> bool:
        found[gone] = tried.trial(way.after(gone), theirs)
        tried.progress("trying sizes", len(found), max(len(found), SIZES))
        return loses_no_more(found[gone], allowed)

    low, high, enough = gone, len(way.order), images >= least
    while enough and len(found) < SIZES and (middle := _between(way, budget, low, high)) is not None:
        low, high = (middle, high) if keeps(middle) else (low, middle)
    met = (low in found or keeps(low)) and enough
    verdict, expected = found[low].verdict, found[low].expected
    if enough and not met and budget.counted:
        raise BadConfig(
            f"the budget {budget} cannot be met: the largest component within the limits of size loses "
            f"{verdict.lost:.2f} points ({verdict.theirs:.2f} % to {verdict.own:.2f} %) on {images} held-out images, "
            f"{expected:.2f} by its source's own probabilities, {found[low].at_most:.2f} at most; allow more points, "
            "or a larger component"
        )
    search = Search(allowed=allowed, expected=expected, images=images, least=least, trials=len(found), met=met)
    return low, replace(verdict, kept=_kept(way, low), chosen=True, search=search)


def telling(allowed: float) -> int:
    """So many held-out images it takes to tell whether no more than so many points are lost: one of them is no more."""
    return math.ceil(100 / allowed) if allowed else 1


def loses_no_more(trial: Trial, allowed: float) -> bool:
    """Whether a component loses no more points than those allowed, for all that can be told.

    Labels are what is promised. What the source believes, and errors exchanged between images, hardly depend on which
    few images there are: no lucky size passes.
    """
    return trial.at_most <= allowed + 1e-9


def _kept(way: Shrinking, gone: int) -> float:
    """The share of the source's parameters or multiply-adds in % that is kept, whichever is less."""
    return 100 * min(_shares(way.cost(gone), way.whole, EVENLY))


def _between(way: Shrinking, budget: Budget, low: int, high: int) -> int | None:
    """A number of channels to go whose size lies half-way between those of two others; None where these are near.

    `low` channels gone are allowed, `high` channels are taken to be too many.
    """
    whole = way.whole

    def size(gone: int) -> float:
        shares = _shares(way.cost(gone), whole, _priced(budget, way.times))
        return sum(shares) / len(shares) + OFFSET

    large, small = size(low), size(high)
    if large < NEAR * small or high - low < 2:
        return None
    goal, start, stop = math.sqrt(large * small), low + 1, high - 1
    while start < stop:
        middle = (start + stop) // 2
        if size(middle) <= goal:
            stop = middle
        else:
            start = middle + 1
    return stop


def _shares(cost: Cost, whole: Cost, counted: tuple[str, ...]) -> list[float]:
    return [share(name, cost, whole) for name in counted]
