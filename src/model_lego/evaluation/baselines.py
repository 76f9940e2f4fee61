"""What a part is measured against: its uncut source, and other cuts of the same size."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from model_lego.budgets.criteria import magnitudes
from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import selection_of, slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.data.batching import Batches, refuse_one_shot
from model_lego.errors import BadConfig
from model_lego.graph import ChannelGraph, ChannelSelection, select
from model_lego.graph.modules import first_parameter
from model_lego.graph.selection import as_many
from model_lego.parts.assembly import Assembly, counted_by, own_classes
from model_lego.parts.component import Component, check_source
from model_lego.parts.grouping import Columns, merged
from model_lego.parts.image_shapes import noise_of
from model_lego.parts.logits import main_logits
from model_lego.parts.origin import Cost, total
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.wrappers import unwrapped
from model_lego.progress import Progress, quiet
from model_lego.repairing.layerwise import RepairSettings
from model_lego.repairing.refitting import calibration_images, repair_cut

#: The baseline that has the component's own channels.
TRAINING_FREE = "training-free"
#: The baselines of any component.
KINDS = ("source", "restricted", "random", "magnitude", "head")


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A network that is evaluated on the classes of a part.

    `columns` are its outputs for the part's classes, in their order. `restricted`: its answer is the arg-max over
    these columns only; otherwise over all of its outputs. With a `preprocessing`, it takes images scaled to 0..1.
    `reference`: it is the uncut network whose answers the others are held against.
    """

    name: str
    model: nn.Module
    columns: tuple[int, ...]
    restricted: bool
    cost: Cost
    preprocessing: Preprocessing | None = None
    note: str = ""
    reference: bool = False

    def logits(self, images: Tensor) -> Tensor:
        """All outputs of the network, batch x outputs, for images as the part takes them."""
        return logits_of(self.model, images, self.preprocessing)


def logits_of(model: nn.Module, images: Tensor, preprocessing: Preprocessing | None) -> Tensor:
    """Run a network on images in its own data type and on its own device; gives logits, batch x outputs."""
    images = images.to(first_parameter(model))
    return main_logits(model(images if preprocessing is None else preprocessing(images)))


def baselines(
    component: Component,
    source: nn.Module,
    *,
    calibration: Batches | None = None,
    kinds: Sequence[str] = KINDS,
    graph: ChannelGraph | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> tuple[Contender, ...]:
    """What a component has to be compared with; both arguments are left as they are.

    "source": the uncut source over all its classes; "restricted": the same with the arg-max over the component's
    classes; "random" and "magnitude" (L1 norm of a channel's weights): cuts that keep as many channels of each group
    as the component; "head": all channels kept, the logits alone cut. With `calibration` (images and labels as for
    `disassemble`), the cuts of equal size come repaired as the component was, too. "training-free", which needs it: the
    component's own channels, repaired in closed form, beside a component that was tuned. Raises BadConfig, CutMismatch,
    EmptySelection, BadBatches, ShapeMismatch.
    """
    known = [*_UNCUT, *_PLANS, TRAINING_FREE]
    if wrong := [kind for kind in kinds if kind not in known]:
        raise BadConfig(f"baseline '{wrong[0]}' is unknown; use some of {', '.join(known)}")
    if TRAINING_FREE in kinds and calibration is None:
        raise BadConfig(f"baseline '{TRAINING_FREE}' is repaired: give calibration images")
    source = unwrapped(source)
    check_source(source, component)
    cutter = None
    if not set(kinds) <= set(_UNCUT):
        cutter = _Cutter(component, source, graph=graph, calibration=calibration, seed=seed, progress=progress)
    contenders: list[Contender] = []
    for kind in kinds:
        if cutter is None or kind in _UNCUT:
            contenders.append(_uncut(component, source, kind))
        else:
            contenders += [cutter.closed_form()] if kind == TRAINING_FREE else cutter.cuts(kind)
    return tuple(contenders)


def ensemble(sources: Sequence[tuple[nn.Module, Component]], *, assembly: Assembly | None = None) -> Contender:
    """The uncut sources of an assembly's parts: their logits for the parts' classes side by side, in the parts' order.

    Of a class that several parts have, the first part's logit counts. A source of several parts runs and counts once.
    With the `assembly` they come in the order of its classes, and in its groups. Raises BadConfig.
    """
    if not sources:
        raise BadConfig("there is no source to put side by side; give pairs (source, component)")
    for source, component in sources:
        check_source(source, component)
    names = [name for _, component in sources for name in component.classes]
    columns = _columns(names, assembly)
    model = _SideBySide(sources, columns)
    once = {key: component.origin.cost_before for key, (_, component) in zip(model.keys, sources, strict=True)}
    return Contender(
        name="sources",
        model=model,
        columns=tuple(range(len(columns))),
        restricted=True,
        cost=total(once.values()),
        note="the uncut sources side by side, arg-max over the parts' classes",
        reference=True,
    )


def _columns(names: Sequence[str], assembly: Assembly | None) -> Columns:
    """Where the logits of each class stand among those of the parts' classes, each name counting once."""
    told = names if assembly is None else counted_by(assembly, names)
    classes = dict.fromkeys(names) if assembly is None else own_classes(assembly)
    if missing := [name for name in classes if name not in told]:
        raise BadConfig(f"no source has class '{missing[0]}' of the assembly; give a pair for each of its parts")
    firsts = [(place, name) for place, name in enumerate(told) if names.index(names[place]) == place]
    return tuple(tuple(place for place, name in firsts if name == each) for each in classes)


class _SideBySide(nn.Module):
    """Networks on the same images, each with its own preprocessing; gives merged logits, batch x classes."""

    def __init__(self, sources: Sequence[tuple[nn.Module, Component]], columns: Columns) -> None:
        super().__init__()
        self.columns = columns
        self.keys = [(id(source), component.preprocessing) for source, component in sources]
        self.labels = [list(component.labels) for _, component in sources]
        self.models = nn.ModuleList(source for source, _ in sources)

    def forward(self, images: Tensor) -> Tensor:
        done: dict[object, Tensor] = {}
        for key, model in zip(self.keys, self.models, strict=True):
            if key not in done:
                done[key] = logits_of(model, images, key[1])
        chosen = [done[key][:, labels] for key, labels in zip(self.keys, self.labels, strict=True)]
        return merged(torch.cat(chosen, 1), self.columns)


#: Baselines that are the source itself: whether the arg-max is over the component's classes only.
_UNCUT = {"source": False, "restricted": True}


def _uncut(component: Component, source: nn.Module, kind: str) -> Contender:
    over = "the component's classes only" if _UNCUT[kind] else f"all {len(component.origin.source_classes)} classes"
    return Contender(
        name=kind,
        model=source,
        columns=component.labels,
        restricted=_UNCUT[kind],
        cost=component.origin.cost_before,
        preprocessing=component.preprocessing,
        note=f"the uncut source, arg-max over {over}",
        reference=_UNCUT[kind],
    )


class _Cutter:
    """Cuts a source in other ways than its component was cut."""

    def __init__(
        self,
        component: Component,
        source: nn.Module,
        *,
        graph: ChannelGraph | None,
        calibration: Batches | None,
        seed: int,
        progress: Progress,
    ) -> None:
        self.component, self.source, self.seed, self.progress = component, source, seed, progress
        self.example = noise_of(component.origin.input_shape).to(first_parameter(source))
        self.graph = graph or trace(source, self.example)
        self.kept = selection_of(component, self.graph)
        self.settings = _repair_settings(component)
        self.images: Tensor | None = None
        if calibration is not None and self.settings.method != "none":
            self.images = _as_repaired(component, calibration, progress).to(self.example)

    def cuts(self, kind: str) -> tuple[Contender, ...]:
        """One kind of cut and, where there are images for it, the same repaired."""
        choose, note, equal_size = _PLANS[kind]
        selection = choose(self.source, self.graph, self.kept, self.seed)
        module = slice_model(self.source, self.graph, selection).module
        cut = check_cut(module, self.source, self.graph, selection, self.example)
        bare = self._contender(kind, cut, note)
        if self.images is None or not equal_size:
            return (bare,)
        repaired, _ = repair_cut(cut.copy(), self.images, self.settings, progress=self.progress)
        return bare, self._contender(f"{kind} + repair", repaired, f"{kind}, repaired as the component was")

    def closed_form(self) -> Contender:
        """The component's own channels, repaired without any gradient step."""
        module = slice_model(self.source, self.graph, self.kept).module
        cut = check_cut(module, self.source, self.graph, self.kept, self.example)
        if self.images is not None:
            cut, _ = repair_cut(cut, self.images, self.settings.training_free, progress=self.progress)
        return self._contender(TRAINING_FREE, cut, "the component's channels, repaired in closed form, not tuned")

    def _contender(self, name: str, cut: Cut, note: str) -> Contender:
        columns = tuple(range(len(self.component.classes)))
        return Contender(name, cut.module, columns, True, cut.cost(), self.component.preprocessing, note)


def _random(source: nn.Module, graph: ChannelGraph, kept: ChannelSelection, seed: int) -> ChannelSelection:
    generator = torch.Generator().manual_seed(seed)
    return as_many(graph, kept, torch.rand(graph.width, generator=generator, dtype=torch.float64))


def _strongest(source: nn.Module, graph: ChannelGraph, kept: ChannelSelection, seed: int) -> ChannelSelection:
    return as_many(graph, kept, magnitudes(source, graph))


def _everything(source: nn.Module, graph: ChannelGraph, kept: ChannelSelection, seed: int) -> ChannelSelection:
    return select(graph, torch.ones(graph.width, dtype=torch.bool), logits=kept.logits)


_Choose = Callable[[nn.Module, ChannelGraph, ChannelSelection, int], ChannelSelection]
#: Baselines that are cut: how to choose the channels, what to say of it, whether it is as small as the component.
_PLANS: Mapping[str, tuple[_Choose, str, bool]] = {
    "random": (_random, "as many channels of each group as the component, at random", True),
    "magnitude": (_strongest, "as many channels of each group as the component, those with the largest weights", True),
    "head": (_everything, "all channels kept, the head cut to the component's classes", False),
}


def _repair_settings(component: Component) -> RepairSettings:
    """How a component was repaired, read off its origin."""
    record = component.origin.settings.get("repair", {"method": "none"})
    names = {field.name for field in fields(RepairSettings)}
    known = {name: value for name, value in record.items() if name in names}
    return RepairSettings(**({"blend": False} | known))  # those of earlier versions were repaired without blends


def _as_repaired(component: Component, calibration: Batches, progress: Progress) -> Tensor:
    """As many images as the component was repaired with; the same ones, where the batches are the same."""
    refuse_one_shot(calibration)
    settings = component.origin.settings
    drawn = calibration_images(
        calibration, component, limit=settings["repair"].get("images"), seed=settings.get("seed", 0), progress=progress
    )
    return drawn.images
