"""model-lego report."""

import re

import pytest

from tests.cli.world import refused, run


def headings(page):
    return re.findall(r"<h2>(.*?)</h2>", page.read_text(encoding="utf-8"))


def test_a_component_with_images_baselines_and_routes(world, tmp_path):
    page = tmp_path / "one.html"
    network, *rest = world.source()
    ran = run("report", world.one, "--html", page, "--source", network, *rest)
    assert ran.code == 0, ran.err
    assert headings(page) == [
        "What it is", "How good it is", "What is taken for what", "Routes", "Which are alike", "Layer by layer",
        "What it costs", "Which channels it keeps", "Where it comes from",
    ]  # fmt: skip
    text = page.read_text(encoding="utf-8")
    for words in ("ant", "bee", "zoo:lenet5", "restricted", "magnitude", "written with"):
        assert words in text
    assert "component" in ran.out


def test_an_assembly_and_a_part_without_images(world, tmp_path):
    assert run("report", world.both, "--html", tmp_path / "both.html", "--data", world.data).code == 0
    assert headings(tmp_path / "both.html")[:3] == ["What it is", "How good it is", "What is taken for what"]
    assert "Routes" not in headings(tmp_path / "both.html")
    ran = run("report", world.two, "--html", tmp_path / "two.html", "--json")
    assert ran.json == {"page": str(tmp_path / "two.html"), "measured": None}
    assert headings(tmp_path / "two.html") == [
        "What it is", "What it costs", "Which channels it keeps", "Where it comes from",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--html", "page.txt"], "end it in .html"),
        (["--html", "page.html", "--source", "zoo:lenet5"], "give --data as well"),
    ],
)
def test_what_cannot_be_reported_is_said_before_anything_is_read(world, tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("model_lego.cli.report.open_part", None)
    assert words in refused(run("report", world.one, *more))
    assert list(tmp_path.iterdir()) == []
