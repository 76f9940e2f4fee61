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


@dataclass(frozen=True, slots=True)
class Share:
    """A cell that is shaded by a share (0..1; nan is a dash), and says it in % or has a text of its own."""

    share: float
    text: str | None = None


Cell = str | float | Share


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table; columns of words and the first one are to the left, numbers to the right, nan is a dash."""
    lines = [list(row) for row in rows]
    words = [bool(lines) and all(isinstance(row[at], str) for row in lines) for at in range(len(header))]
    head = "".join(
        f'<th scope="col"{_side(left)}>{escape(cell)}</th>' for cell, left in zip(header, words, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(_cell(cell, left) for cell, left in zip(row, words, strict=True))}</tr>" for row in lines
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _side(left: bool) -> str:
    return ' class="words"' if left else ""


def _cell(cell: Cell, left: bool) -> str:
    if isinstance(cell, str):
        return f"<td{_side(left)}>{escape(cell)}</td>"
    value = cell.share if isinstance(cell, Share) else cell
    if math.isnan(value):
        return "<td>–</td>"
    if isinstance(cell, Share):
        text = f"{100 * value:.1f} %" if cell.text is None else escape(cell.text)
        return f'<td class="shade" style="--share:{value:.3f}">{text}</td>'
    return f"<td>{cell:,}</td>" if isinstance(cell, int) else f"<td>{cell:g}</td>"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what they stand for."""
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in rows)}</dl>"


def folded(summary: str, text: str) -> str:
    """Long text behind a line that opens it."""
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def hint(text: str) -> str:
    """A remark in small letters."""
    return f'<p class="hint">{escape(text)}</p>'
