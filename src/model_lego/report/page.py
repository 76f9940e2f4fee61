"""The skeleton of every page: one HTML file with its style, its data and its script in it."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from model_lego.errors import BadConfig
from model_lego.version import __version__


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: its heading, the anchor it is reached by, and what it says, as HTML."""

    title: str
    anchor: str
    body: str


def asset(name: str) -> str:
    """The text of one of the files in `assets/`."""
    return files("model_lego.report").joinpath("assets", name).read_text(encoding="utf-8")


def check_page(file: str | Path) -> None:
    """Refuse a page that cannot be written before any work is done; raises BadConfig."""
    if Path(file).suffix.lower() not in (".html", ".htm"):
        raise BadConfig(f"'{file}' is no page that can be written; end it in .html")
    if not Path(file).resolve().parent.is_dir():
        raise BadConfig(f"the folder of '{file}' does not exist; make it first")


def page(
    title: str,
    lead: str,
    sections: Sequence[Section],
    *,
    data: Any = None,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> str:
    """Put a page together. `title` and `lead` are plain text; `styles` and `scripts` name assets."""
    links = "".join(f'<a href="#{section.anchor}">{escape(section.title)}</a>' for section in sections)
    bodies = "\n".join(
        f'<section id="{section.anchor}">\n<h2>{escape(section.title)}</h2>\n{section.body}\n</section>'
        for section in sections
    )
    given = {
        "title": escape(title),
        "lead": escape(lead),
        "style": "\n".join(asset(name) for name in ("page.css", *styles)),
        "contents": links if len(sections) > 1 else "",
        "sections": bodies,
        "version": escape(__version__),
        # "<" inside a script could end it, whatever a class is called
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "script": "\n".join(asset(name) for name in scripts),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: given[found[1]], asset("page.html"))


def table(header: Sequence[str], rows: Iterable[Sequence[str | float]], *, shaded: Sequence[int] = ()) -> str:
    """A table; the columns numbered in `shaded` hold shares (0..1), written in % and shaded by size; nan is a dash."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    lines = ["".join(_cell(cell, at in shaded) for at, cell in enumerate(row)) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(cell: str | float, shaded: bool) -> str:
    if isinstance(cell, str):
        return f"<td>{escape(cell)}</td>"
    if math.isnan(cell):
        return "<td>–</td>"
    if shaded:
        return f'<td class="shade" style="--share:{cell:.3f}">{100 * cell:.1f} %</td>'
    return f"<td>{cell:g}</td>"
