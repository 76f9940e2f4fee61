"""The routes of each part: a component is one, an assembly has several, each with its own classes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Unpack

from model_lego.attribution import attribute
from model_lego.cutting.tracing import trace
from model_lego.data.batching import Batches, Relabelled, absent, first_images, only, prepared
from model_lego.data.thumbnails import can_be_shown
from model_lego.digest import digest_of
from model_lego.errors import BadConfig
from model_lego.graph import ChannelGraph
from model_lego.graph.modules import first_parameter
from model_lego.parts.assembly import Assembly
from model_lego.parts.class_names import ClassNames, label_places, names_of
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import taken_by
from model_lego.progress import Progress, quiet
from model_lego.report.routes import MOST_SUBJECTS, Shown
from model_lego.routes import DecisionRoutes, TopImages, decision_routes, top_images
from model_lego.routes.top_images import TopOptions

#: Classes of a part that are named in its title.
MOST_NAMED = 8
#: What the routes of an assembly are, by its layout.
ABOUT = {
    "parallel": "Each part is a network of its own and decides between its own classes; how the head joins the parts "
    "is not in here. Numbers of channels are the part's.",
    "padded": "The parts lie side by side in one dense network, each between zeros: shown is how each comes to the "
    "logits of its own classes; how the head joins them is not in here. Numbers of channels are the dense network's.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """Where a part runs: the network, which a padded assembly's share, and the place of its first logit there."""

    title: str
    classes: tuple[str, ...]
    network: Component
    first: int = 0


def seats(part: Component | Assembly) -> list[Seat]:
    """The parts of an assembly in order; a component is its only one."""
    return [Seat("", part.classes, part)] if isinstance(part, Component) else _inside(part, "")


def _inside(assembly: Assembly, before: str) -> list[Seat]:
    """The parts of an assembly, which may be assemblies too: part 2.1 is the first one of part 2."""
    owned = assembly.owned()
    starts = accumulate(map(len, owned), initial=0)
    networks = assembly.networks() if assembly.padded is None else [assembly.padded] * len(owned)
    found = []
    for number, (network, classes, start) in enumerate(zip(networks, owned, starts, strict=False), 1):
        if isinstance(network, Assembly):
            found += _inside(network, f"{before}{number}.")
        else:
            first = 0 if assembly.padded is None else start
            found.append(Seat(_title(f"{before}{number}", classes), classes, network, first))
    return found


def _title(number: str, classes: Sequence[str]) -> str:
    more = f" … {len(classes)} classes" if len(classes) > MOST_NAMED else ""
    return f"part {number} ({', '.join(classes[:MOST_NAMED])}{more})"


def part_routes(
    part: Component | Assembly,
    batches: Batches,
    *,
    class_names: ClassNames | None = None,
    progress: Progress = quiet,
) -> tuple[DecisionRoutes | None, ...]:
    """Find the routes of each part's own classes, one for each part (a component is one); None for a single logit.

    Statistics are taken from labelled images as the part takes them; labels are positions in `part.classes`, unless
    `class_names` names them. Classes without images have no routes. Of many parts they are of the first classes, as
    many as a page shows. Raises BadBatches, EmptySelection, ShapeMismatch, UnknownClass.
    """
    names = part.classes if class_names is None else names_of(class_names)
    places = seats(part)
    most = max(2, MOST_SUBJECTS // len(places))
    untold = part.aliases().keys() - set(names) if isinstance(part, Assembly) else frozenset[str]()
    graphs: dict[int, ChannelGraph] = {}
    return tuple(_routes(seat, batches, names, untold, most, graphs, progress) for seat in places)


def _routes(
    seat: Seat,
    batches: Batches,
    names: Sequence[str],
    untold: Collection[str],
    most: int,
    graphs: dict[int, ChannelGraph],
    progress: Progress,
) -> DecisionRoutes | None:
    """The routes of one part but for its `untold` classes; `graphs` keeps the graph of a network that parts share."""
    network, empty = seat.network, {*untold, *(names[number] for number in absent(batches, range(len(names))))}
    chosen = [place for place, name in enumerate(seat.classes) if name not in empty][:most]
    if len(network.classes) < 2 or not chosen:
        return None
    places = label_places(seat.classes, chosen, names)
    labels = [seat.first + place if place >= 0 else -1 for place in places]
    mine = only(batches, [number for number, label in enumerate(labels) if label >= 0])
    feed = prepared(Relabelled(mine, labels), network.preprocessing)
    if id(network) not in graphs:
        graphs[id(network)] = trace(network.module, first_images(feed).to(first_parameter(network.module)))
    graph, wanted = graphs[id(network)], [seat.first + place for place in chosen]
    stats = attribute(network.module, feed, graph=graph, classes=wanted, class_names=network.classes, progress=progress)
    routes = decision_routes(network.module, stats, wanted, graph=graph, class_names=network.classes)
    return replace(routes, names=tuple(seat.classes[place] for place in chosen))


def illustrated(
    part: Component | Assembly,
    routes: Sequence[DecisionRoutes | None],
    batches: Batches,
    *,
    class_names: ClassNames | None = None,
    progress: Progress = quiet,
    **options: Unpack[TopOptions],
) -> tuple[DecisionRoutes | None, ...]:
    """The routes of each part with the images that their channels answer to most, out of the batches.

    Labels are positions in `part.classes`, unless `class_names` names them; `options` are those of `top_images`. Where
    images are no pictures the routes stay as they are. Raises BadConfig, BadBatches, ShapeMismatch.
    """
    names = part.classes if class_names is None else names_of(class_names)
    found: dict[int, TopImages] = {}
    made: list[DecisionRoutes | None] = []
    for seat, one in zip(seats(part), routes, strict=True):
        network = seat.network
        if one is not None and can_be_shown(taken_by(network)):
            if id(network) not in found:
                example = first_images(prepared(batches, network.preprocessing))
                graph = trace(network.module, example.to(first_parameter(network.module)))
                found[id(network)] = top_images(
                    network.module,
                    batches,
                    graph=graph,
                    class_names=names,
                    preprocessing=network.preprocessing,
                    progress=progress,
                    **options,
                )
            one = one.with_top_images(found[id(network)])
        made.append(one)
    return tuple(made)


def routes_shown(
    part: Component | Assembly, routes: DecisionRoutes | Sequence[DecisionRoutes | None] | None
) -> tuple[list[Shown], str]:
    """The routes of a part as a page shows them, and what they are; raises BadConfig for those of something else."""
    if routes is None:
        return [], ""
    given = [routes] if isinstance(routes, DecisionRoutes) else list(routes)
    places = seats(part)
    if len(given) != len(places):
        raise BadConfig(f"there are routes of {len(given)} parts, but {len(places)} parts; give None for one without")
    for seat, one in zip(places, given, strict=True):
        if one is not None and one.source != digest_of(seat.network.module):
            raise BadConfig(
                f"the routes of {seat.title or 'the component'} are of another network; find them in its own"
            )
    rows = [Shown(seat.title, one, _note(seat, one)) for seat, one in zip(places, given, strict=True)]
    return rows, ABOUT[part.layout] if isinstance(part, Assembly) else ""


def _note(seat: Seat, routes: DecisionRoutes | None) -> str:
    if routes is not None:
        left = len(seat.classes) - (len(routes.names) - routes.images)
        return f"routes of {len(seat.classes) - left} of its {len(seat.classes)} classes" if left > 0 else ""
    if len(seat.network.classes) < 2:
        return "a network with a single logit decides between nothing, so that it has no routes"
    return "no routes were given"
