"""Build the documentation as a searchable site: `python tools/build_site.py` writes it to build/site.

Its pages are README.md, the files beside it, docs/ and the examples' README.md, as they are, and a page for each folder
of the package, made of its docstrings. They are laid out under build/pages as in the repository, so that links between
them stay what they are. A link that leads nowhere is an error.
"""

import re
import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PACKAGE = ROOT / "src/model_lego"
SETTINGS = {
    "project": "Model LEGO",
    "root_doc": "README",
    "extensions": ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"],
    "html_theme": "furo",
    "html_title": "Model LEGO",
    "html_copy_source": False,
    "myst_heading_anchors": 6,  # the anchors that the forges make of headings
    "toc_object_entries": False,  # the search finds functions; listed on every page they took a quarter of the time
    "autodoc_member_order": "bysource",
    "autodoc_typehints": "signature",
    "autodoc_typehints_format": "short",
    "autodoc_preserve_defaults": True,
    "napoleon_use_ivar": True,
    "suppress_warnings": ["myst.xref_ambiguous"],
}
CONTENTS: dict[str, str | list[str]] = {
    "Tutorials": "docs/tutorials/*",
    "How to": "docs/how-to/*",
    "Examples": "examples/*/README",
    "To look things up": ["docs/reference", "docs/command-line"],
    "How it works": [
        *("docs/architecture", "docs/decisions/index", "docs/format", "docs/security"),
        *("SECURITY", "CONTRIBUTING", "CHANGELOG"),
    ],
    "Measured": [
        *("docs/accuracy", "docs/results", "docs/compression", "docs/coverage", "docs/foreign", "docs/fuzz"),
        *("docs/rivals", "docs/narrow", "docs/tokens", "docs/deployment"),
        *("docs/benchmarks", "docs/nothing-silent"),
    ],
    "The package": "package/*",
}


def main() -> int:
    """Lay out the pages, and build the site of them."""
    pages = BUILD / "pages"
    for folder in (pages, BUILD / "site", BUILD / "doctrees"):
        shutil.rmtree(folder, ignore_errors=True)
    lay_out(pages)
    site = Sphinx(pages, None, BUILD / "site", BUILD / "doctrees", "html", SETTINGS, status=None, warningiserror=True)
    site.connect("autodoc-process-docstring", mark_code, priority=1)  # before napoleon reads the sections
    site.build()
    return site.statuscode


def lay_out(pages: Path) -> None:
    """Copy what is written by hand to `pages`, and write there what is made of docstrings."""
    shutil.copytree(ROOT / "docs", pages / "docs")
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"):
        shutil.copy(ROOT / name, pages / name)
    for page in (ROOT / "examples").glob("*/README.md"):
        (pages / page.relative_to(ROOT)).parent.mkdir(parents=True)
        shutil.copy(page, pages / page.relative_to(ROOT))
    with (pages / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("\n" + "\n".join(contents(title, listed) for title, listed in CONTENTS.items()))
    decisions = sorted(path.stem for path in (ROOT / "docs/decisions").glob("*.md") if path.stem != "index")
    with (pages / "docs/decisions/index.md").open("a", encoding="utf-8") as index:
        index.write("\n" + contents("", decisions))
    (pages / "package").mkdir()
    for folder, modules in package_modules().items():
        (pages / f"package/{folder}.rst").write_text(docstrings(folder, modules), encoding="utf-8")


def mark_code(_app: object, _kind: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Let a docstring's single backticks stand for code, as in Markdown."""
    lines[:] = re.sub(r"(?<!`)`(?!`)", "``", "\n".join(lines)).split("\n")


def contents(title: str, listed: str | list[str]) -> str:
    """Write the part of the table of contents for the pages `listed`, by name or by pattern."""
    options = [f":caption: {title}"] if title else []
    if isinstance(listed, str):
        options, listed = [*options, ":glob:"], [listed]
    return "\n".join(["```{toctree}", ":hidden:", ":titlesonly:", *options, "", *listed, "```", ""])


def docstrings(folder: str, modules: list[str]) -> str:
    """Write the page of a folder of the package: what each of its modules says of itself."""
    sections = [
        f"{module}\n{'-' * len(module)}\n\n.. automodule:: {module}\n   :members:\n   :ignore-module-all:\n"
        for module in modules
    ]
    return "\n".join([f"{folder}\n{'=' * len(folder)}\n", *sections])


def package_modules() -> dict[str, list[str]]:
    """List the modules of the package by their folder; those beside the folders under the package's own name."""
    listed: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[-1] != "__main__":
            folder = parts[1] if len(parts) > 2 else parts[0]
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            listed.setdefault(folder, []).append(module)
    return listed


if __name__ == "__main__":
    sys.exit(main())
