"""Runs the examples of the documentation: Python blocks of README.md and docs/, doctests in docstrings."""

import os
import tempfile
from pathlib import Path

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser


def enter_scratch(namespace):
    """Let a document's examples write files into a folder that is thrown away."""
    namespace["_home"], namespace["_scratch"] = Path.cwd(), tempfile.TemporaryDirectory()
    os.chdir(namespace["_scratch"].name)


def leave_scratch(namespace):
    """Go back to where the run was started."""
    os.chdir(namespace["_home"])
    namespace["_scratch"].cleanup()


pages = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    excludes=["golden/*/*/README.md"],  # of saved parts: they name folders that only their readers have
    setup=enter_scratch,
    teardown=leave_scratch,
)
docstrings = Sybil(
    parsers=[DocTestParser()],
    patterns=["src/**/*.py"],
    setup=enter_scratch,
    teardown=leave_scratch,
)
pytest_collect_file = (pages + docstrings).pytest()
