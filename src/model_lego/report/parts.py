"""The page about a component or an assembly: what it is, how good, what for what, which channels, where from."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from model_lego.errors import BadConfig
from model_lego.evaluation.results import Report, Row
from model_lego.parts.assembly import Assembly, numbered
from model_lego.parts.component import Component
from model_lego.report.confusion import Confusion
from model_lego.report.confusion_sections import confusion_sections
from model_lego.report.page import (
    Cell,
    Section,
    Share,
    check_page,
    facts,
    folded,
    hint,
    joined,
    page,
    table,
    write_page,
)
from model_lego.report.routes import SCRIPTS, STYLES
from model_lego.report.routes import sections as route_sections
from model_lego.report.seats import routes_shown
from model_lego.routes import DecisionRoutes


def write_report(
    part: Component | Assembly,
    file: str | Path,
    *,
    measured: Report | None = None,
    confused: Confusion | None = None,
    routes: DecisionRoutes | Sequence[DecisionRoutes | None] | None = None,
    provenance: Mapping[str, str] | None = None,
    title: str | None = None,
) -> None:
    """Write a page about a part, one self-contained HTML file; raises BadConfig.

    `measured` is what `evaluate` gave, with or without baselines, `confused` what `confusion` counted, `routes` what
    `part_routes` found: one of a component, one of each part of an assembly, None for a part that has none. Sections of
    what is not given are left out. `provenance` adds facts, such as the digest of the file.
    """
    check_page(file)
    if confused is not None and confused.classes != part.classes:
        raise BadConfig("what is taken for what was counted for other classes; count it for this part")
    routed, drawn = _routed(part, routes)
    made = [Section("What it is", "what", _what(part))]
    if measured is not None:
        made.append(Section("How good it is", "accuracy", _accuracy(measured)))
    if confused is not None:
        made += confusion_sections(confused)
    made += routed
    made += [
        Section("What it costs", "cost", _cost(part)),
        Section("Which channels it keeps", "channels", _channels(part)),
        Section("Where it comes from", "origin", _origin(part, provenance or {})),
    ]
    text = page(
        title or f"{type(part).__name__}: {', '.join(part.classes)}",
        str(part),
        made,
        data=drawn,
        styles=STYLES if drawn else (),
        scripts=SCRIPTS if drawn else (),
    )
    write_page(file, text)


def _routed(
    part: Component | Assembly, routes: DecisionRoutes | Sequence[DecisionRoutes | None] | None
) -> tuple[list[Section], dict[str, Any]]:
    """The sections about routes, none where none are given, and the data of their diagrams."""
    rows, about = routes_shown(part, routes)
    return route_sections(rows, about=about) if rows else ([], {})


def _members(part: Component | Assembly) -> list[tuple[str, Component]]:
    """The components that run, with a name for each."""
    if isinstance(part, Component):
        return [("component", part)]
    return [(f"part {number}" if number else "padded", one) for number, one in numbered(part)]


def _what(part: Component | Assembly) -> Markup:
    rows = [("kind", type(part).__name__.lower()), ("classes", ", ".join(part.classes))]
    if isinstance(part, Assembly):
        rows += [("layout", part.layout), ("head", part.head.kind)]
        rows += [(f"part {number}", ", ".join(classes)) for number, classes in enumerate(part.owned(), 1)]
        rows += [(f"group {name}", ", ".join(members)) for name, members in part.groups.items()]
        rows += [("lacks", part.record.lacks)] if part.record.lacks else []
    return facts(rows)


def _accuracy(measured: Report) -> Markup:
    scored = any(row.separation for row in measured.rows)
    header = ["", "accuracy, %", "95 % interval", "agreement, %", "calibration error", *(["AUROC"] if scored else [])]
    header += ["parameters", "multiply-adds", "bytes"]
    contenders = table(header, (_contender(row, scored) for row in measured.rows))
    first = measured.rows[0]
    columns = ["class", "images", "accuracy", *(["AUROC"] if first.separation else [])]
    shown = zip(measured.classes, measured.counts, first.per_class, strict=True)
    classes: list[list[Cell]] = [[name, count, Share(accuracy / 100)] for name, count, accuracy in shown]
    for row, area in zip(classes, first.separation, strict=False):
        row.append(round(area, 4))
    parts = table(
        ["part", "images", "own, %", "joint, %", "other, %"],
        (
            [one.name, one.samples, round(one.own, 2), round(one.joint, 2), round(one.other, 2)]
            for one in measured.parts
        ),
    )
    notes = [f"AUROC, {words}" for words in measured.negatives.values() if scored]
    notes += [f"{row.name}: {row.note}" for row in measured.rows if row.note] + list(measured.notes)
    others = f" and {measured.others:,} of other classes" if measured.others else ""
    below = "; baselines stand below the part" if len(measured.rows) > 1 else ""
    return joined(
        [
            hint(f"{sum(measured.counts):,} images{others}{below}."),
            contenders,
            *map(hint, notes),
            *([parts] if measured.parts else []),
            table(columns, classes),
        ]
    )


def _contender(row: Row, scored: bool) -> list[Cell]:
    low, high = row.interval
    defined = [area for area in row.separation if not math.isnan(area)]
    area: list[Cell] = [round(sum(defined) / len(defined), 4) if defined else math.nan] if scored else []
    interval: Cell = math.nan if math.isnan(low) else f"{low:.1f} to {high:.1f}"
    numbers: list[Cell] = [round(row.accuracy, 2), interval, round(row.agreement, 2), round(row.calibration_error, 2)]
    return [row.name, *numbers, *area, row.parameters, row.macs, row.bytes]


def _cost(part: Component | Assembly) -> Markup:
    rows: list[list[Cell]] = []
    for name, one in _members(part):
        before, after = one.origin.cost_before, one.origin.cost_after
        for what in ("parameters", "macs", "bytes"):
            whole, left = getattr(before, what), getattr(after, what)
            called = f"{name}: {what.replace('macs', 'multiply-adds')}"
            rows.append([called, left, whole, Share(left / whole if whole else math.nan)])
    return table(["", "now", "source", "share"], rows)


def _channels(part: Component | Assembly) -> Markup:
    rows: list[list[Cell]] = []
    for name, one in _members(part):
        place = {path: number for number, (path, _) in enumerate(one.module.named_modules())}
        kept = one.origin.kept_outputs
        for layer in sorted(kept, key=lambda layer: place.get(layer.partition("#")[0], len(place))):
            called = f"{name}: {layer}" if isinstance(part, Assembly) else layer
            rows.append([called, len(kept[layer]), _numbers(kept[layer])])
    if not rows:
        return hint("A padded network was cut from no single source.")
    return hint("Numbers are those of the source's output channels.") + table(["layer", "kept", "which"], rows)


def _numbers(kept: Iterable[int], most: int = 16) -> str:
    """Numbers as ranges: 0-4, 7, 9-12; at most so many ranges."""
    ranges: list[list[int]] = []
    for number in sorted(kept):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    told = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:most]]
    return ", ".join(told) + (f", … {len(ranges) - most} more ranges" if len(ranges) > most else "")


def _origin(part: Component | Assembly, provenance: Mapping[str, str]) -> Markup:
    blocks = [facts(provenance.items())]
    for name, one in _members(part):
        origin = one.origin
        rows = [
            (name, ", ".join(one.classes)),
            ("source", str(origin.builder or "a network of the user's own")),
            ("digest of the source", origin.source_digest),
            ("classes of the source", ", ".join(origin.source_classes)),
            ("images", " x ".join(map(str, origin.input_shape))),
        ]
        blocks += [facts(rows), folded("settings of the cut", _pretty(origin.settings))]
    if isinstance(part, Assembly):
        blocks.append(folded("settings of the assembly", _pretty(part.settings)))
    return joined(blocks)


def _pretty(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), indent=2, sort_keys=True, default=str)
