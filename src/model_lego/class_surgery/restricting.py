"""A component with fewer of its classes, cut from its own module."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from model_lego.assembly.calibration import noise
from model_lego.budgets.settings import CutSettings
from model_lego.class_surgery.forgetting import forget
from model_lego.cutting.tracing import trace
from model_lego.data.batching import Batches, Relabelled
from model_lego.disassembly.disassembling import Made, Plan, cut, made_for
from model_lego.disassembly.judging import verdict_on
from model_lego.disassembly.request import InputOptions, Request, ask
from model_lego.errors import RefusedError
from model_lego.graph import ChannelGraph, select
from model_lego.graph.modules import first_parameter
from model_lego.graph.reachability import reaching
from model_lego.parts.class_names import gone_places, label_places
from model_lego.parts.component import Component
from model_lego.parts.origin import Origin
from model_lego.parts.provenance import together
from model_lego.parts.verdict import Verdict
from model_lego.progress import Progress, quiet
from model_lego.verdicts.judging import warn_of

BEFORE = "what it was before (over the same classes)"


@dataclass(frozen=True, slots=True)
class Restriction:
    """How a component loses classes where there are images: how it is cut and repaired, and whether it forgets them."""

    cutting: CutSettings
    forget: bool = True
    progress: Progress = quiet


def narrowed(
    part: Component, rest: Sequence[int], batches: Batches | None, class_names: Sequence[str], how: Restriction
) -> tuple[Component, Origin]:
    """A component with some of its classes (positions), and its origin as if the component were its source.

    `class_names` name the label numbers of the batches. Without batches it loses what reaches none of the remaining
    logits, which stay what they are. Raises UnknownClass, and what `disassemble` raises.
    """
    example = noise([part]).to(first_parameter(part))
    example = example if part.preprocessing is None else part.preprocessing(example)
    graph = trace(part.module, example)
    if batches is None:
        cut_out = _unwired(part, graph, rest, example)
        return _as_part(part, graph, cut_out), cut_out.origin
    feed = Relabelled(batches, label_places(part.classes, rest, class_names))
    given: InputOptions = {"preprocessing": part.preprocessing, "graph": graph, "progress": how.progress}
    request = ask(part.module, feed, rest, part.classes, how.cutting, given)
    made = made_for(request, None)
    small = _as_part(part, graph, made.component)
    if how.forget:
        gone = Relabelled(batches, gone_places(part.classes, rest, class_names))
        forget(small, gone, len(part.classes) - len(rest), progress=how.progress)
    verdict = verdict_after(request, made, small, BEFORE)
    return small.with_verdict(verdict), made.component.origin


def verdict_after(request: Request, made: Made, small: Component, reference: str) -> Verdict | None:
    """Judge a component that was cut and may have forgotten classes then, which is warned of."""
    forgot = "forgotten" in small.origin.settings
    twin_of, untuned = (None, None) if forgot else (made.unrepaired, made.untuned)
    verdict = verdict_on(request, small, made.images, twin_of, reference=reference, untuned=untuned)
    warn_of(verdict, stacklevel=4)
    return verdict


def _as_part(part: Component, graph: ChannelGraph, made: Component) -> Component:
    """What was cut from a component, as cut from the component's source, in the modes of the component."""
    small = from_the_source_on(part, graph, made)
    for ours, theirs in zip(small.modules(), part.modules(), strict=True):
        ours.training = theirs.training
    return small


def from_the_source_on(part: Component, graph: ChannelGraph, made: Component) -> Component:
    """A component that was cut from a component's module (of this graph), as if it were cut from the source.

    So it can be saved and loaded as that one.
    """
    return Component(
        made.module,
        classes=made.classes,
        labels=[part.labels[place] for place in made.labels],
        origin=_origin_from_the_source_on(part, graph, made.origin),
        preprocessing=part.preprocessing,
        verdict=made.verdict,
    )


def _unwired(part: Component, graph: ChannelGraph, rest: Sequence[int], example: Tensor) -> Component:
    planned = Plan(
        graph=graph,
        stats=None,
        selection=select(graph, reaching(part.module, graph, rest), logits=rest),
        classes=tuple(part.classes[place] for place in rest),
        labels=tuple(rest),
        source_classes=part.classes,
        settings={},
        example=example,
    )
    return cut(part.module, planned, preprocessing=part.preprocessing)


def _origin_from_the_source_on(part: Component, graph: ChannelGraph, inner: Origin) -> Origin:
    """The origin of a component that was cut from a component (of this graph), as if it were cut from the source."""
    outer = part.origin
    attributes = {path: dict(values) for path, values in outer.attributes.items()}
    for path, values in inner.attributes.items():
        attributes.setdefault(path, {}).update(values)
    settings: dict[str, Any] = dict(inner.settings)
    settings["cut_from"] = {"classes": list(part.classes), "settings": dict(outer.settings)}
    for key in ("dropped_modules", "left_uncut", "stale_attributes", "kept_whole"):
        both = dict.fromkeys([*outer.settings.get(key, ()), *inner.settings.get(key, ())])
        settings |= {key: list(both)} if both else {}
    if plain := outer.settings.get("plain_layers"):
        settings["plain_layers"] = plain
    outputs, inputs = {}, {}
    for layer in graph.layers if outer.kept_outputs else ():  # a padded network was cut from no single source
        was = _as_they_stand(outer.kept_outputs[layer.name], graph.head, layer.outputs, part.labels)
        outputs[layer.name] = tuple(sorted(was[place] for place in inner.kept_outputs[layer.name]))
        inputs[layer.name] = tuple(outer.kept_inputs[layer.name][place] for place in inner.kept_inputs[layer.name])
    return replace(
        outer,
        attributes=attributes,
        settings=settings,
        kept_outputs=outputs,
        kept_inputs=inputs,
        cost_after=inner.cost_after,
        provenance=together([outer.provenance, inner.provenance]),
    )


def _as_they_stand(kept: Sequence[int], head: Tensor, outputs: Tensor, labels: Sequence[int]) -> list[int]:
    """The source's number of each output of a layer; logits stand in the order of the component's classes."""
    place = {channel: number for number, channel in enumerate(head.tolist())}
    mine = [place.get(channel) for channel in outputs.tolist()]
    if all(number is None for number in mine):
        return list(kept)
    if any(number is None for number in mine):
        raise RefusedError("a layer writes logits and other channels together, so that its logits cannot be told apart")
    order = sorted(range(len(mine)), key=lambda at: labels[mine[at]])  # type: ignore[index]
    return [kept[order.index(at)] for at in range(len(mine))]
