"""What a random network goes through, and what has to hold: read, attributed, cut, repaired, saved, joined.

What is expected comes from tests/support/oracles.py and from the networks themselves. A LegoError is an answer; any
other exception and any disagreement is a failure.
"""

import copy
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn

from model_lego import assemble, attribute, disassemble, load, save, trace
from model_lego.attribution import ContributionStats, Thresholds, summing
from model_lego.attribution.relevance import walk
from model_lego.cutting.slicing import slice_model
from model_lego.disassembly.disassembling import Plan, cut
from model_lego.errors import CutMismatch, LegoError
from model_lego.graph import ChannelGraph, keep_all, runner
from model_lego.parts.component import Component
from tests.fuzz.describing import Network, build, images
from tests.support.oracles import contributions_linear, contributions_one_by_one, masked_forward
from tests.support.plans import half_plan, kept_inputs, some_logits
from tests.support.rounded import kept_inputs as kept_inputs_of

#: Largest difference in parts of the largest number, by data type.
ALIKE = {torch.float64: 1e-8, torch.float32: 2e-4}
#: What a mask has to change at least for a cut to be worth the name, in parts of the largest logit.
CHANGED = 1e-3
COUNT = 8  # images
STAGES = ("trace", "keep all", "cut", "attribute", "disassemble", "save", "parallel", "padded", "source")
#: Constants of the library by which a small network becomes a large one.
TIGHT = ((summing, "HELD_SAMPLES", 3), (summing, "BLOCK_ELEMENTS", 40), (runner, "CACHED_BYTES", 4096))


class Wrong(AssertionError):
    """Two things that have to be equal are not."""


class Unusable(Exception):
    """The network itself does not run, or gives nothing to compare: the generator is at fault."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What must not happen: what kind of thing, in which function, and what was said."""

    stage: str
    what: str
    text: str

    @property
    def kind(self) -> tuple[str, str]:
        """By which equal failures are known."""
        return (self.stage, self.what)


@dataclass(slots=True)
class Outcome:
    """What became of one network: the stages that it passed, and what was refused, by stage."""

    network: Network
    passed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    unusable: str = ""
    lost: int = 0  # channels that the cut took out
    effect: float = 0.0  # of the mask, in parts of the largest logit

    @property
    def is_cut(self) -> bool:
        """Whether channels that count were taken out, and the network is its mask."""
        return "cut" in self.passed and self.lost > 0 and self.effect > CHANGED


def tried(network: Network, stages: Sequence[str] = STAGES) -> Outcome:
    """Put a network to all laws, or to those of some stages."""
    outcome = Outcome(network)
    with ExitStack() as stack:
        for module, name, value in TIGHT if network.tight else ():
            stack.enter_context(mock.patch.object(module, name, value))
        try:
            trial = Trial(network, outcome)
        except Unusable as error:
            outcome.unusable = str(error)
            return outcome
        for stage in stages:
            if trial.ready(stage):
                _stage(stage, getattr(trial, stage.replace(" ", "_")), outcome)
    return outcome


def _stage(stage: str, body: Callable[[], None], outcome: Outcome) -> None:
    try:
        body()
    except (LegoError, Wrong) as error:
        if isinstance(error, Wrong) or (isinstance(error, CutMismatch) and stage != "padded"):
            outcome.failures.append(Failure(stage, f"{type(error).__name__}: {place(error)}", str(error)))
        else:
            outcome.refused[stage] = f"{type(error).__name__}: {error}"
    except Exception as error:
        text = "".join(traceback.format_exception(error)[-6:])
        outcome.failures.append(Failure(stage, f"{type(error).__name__}: {place(error)}", text))
    else:
        outcome.passed.append(stage)


def place(error: BaseException) -> str:
    """The innermost function of the library, or of this trial, in which an error came up."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "model_lego" in Path(frame.filename).parts] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].name}"


class Trial:
    """The stages, each a method; one needs what others made."""

    def __init__(self, network: Network, outcome: Outcome) -> None:
        self.network, self.outcome = network, outcome
        self.x = images(network, COUNT, seed=5)
        try:
            self.model = build(network)
            with torch.no_grad():
                self.logits = self.model(self.x)
        except (RuntimeError, ValueError) as error:
            raise Unusable(f"{type(error).__name__}: {error}") from error
        if not bool(torch.isfinite(self.logits).all()):
            raise Unusable("it gives numbers that are not finite")
        self.before = copy.deepcopy(self.model.state_dict())
        self.alike = ALIKE[network.dtype]
        self.graph: ChannelGraph | None = None
        self.parts: list[Component] = []

    def ready(self, stage: str) -> bool:
        """Whether there is what a stage starts from; what is kept whole cannot be padded, whatever else it is."""
        if stage in ("trace", "source"):
            return True
        if self.graph is None or (stage in ("save", "parallel", "padded") and not self.parts):
            return False
        return stage != "padded" or not (self.graph.freezes or self.graph.statistics)

    def trace(self) -> None:
        """It is read as a graph of channels."""
        self.graph = trace(self.model, self.x[:2])

    def keep_all(self) -> None:
        """With all of its channels it is itself, bit for bit."""
        whole = slice_model(self.model, self.graph, keep_all(self.graph)).module
        with torch.no_grad():
            if not torch.equal(whole(self.x), self.logits):
                raise Wrong("with all of its channels it is another network")

    def cut(self) -> None:
        """A slice is its mask (law 2), for two networks of this kind."""
        parts = []
        for seed, model in enumerate((self.model, build(self.network, seed=1))):
            logits = some_logits(self.graph, seed=seed)
            selection = half_plan(self.graph, seed=seed, logits=logits)
            names = tuple(map(str, range(len(self.graph.head))))
            chosen = tuple(names[logit] for logit in logits)
            plan = Plan(self.graph, None, selection, chosen, tuple(logits), names, {}, self.x[:2])
            part = cut(model, plan)
            expected = masked_forward(model, self.x, kept_inputs(self.graph, selection))[:, logits]
            with torch.no_grad():
                whole, found = model(self.x)[:, logits], part(self.x)
            self._equal("the cut network and the masked one", found, self._normalised(expected))
            if not seed:
                self.outcome.lost = self.graph.width - len(self.graph.head) - int(selection.keep.sum()) + len(logits)
                self.outcome.effect = float((whole - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
            renamed = [f"{seed}.{name}" for name in chosen]
            parts.append(Component(part.module, classes=renamed, labels=logits, origin=part.origin).eval())
        self.parts = parts

    def attribute(self) -> None:
        """Contributions are those of a layer that reads one channel alone (equation 3)."""
        labels = torch.arange(COUNT) % min(len(self.graph.head), 2)
        batches = [(self.x[:5], labels[:5]), (self.x[5:], labels[5:])]
        with read_by(self.model, self.graph) as reads, torch.no_grad():
            self.model(self.x)
        stats = attribute(self.model, batches, graph=self.graph, classes=[0, 1], sampling="all")
        each: dict[str, tuple[Tensor, Tensor]] = {}
        called = Counter(layer.weight for layer in self.graph.layers)
        calls = {weight: len(of_weight) for weight, of_weight in reads.items()}
        for layer in self.graph.layers:
            if layer.depthwise or calls.get(layer.weight) != called[layer.weight]:  # some calls read no channels
                continue
            module, x = reads[layer.weight].pop(0)
            s = contributions_of(module, x, layer.groups, COUNT)
            terms = contributions_of(_positive(module), x.abs(), layer.groups, COUNT)
            each[layer.name] = s[labels == 1], self.alike * terms[labels == 1]
            for place, label in enumerate((0, 1)):
                expected = s[labels == label].clamp(min=0).sum(0)
                found = stats.layers[layer.name].summed(place)
                self._equal(f"the contributions of {module}", found, expected, of=float(terms.max()))
        self._located(stats, each)

    def _located(self, stats: ContributionStats, each: dict[str, tuple[Tensor, Tensor]]) -> None:
        """Of the inputs of each layer those are relevant for class 1 that the equations say, step by step.

        `each` has the contributions of a layer, and their rounding: within it either answer is right. Behind a norm
        over pixels, for instance, all of a channel adds up to nothing, and the last bits are the largest sum.
        """
        thresholds, relevant = Thresholds(), torch.zeros(self.graph.width, dtype=torch.bool)
        for visit in walk(self.graph, stats, 1, relevant, thresholds=thresholds):
            layer = visit.layer
            if layer.groups > 1 or layer.name not in each:
                continue
            alpha, beta = thresholds.of(layer)
            rows = torch.isin(layer.outputs, visit.outputs).nonzero().flatten().tolist()
            s, rounding = each[layer.name]
            certain, possible = kept_inputs_of(s, rows, alpha=alpha, beta=beta, rounding=rounding)
            if bool((certain & ~visit.found).any() or (visit.found & ~possible).any()):
                raise Wrong(f"other inputs of layer '{layer.name}' are relevant than the equations say")

    def disassemble(self) -> None:
        """The whole way by the paper's thresholds, with a repair, gives a component that runs and comes back."""
        labels = torch.arange(COUNT) % len(self.graph.head)
        part = disassemble(self.model, [(self.x, labels)], classes=[1, 0], graph=self.graph, sampling="all")
        with torch.no_grad():
            if not bool(torch.isfinite(part.eval()(self.x)).all()):
                raise Wrong("a repaired component gives numbers that are not finite")
        self._comes_back(part)

    def save(self) -> None:
        """What was saved comes back with the same logits, bit for bit."""
        self._comes_back(self.parts[0])

    def parallel(self) -> None:
        """Joined, parts are their logits side by side (law 4)."""
        self._joined("parallel")

    def padded(self) -> None:
        """The same as one dense network, where there is one."""
        self._joined("padded")

    def source(self) -> None:
        """Nothing of the source has changed (law 8)."""
        after = self.model.state_dict()
        if list(after) != list(self.before) or any(not torch.equal(after[name], self.before[name]) for name in after):
            raise Wrong("the source was changed")

    def _joined(self, layout: str) -> None:
        with torch.no_grad():
            expected = torch.cat([part(self.x) for part in self.parts], 1)
            self._equal(f"the {layout} assembly and its parts", assemble(self.parts, layout=layout)(self.x), expected)

    def _comes_back(self, part: Component) -> None:
        with tempfile.TemporaryDirectory() as folder:
            save(part, f"{folder}/part")
            twin = load(f"{folder}/part", factory=lambda: build(self.network, seed=2))
        with torch.no_grad():
            if not torch.equal(twin(self.x), part(self.x)):
                raise Wrong("what was saved comes back as another network")

    def _normalised(self, logits: Tensor) -> Tensor:
        """Some logits as the network gives them where there are no others: a softmax over fewer adds up to one, too."""
        how = getattr(self.network.head[-1], "how", "")
        if how == "softmax":
            return logits / logits.sum(1, keepdim=True)
        return logits.log_softmax(1) if how == "log_softmax" else logits

    def _equal(self, what: str, found: Tensor, expected: Tensor, *, of: float = 0.0) -> None:
        """Two values are the same, but for rounding of the largest value or of terms `of` a size that make it."""
        if found.shape != expected.shape:
            raise Wrong(f"{what} differ: {tuple(found.shape)} and {tuple(expected.shape)}")
        difference, largest = float((found - expected).abs().max()), float(expected.abs().max())
        if not difference <= self.alike * max(largest, of, 1e-3):
            raise Wrong(f"{what} differ by {difference:.3g} (largest {largest:.3g})")


@contextmanager
def read_by(model: nn.Module, graph: ChannelGraph) -> Iterator[dict[str, list[tuple[nn.Module, Tensor]]]]:
    """What the modules that own a weight read, call by call, while the network runs; by the name of the weight."""
    reads: dict[str, list[tuple[nn.Module, Tensor]]] = {}
    with ExitStack() as hooks:
        for weight in {layer.weight for layer in graph.layers}:
            owners = [name.rpartition(".") for name in graph.program.aliases.get(weight, (weight,))]
            for module in {model.get_submodule(path) for path, _, attribute in owners if attribute == "weight"}:

                def note(module: nn.Module, arguments: Sequence[Tensor], weight: str = weight) -> None:
                    reads.setdefault(weight, []).append((module, arguments[0].detach().clone()))

                hooks.callback(module.register_forward_pre_hook(note).remove)
        yield reads


def _positive(module: nn.Module) -> nn.Module:
    """The same module with the absolute values of its weight: by its sums rounding is measured where terms cancel."""
    twin = copy.deepcopy(module)
    with torch.no_grad():
        twin.weight.abs_()
    return twin


def contributions_of(module: nn.Module, x: Tensor, groups: int, images: int) -> Tensor:
    """What each input of a module adds to each of its outputs: images x outputs x inputs of a group."""
    if isinstance(module, nn.Linear) and x.dim() == 2:
        return contributions_linear(x, module.weight.detach())
    s = contributions_one_by_one(module, x)
    s = s.reshape(images, -1, *s.shape[1:]).sum(1)  # positions that lie in the batch
    blocks = s.reshape(images, groups, s.shape[1] // groups, groups, -1)
    return torch.stack([blocks[:, k, :, k] for k in range(groups)], 1).flatten(1, 2)
