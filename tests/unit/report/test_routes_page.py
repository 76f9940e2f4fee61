"""The page of decision routes: what is in it, and that it needs nothing from outside."""

import base64
import dataclasses
import json
import re
import shutil
import subprocess
from importlib.resources import files

import pytest
import torch

from model_lego.errors import BadConfig
from model_lego.report import write_routes
from model_lego.report.diagram import diagram
from model_lego.report.page import Section, Share, asset, hint, page, table
from model_lego.routes.folding import steps
from tests.support.routed import NAMES, planted_routes


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    file = tmp_path_factory.mktemp("pages") / "routes.html"
    write_routes(planted_routes(), file)
    return file.read_text(encoding="utf-8")


def embedded(text):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    (drawn,) = json.loads(found)["diagrams"]
    return drawn


def test_nothing_is_left_to_fill_in_and_nothing_comes_from_outside(text):
    assert "{{" not in text
    assert re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"|url\(|@import|import\(|fetch\(|XMLHttp", text) == []
    assert [link for link in re.findall(r"\w+://[^\s\"']*", text) if "www.w3.org" not in link] == []  # SVG's name space
    assert "default-src 'none'" in text


def test_names_cannot_break_the_page(text):
    assert embedded(text)["names"][:4] == list(NAMES)
    assert text.count("</script>") == 2
    assert "<b>grey</b>" not in text
    assert "&lt;b&gt;grey&lt;/b&gt;" in text


def test_relevant_channels_and_contributions_are_all_there(text):
    routes, data = planted_routes(), embedded(text)
    assert data == json.loads(json.dumps(diagram(routes)))
    for relevant, contributions, told in zip(routes.relevant, routes.contributions, data["contributions"], strict=True):
        levels = torch.tensor(list(base64.b64decode(told)))
        assert torch.equal(levels > 0, relevant)
        assert bool(((levels[relevant] - 1) / 254 - contributions[relevant]).abs().max() < 0.003)


def test_columns_and_links_are_those_of_the_routes(text):
    routes, data = planted_routes(), embedded(text)
    used = routes.relevant.any(0)
    folded = steps(routes)
    assert [column["name"] for column in data["overview"]["columns"]] == ["image", *(step.name for step in folded)]
    for step, view in zip(folded, data["steps"], strict=True):
        assert [column["total"] for column in view["columns"]] == [len(step.reads), len(step.writes)]
        for column, channels in zip(view["columns"], (step.reads, step.writes), strict=True):
            assert column["channels"] == channels[used[channels]].tolist()
            assert column["channels"] == channels[column["numbers"]].tolist()
        left, right = (torch.tensor(column["numbers"]) for column in view["columns"])
        for edges, told in zip(step.edges, view["links"][0]["edges"], strict=True):
            triples = torch.tensor(told).reshape(-1, 3)
            found = {(int(left[a]), int(right[b])): s for a, b, s in triples.tolist()}
            whole = zip(edges.inputs.tolist(), edges.outputs.tolist(), edges.strengths.tolist(), strict=True)
            known = {(a, b): s for a, b, s in whole}
            assert len(found) == len(triples) > 0
            assert all(abs(100 * known[pair] - strength) <= 0.51 for pair, strength in found.items())


def test_a_page_of_one_class_compares_nothing(tmp_path):
    routes = planted_routes()
    one = dataclasses.replace(
        routes, names=routes.names[:1], labels=routes.labels[:1], images=0, relevant=routes.relevant[:1],
        contributions=routes.contributions[:1],
        layers=tuple(
            dataclasses.replace(layer, inputs=layer.inputs[:1], outputs=layer.outputs[:1], edges=layer.edges[:1])
            for layer in routes.layers
        ),
    )  # fmt: skip
    write_routes(one, tmp_path / "one.html", title="One & only")
    text = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert "Which are alike" not in text
    assert "<title>One &amp; only</title>" in text


def test_columns_without_a_channel_that_is_used_are_left_out():
    routes = planted_routes()
    whole = diagram(routes)
    gone = routes.layer("conv2").writes
    relevant = routes.relevant.clone()
    relevant[:, gone] = False
    layers = tuple(
        dataclasses.replace(
            layer,
            edges=tuple(one.strongest(0) if {"conv2", "fc1"} & {layer.name} else one for one in layer.edges),
        )
        for layer in routes.layers
    )
    made = diagram(dataclasses.replace(routes, relevant=relevant, layers=layers))
    names = [column["name"] for column in made["overview"]["columns"]]
    assert names == [column["name"] for column in whole["overview"]["columns"] if column["name"] != "conv2"]
    for view in (made["overview"], *made["steps"]):
        assert all(column["channels"] for column in view["columns"])
        for link in view["links"]:
            assert 0 <= link["from"] < link["to"] < len(view["columns"])
    assert [view["name"] for view in made["steps"]] == [view["name"] for view in whole["steps"]]


def test_labels_are_whole_in_the_tooltip_and_in_lines_below_the_column():
    script = asset("routes.js")
    assert "`${column.name}: ${used} of ${column.total} channels are used${hidden}`" in script
    assert "[...column.lines, count]" in script
    for column in diagram(planted_routes())["overview"]["columns"]:
        assert column["lines"] == [column["name"]]


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        ([float("nan"), float("nan")], False),
        ([Share(float("nan")), Share(float("nan"))], False),
        (["", ""], False),
        ([float("nan"), 1.5], True),
        ([0, 0], True),
        ([Share(0.0), Share(float("nan"))], True),
    ],
)
def test_a_column_in_which_nothing_stands_is_left_out(cells, shown):
    made = table(["name", "maybe", "last"], [["a", cells[0], 1], ["b", cells[1], 2]])
    assert ("maybe" in made) == shown
    assert made.count("<td") == 2 * (2 + shown)


def test_tables_escape_words_and_shade_shares():
    made = table(
        ["a<b", "share"], [["x&y", Share(0.25)], ["nothing", float("nan")], ["many", 12345], ["own", Share(0, "<")]]
    )
    assert "a&lt;b" in made
    assert '<td class="shade" style="--share:0.250">25.0 %</td>' in made
    assert "<td>–</td>" in made
    assert "<td>12,345</td>" in made
    assert '<td class="shade" style="--share:0.000">&lt;</td>' in made


def test_text_that_no_template_made_is_escaped_wherever_it_stands():
    text = page("t", "l", [Section("A & B", "a", "<script>alert(1)</script>"), Section("C", "c", hint("<i>"))])
    assert text.count("<script") == 2
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert '<p class="hint">&lt;i&gt;</p>' in text
    assert '<a href="#a">A &amp; B</a>' in text


def test_a_value_is_never_taken_for_a_place_to_fill_in():
    assert "<h1>{{data}}</h1>" in page("{{data}}", "", [])


@pytest.mark.parametrize(
    ("name", "words"),
    [("page.txt", "end it in .html"), ("many.html", "at most 40")],
)
def test_pages_that_cannot_be_written_are_refused(name, words, tmp_path):
    routes = dataclasses.replace(planted_routes(), names=("x",) * 41) if name == "many.html" else planted_routes()
    with pytest.raises(BadConfig, match=words):
        write_routes(routes, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_every_file_of_the_pages_is_packaged():
    folder = files("model_lego.report").joinpath("assets")
    assert {file.name for file in folder.iterdir()} >= {
        "page.html",
        "page.css",
        "routes.html",
        "routes.css",
        "routes.js",
    }


def test_the_script_can_be_read():
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to read the script with")
    done = subprocess.run([node, "--check", "-"], input=asset("routes.js"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_names_beside_the_tree_have_room(tmp_path):
    routes = planted_routes()
    names = tuple(f"{'W' * 40} {number}" for number in range(len(routes.names)))
    write_routes(dataclasses.replace(routes, names=names), tmp_path / "long.html")
    text = (tmp_path / "long.html").read_text(encoding="utf-8")
    width = int(re.search(r'<svg class="tree" width="(\d+)"', text)[1])
    start = int(re.search(r'<text x="(\d+)"', text)[1])
    assert width - start >= 9 * len(names[0])
    assert all(name in text for name in names)
