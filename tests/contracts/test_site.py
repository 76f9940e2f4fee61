"""The site that `make docs` builds: every page is there, docstrings too, and a link that leads nowhere is an error."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
ROOT = Path(__file__).parents[2]
PARTS = ["docs", "examples", "src", "tools", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"]


def built(checkout):
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, checkout / "tools/build_site.py"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the site is made of."""
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("node_modules"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def small(tmp_path):
    """A checkout with a page of each kind that holds a heading alone, and a package of one docstring."""
    docs = ROOT / "docs"
    firsts = {page.parent: page for page in sorted(docs.glob("*/*.md"), reverse=True)}.values()
    example = ROOT / "examples/serve/README.md"
    for page in [
        *ROOT.glob("*.md"),
        ROOT / "LICENSE",
        *docs.glob("*.md"),
        docs / "decisions/index.md",
        *firsts,
        example,
    ]:
        stub = tmp_path / page.relative_to(ROOT)
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(f"# {page.stem}\n", encoding="utf-8")
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    package = tmp_path / "src/model_lego"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""What a `package` is."""\n', encoding="utf-8")
    return tmp_path


def test_the_site_has_every_page_and_every_public_name(checkout):
    done = built(checkout)
    assert done.returncode == 0, done.stderr
    site = checkout / "build/site"
    pages = [path.relative_to(ROOT).with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")]
    assert [str(page) for page in pages if not (site / page).is_file()] == []
    assert 'id="model_lego.cutting.tracing.trace"' in (site / "package/cutting.html").read_text(encoding="utf-8")
    assert '"activ":' in (site / "searchindex.js").read_text(encoding="utf-8")


def test_a_small_site_has_no_fault_of_its_own(small):
    done = built(small)
    assert (done.returncode, done.stderr) == (0, "")


def test_links_that_lead_nowhere_fail(small):
    with (small / "docs/architecture.md").open("a", encoding="utf-8") as page:
        page.write("\n[nowhere](nowhere.md), [no heading](reference.md#no-such-heading)\n")
    done = built(small)
    assert done.returncode != 0
    assert "'nowhere.md'" in done.stderr
    assert "'no-such-heading'" in done.stderr


def test_a_docstring_that_cannot_be_read_fails(small):
    docstring = '"""Links to `nothing`, and to :py:func:`nothing`, and to nothing_."""\n'
    (small / "src/model_lego/__init__.py").write_text(docstring, encoding="utf-8")
    done = built(small)
    assert done.returncode != 0
    assert 'Unknown target name: "nothing"' in done.stderr
