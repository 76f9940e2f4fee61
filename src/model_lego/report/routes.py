"""The page of decision routes: a diagram to look into, photos, what classes share; of one network or of several."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from markupsafe import Markup

from model_lego.errors import BadConfig
from model_lego.report.answering import Answering, strongest
from model_lego.report.diagram import MOST_EDGES, diagram
from model_lego.report.page import Cell, Section, Share, asset, block, check_page, hint, joined, page, table, write_page
from model_lego.report.photos import Pool
from model_lego.routes.nouns import DecisionRoutes

#: Classes and images that a page shows at the most, so that it stays small.
MOST_SUBJECTS = 40
#: Bytes of all diagrams in a page; of several networks those are left out for which there is no more room.
MOST_BYTES = 6_000_000
#: Bytes of all the photos that channels answer to.
MOST_PHOTO_BYTES = 2_000_000
#: Width of a letter beside the tree of classes, at the most.
LETTER = 9
#: What a page with routes needs of the assets.
STYLES, SCRIPTS = ("routes.css",), ("routes.js",)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Routes on a page: whose they are ("" where there is but one network), and what else is to be said of them."""

    title: str
    routes: DecisionRoutes | None
    note: str = ""


def write_routes(routes: DecisionRoutes, file: str | Path, *, title: str = "Decision routes") -> None:
    """Write the interactive page of some routes; raises BadConfig.

    One self-contained HTML file. Of many edges the strongest are in it; relevant channels and numbers are complete.
    """
    check_page(file)
    made, data = sections([Shown("", routes)])
    text = page(title, _lead(routes), made, data=data, styles=STYLES, scripts=SCRIPTS)
    write_page(file, text)


def sections(shown: Sequence[Shown], *, about: str = "") -> tuple[list[Section], dict[str, Any]]:
    """The sections of a page that are about routes, and the data that its script draws with STYLES and SCRIPTS.

    `about` says what they are of. Where no routes are, there are only the notes, and no data. Raises BadConfig.
    """
    for one in shown:
        if one.routes is not None and len(one.routes.names) > MOST_SUBJECTS:
            raise BadConfig(
                f"a page shows at most {MOST_SUBJECTS} classes and images, not {len(one.routes.names)}; name fewer"
            )
    pool = Pool(MOST_PHOTO_BYTES)
    shown, drawn = _fitting(shown, pool)
    notes = [": ".join(filter(None, (one.title, one.note))) for one in shown if one.note]
    body = [hint(about)] * bool(about) + [asset("routes.html")] * bool(drawn)
    body += [hint(f"{note[:1].upper()}{note[1:]}.") for note in notes]
    made = [Section("Routes", "routes", joined(body))]
    if any(one.answering is not None for one in drawn):
        told = [*_blocks(drawn, _answers), *([hint(pool.note())] if pool.left_out else [])]
        made.append(Section("What the channels answer to", "answers", joined(told)))
    if any(len(one.routes.names) > 1 for one in drawn):
        made.append(Section("Which are alike", "alike", joined(_blocks(drawn, _alike))))
    if drawn:
        made.append(Section("Layer by layer", "layers", joined(_blocks(drawn, _layers))))
    return made, {"diagrams": [one.diagram for one in drawn], "photos": pool.photos} if drawn else {}


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Routes for which a page has room: whose they are, their diagram, the photos that the channels answer to."""

    title: str
    routes: DecisionRoutes
    diagram: dict[str, Any]
    answering: Answering | None


def _fitting(shown: Sequence[Shown], pool: Pool) -> tuple[list[Shown], list[_Drawn]]:
    """The routes for which a page has room, those left out with a note in their place; and what is drawn of them."""
    many = sum(one.routes is not None for one in shown)
    fitting: list[Shown] = []
    drawn: list[_Drawn] = []
    size = 0
    for one in shown:
        if (routes := one.routes) is not None:
            answering = None if routes.top is None else Answering(routes, routes.top, pool)
            made = diagram(routes, title=one.title, most=MOST_EDGES // many, answering=answering)
            more = len(json.dumps(made, separators=(",", ":")))
            if drawn and size + more > MOST_BYTES:
                one = replace(one, routes=None, note="left out, so that the page stays small; report this part alone")
            else:
                drawn.append(_Drawn(one.title, routes, made, answering))
                size += more
        fitting.append(one)
    return fitting, drawn


def _blocks(drawn: Sequence[_Drawn], told: Callable[[_Drawn], Markup]) -> Iterator[Markup]:
    """What is told of each network, with whose it is; the script shows the one that is chosen."""
    for number, one in enumerate(drawn):
        yield block("of_network", number, one.title, told(one))


def _answers(drawn: _Drawn) -> Markup:
    top = drawn.routes.top
    if top is None or drawn.answering is None:
        return hint("No images were looked at.")
    words = (
        f"Out of {len(top.photos):,} images those that a channel answers to most: its mean over the positions that the "
        "next layer reads is largest, and the ring is where it is strongest. Shown are the channels that add most to "
        "each logit, with what they add (the largest is 100 %); a dot in the picture above shows any other."
    )
    return joined([hint(words), strongest(drawn.routes, drawn.answering)])


def _lead(routes: DecisionRoutes) -> str:
    thresholds = routes.thresholds
    return (
        f"{', '.join(routes.names)}: through which channels the network decides. {len(routes.layers)} layers; "
        f"thresholds {thresholds.conv_alpha:g}/{thresholds.conv_beta:g} (convolutions), "
        f"{thresholds.linear_alpha:g}/{thresholds.linear_beta:g} (linear); network {routes.source[:12]}."
    )


def _alike(drawn: _Drawn) -> Markup:
    routes = drawn.routes
    if len(routes.names) < 2:
        return hint("One class is compared with nothing.")
    overlap = routes.overlap().tolist()
    matrix = table(
        ["overlap", *routes.names],
        [[name, *map(Share, line)] for name, line in zip(routes.names, overlap, strict=True)],
    )
    words = (
        "Overlap is the Jaccard index of the relevant channels that can be cut, averaged over the layers; "
        "the tree joins those first that are most alike."
    )
    return block("beside", matrix, _tree(routes)) + hint(words)


def _tree(routes: DecisionRoutes) -> Markup:
    """The dendrogram as SVG: right the subjects, left what they have in common."""
    from scipy.cluster.hierarchy import dendrogram

    plan = dendrogram(routes.dendrogram().numpy(), no_plot=True)
    row, wide = 22, 260
    paths = []
    for along, down in zip(plan["dcoord"], plan["icoord"], strict=True):  # scipy puts the leaves at 5, 15, 25 …
        corners = [(wide * (1 - at) + 4, row * (place / 10 + 0.3)) for at, place in zip(along, down, strict=True)]
        paths.append("M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in corners))
    names = [
        (wide + 10, f"{row * (place + 0.8) + 4:.1f}", routes.names[leaf]) for place, leaf in enumerate(plan["leaves"])
    ]
    room = LETTER * max(map(len, routes.names))
    return block("tree", wide + 20 + room, row * (len(routes.names) + 1), paths, names)


def _layers(drawn: _Drawn) -> Markup:
    routes = drawn.routes
    several = len(routes.names) > 1
    pairs = ~torch.eye(len(routes.names), dtype=torch.bool)
    rows = []
    for layer in routes.layers:
        row: list[Cell] = [layer.name, len(layer.writes), *layer.outputs.sum(1).tolist()]
        row += [int(layer.shared.sum()), Share(float(layer.overlap()[pairs].nanmean()))] if several else []
        rows.append([*row, Share(float(layer.unused.double().mean()))])
    header = ["layer", "channels", *routes.names, *(["shared", "overlap"] if several else []), "unused"]
    whom = "used by none of these" if several else "not used"
    text = f"{100 * routes.unused:.1f} % of the channels that can be cut are {whom}."
    return block("sentence", text) + table(header, rows)
