"""model-lego report."""

import re

import pytest

from tests.support.squares import refused, run


def headings(page):
    return re.findall(r"<h2>(.*?)</h2>", page.read_text(encoding="utf-8"))


def test_a_component_with_images_baselines_and_routes(world, tmp_path):
    page = tmp_path / "one.html"
    network, *rest = world.source()
    ran = run("report", world.one, "--html", page, "--source", network, *rest)
    assert ran.code == 0, ran.err
    assert headings(page) == [
        "What it is", "How good it is", "What is taken for what", "The surest mistakes", "Right ones", "Routes",
        "What the channels answer to", "Which are alike", "Layer by layer", "What it costs", "Which channels it keeps",
        "Where it comes from",
    ]  # fmt: skip
    text = page.read_text(encoding="utf-8")
    for words in ("ant", "bee", "zoo:lenet5", "restricted", "magnitude", "written with"):
        assert words in text
    assert "component" in ran.out
    assert "Images of other classes" in text  # of the source's
    assert text.count("data:image/png") > 8


@pytest.fixture
def padded(world, tmp_path):
    """An assembly of the same parts as one dense network, with a class for images of other classes."""
    folder = tmp_path / "padded"
    more = ["--layout", "padded", "--outsiders", "0.1", "--data", world.data]
    ran = run("assemble", world.one, world.two, *more, "--out", folder)
    assert ran.code == 0, ran.err
    return folder


def test_an_assembly_has_the_routes_of_each_part(world, tmp_path, padded):
    for folder, words in ((world.both, "a network of its own"), (padded, "in one dense network")):
        page = tmp_path / "both.html"
        ran = run("report", folder, "--html", page, "--data", world.data)
        assert ran.code == 0, ran.err
        assert headings(page)[:9] == [
            "What it is", "How good it is", "What is taken for what", "The surest mistakes", "Right ones", "Routes",
            "What the channels answer to", "Which are alike", "Layer by layer",
        ]  # fmt: skip
        text = page.read_text(encoding="utf-8")
        assert words in text
        assert re.findall(r"data-part.*?<h3>(.*?)</h3>", text) == ["part 1 (ant, bee)", "part 2 (dog, cat)"] * 3


def test_a_component_of_a_single_class_says_why_it_has_no_routes(world, tmp_path):
    assert run("disassemble", *world.source(), "--classes", "cat", "--out", tmp_path / "cat").code == 0
    ran = run("report", tmp_path / "cat", "--html", tmp_path / "cat.html", "--data", world.data)
    assert ran.code == 0, ran.err
    assert "A network with a single logit" in (tmp_path / "cat.html").read_text(encoding="utf-8")


def test_without_images_there_are_no_routes(world, tmp_path):
    for folder in (world.two, world.both):
        ran = run("report", folder, "--html", tmp_path / "page.html", "--json")
        assert ran.json == {"page": str(tmp_path / "page.html"), "measured": None}
        assert headings(tmp_path / "page.html") == [
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
