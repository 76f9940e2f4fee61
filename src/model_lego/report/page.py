"""The skeleton of every page: one HTML file with its style, its data and its script in it."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from model_lego.errors import BadConfig
from model_lego.store.outputs import check_file, writing
from model_lego.text.inert import printable
from model_lego.version import __version__


def inert(value: Any) -> Any:
    """A value with each text in it as it is shown: what would move a cursor, reorder or hide text is written out."""
    if isinstance(value, dict):
        return {inert(key): inert(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [inert(each) for each in value]
    return printable(value, keep="\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value


#: The templates in `assets/`; what is put into them is escaped, unless it is Markup: what other templates gave.
_TEMPLATES = Environment(
    loader=PackageLoader("model_lego.report", "assets"),
    autoescape=True,
    finalize=inert,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: its heading, the anchor it is reached by, and what it says."""

    title: str
    anchor: str
    body: Markup


def check_page(file: str | Path) -> None:
    """Refuse a page that cannot be written before any work is done; raises BadConfig, CannotWrite."""
    if Path(file).suffix.lower() not in (".html", ".htm"):
        raise BadConfig(f"'{file}' is no page that can be written; end it in .html")
    check_file(file)


def write_page(file: str | Path, text: str) -> None:
    """Write a page, and the folders above it that lack; raises CannotWrite."""
    with writing(file):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(text, encoding="utf-8")


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
    # "<" inside a script could end it, whatever a class is called
    plain = json.dumps(inert(data), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return _TEMPLATES.get_template("page.html").render(
        title=title,
        lead=lead,
        sections=sections,
        data=Markup(plain),
        styles=[asset(name) for name in ("page.css", *styles)],
        scripts=[asset(name) for name in scripts],
        version=__version__,
    )


def block(name: str, *given: Any) -> Markup:
    """What a macro of `blocks.html` makes of what it is given."""
    made: Markup = getattr(_TEMPLATES.get_template("blocks.html").module, name)(*given)
    return made


def asset(name: str) -> Markup:
    """One of the files in `assets/` that is a part of a page as it is, and no template."""
    return Markup(files("model_lego.report").joinpath("assets", name).read_text(encoding="utf-8"))


def joined(blocks: Iterable[Markup]) -> Markup:
    """Blocks one after the other."""
    return Markup("").join(blocks)


@dataclass(frozen=True, slots=True)
class Share:
    """A cell that is shaded by a share (0..1; nan is a dash), and says it in % or has a text of its own.

    It leads to the anchor of a part of the page, if it is given one.
    """

    share: float
    text: str | None = None
    anchor: str = ""


Cell = str | float | Share


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell as it is shown: its text, whether that stands to the left, how it is shaded."""

    text: str
    left: bool = False
    share: float | None = None
    anchor: str = ""


def table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Markup:
    """A table; columns of words and the first one are to the left, numbers to the right, nan is a dash.

    A column in which nothing stands but dashes is left out.
    """
    lines = [list(row) for row in rows]
    told = [at for at in range(len(header)) if not lines or at == 0 or not all(_is_nothing(row[at]) for row in lines)]
    header, lines = [header[at] for at in told], [[row[at] for at in told] for row in lines]
    words = [bool(lines) and all(isinstance(row[at], str) for row in lines) for at in range(len(header))]
    cells = [[_shown(cell, left) for cell, left in zip(row, words, strict=True)] for row in lines]
    return block("table", list(zip(header, words, strict=True)), cells)


def _is_nothing(cell: Cell) -> bool:
    value = cell.share if isinstance(cell, Share) else cell
    return value == "" if isinstance(value, str) else math.isnan(value)


def _shown(cell: Cell, left: bool) -> _Cell:
    if isinstance(cell, str):
        return _Cell(cell, left)
    value = cell.share if isinstance(cell, Share) else cell
    if math.isnan(value):
        return _Cell("–")
    if isinstance(cell, Share):
        return _Cell(f"{100 * value:.1f} %" if cell.text is None else cell.text, share=value, anchor=cell.anchor)
    return _Cell(f"{cell:,}" if isinstance(cell, int) else f"{cell:g}")


def facts(rows: Iterable[tuple[str, str]]) -> Markup:
    """Names and what they stand for."""
    return block("facts", list(rows))


def folded(summary: str, text: str) -> Markup:
    """Long text behind a line that opens it."""
    return block("folded", summary, text)


def hint(text: str) -> Markup:
    """A remark in small letters."""
    return block("hint", text)
