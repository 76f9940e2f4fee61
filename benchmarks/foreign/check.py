"""Try one published network: trace, attribute, cut, compare with its mask at two sizes, save and load.

What a cut has to give comes from the source run with hooks that zero, contributions from the slow oracle
(tests/support/oracles.py), not from the library.
"""

import time
import traceback
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import ROOT
from benchmarks.coverage.comparing import Wrong, answer, compare, count, planned, same, saved
from benchmarks.coverage.material import enliven, tinted
from benchmarks.foreign.contributions import contributions
from benchmarks.foreign.networks import Network, built, networks
from model_lego import attribute, canonize, trace
from model_lego.cutting.canonizing import can_be_plain
from model_lego.disassembly.disassembling import cut
from model_lego.errors import LegoError
from tests.support.plans import half_plan, some_logits

SEED = 0
SIZES = 2  # at which the cut network is compared
SIDES = (64, 96, 128, 32, 30, 28, 224, 208, 256, 299, 331)  # sizes to try: the first two on which the network runs
CLASSES = 10
BUILD = "build"  # the one step that is not the library's
RIGHT, REFUSED, WRONG, CRASHED, NOT_DONE = "right", "refused", "wrong", "crashed", "not done"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one network, and at which step it was when it ended."""

    name: str
    version: str
    outcome: str = RIGHT
    step: str = ""
    error: str = ""  # its first line is the reason
    kind: str = ""  # the exception's class
    where: str = ""  # the last line of the library that a crash went through
    sides: tuple[int, ...] = ()
    dtype: str = "float64"
    parameters: int = 0
    groups: int = 0
    frozen_groups: int = 0
    reasons: tuple[str, ...] = ()
    canonized: bool = False
    half: float = 0.0  # share of the parameters that goes when half of each group is asked for
    difference: float = 0.0  # to the masked source, in parts of the largest logit
    effect: float = 0.0  # of the mask
    oracle_layers: int = 0  # layers whose contributions were compared
    seconds: float = 0.0


def check(name: str) -> dict[str, Any]:
    """Try one network by its name; whatever happens is in the result."""
    network = networks()[name]
    trial = _Trial(network, Result(name, network.package.version))
    start = time.perf_counter()
    try:
        trial.run()
    except Wrong as error:
        trial.note(outcome=WRONG, error=str(error))
    except LegoError as error:
        trial.note(outcome=REFUSED, error=str(error), kind=type(error).__name__)
    except MemoryError as error:
        trial.note(outcome=NOT_DONE, error=f"out of memory: {error}")
    except Exception as error:  # what no user may see, unless the network itself does not run
        traceback.print_exc()
        outcome = NOT_DONE if trial.result.step == BUILD else CRASHED
        trial.note(outcome=outcome, error=str(error)[:2000], kind=type(error).__name__, where=_where(error))
    trial.note(seconds=round(time.perf_counter() - start, 1))
    return asdict(trial.result)


class _Trial:
    """One network on its way; `result` is what is known of it so far."""

    def __init__(self, network: Network, result: Result) -> None:
        self.network = network
        self.result = result

    def note(self, **found: Any) -> None:
        self.result = replace(self.result, **found)

    def run(self) -> None:
        self.note(step=BUILD)
        model, batches = _material(self.network)
        first = batches[0]
        self.note(sides=tuple(x.shape[-1] for x in batches), dtype=str(first.dtype).removeprefix("torch."))
        self.note(parameters=count(model))
        self.note(step="trace")
        graph = trace(model, first[:2])
        if can_be_plain(model, graph):
            self.note(step="canonize")
            source, model = model, canonize(model, first[:2])
            same(model, source, first)
            graph = trace(model, first[:2])
            self.note(canonized=True)
        self.note(
            groups=len(graph.groups),
            frozen_groups=sum(bool(graph.frozen[group.channels].all()) for group in graph.groups),
            reasons=tuple(dict.fromkeys(freeze.reason for freeze in graph.freezes)),
        )
        self.note(step="cut")
        plan = planned(graph, half_plan(graph, seed=SEED, logits=some_logits(graph, seed=SEED)), first)
        component = cut(model, plan)
        self.note(half=round(1 - count(component) / count(model), 3))
        self.note(step="compare")
        for x in batches:
            difference, effect = compare(model, component, plan, x)
            self.note(difference=max(difference, self.result.difference), effect=max(effect, self.result.effect))
        self.note(step="attribute")
        stats = attribute(model, [(first, torch.tensor([0, 1, 0]))], graph=graph, classes=[0, 1], sampling="all")
        self.note(oracle_layers=contributions(model, graph, stats, first[1:2], 1))
        self.note(step="save and load")
        saved(component, first, factory=lambda: built(self.network).to(first.dtype))
        self.note(step="")


def _material(network: Network) -> tuple[nn.Module, list[Tensor]]:
    """The network, in float64 where it runs in it, and images of two sizes (one, where it takes no other)."""
    for dtype in (torch.float64, torch.float32):
        model = built(network).to(dtype)
        batches = _batches(model, network, dtype)
        if batches:
            enliven(model, batches[0])
            return model, batches
    raise ValueError("runs on no size of images")


def _batches(model: nn.Module, network: Network, dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    found: list[Tensor] = []
    for side in SIDES:
        x = tinted(side, generator, channels=network.channels).to(dtype)
        try:
            fits = answer(model, x).shape == (len(x), CLASSES)
        except Exception:  # of any library: this size is not one for it
            continue
        found += [x] if fits else []
        if len(found) == SIZES:
            break
    return found


def _where(error: Exception) -> str:
    """The last line of the library, or of what tries it, that an exception went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT)]
    return f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno} {ours[-1].name}" if ours else ""
