"""The page about a part: what stands in its tables, what is counted as confused, and whose routes it shows."""

import json
import re

import pytest
import torch

import model_lego as ml
from model_lego.errors import BadConfig, UnknownClass
from model_lego.report import confusion, part_routes, write_report
from model_lego.report.parts import _numbers
from tests.support.tiny_models import planted

NAMES = ["red", "green & blue", "blue", "grey"]


@pytest.fixture(scope="module")
def made():
    """A component for two planted classes, images and labels."""
    model, images, labels, _ = planted(4)
    batches = [(images, labels)]
    return (
        ml.disassemble(
            model,
            batches,
            classes=["grey", "green & blue"],
            class_names=NAMES,
            repair="none",
            thresholds=ml.Thresholds(),
        ),
        images,
        labels,
    )


def test_confusions_are_counted_class_by_class(made):
    component, images, labels = made
    counted = confusion(component, [(images[:17], labels[:17]), (images[17:], labels[17:])], class_names=NAMES)
    answers = component(images).argmax(1).tolist()
    rows = {"grey": 0, "green & blue": 1, "red": 2, "blue": 2}
    expected = [[0, 0], [0, 0], [0, 0]]
    for label, answer in zip(labels.tolist(), answers, strict=True):
        expected[rows[NAMES[label]]][answer] += 1
    assert counted.counts.tolist() == expected
    assert counted.counts[:2].diagonal().tolist() == [8, 8]


def test_classes_that_the_labels_do_not_have_are_refused(made):
    component, images, labels = made
    with pytest.raises(UnknownClass, match="'grey'"):
        confusion(component, [(images, labels)], class_names=["red", "green & blue", "blue", "white"])


def test_the_page_has_the_figures_of_the_report(made, tmp_path):
    component, images, labels = made
    batches = [(images, labels)]
    measured = ml.evaluate(component, batches, class_names=NAMES)
    counted = confusion(component, batches, class_names=NAMES)
    write_report(component, tmp_path / "part.html", measured=measured, confused=counted, provenance={"sha256": "abc"})
    text = (tmp_path / "part.html").read_text(encoding="utf-8")
    cells = [re.sub(r"</?a[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", text)]
    origin = component.origin
    for number in (origin.cost_after.parameters, origin.cost_before.macs, *counted.counts.flatten().tolist()):
        assert f"{number:,}" in cells
    assert "green &amp; blue" in text
    assert "green & blue" not in text
    assert f"{measured.accuracy:g}" in cells
    assert "<dd>abc</dd>" in text
    assert origin.source_digest in text
    for layer, kept in origin.kept_outputs.items():
        assert [layer, str(len(kept))] == cells[cells.index(layer) :][:2]


def test_baselines_are_spoken_of_where_they_were_measured(made, tmp_path):
    component, images, labels = made
    batches, model = [(images, labels)], planted(4)[0]
    alone = ml.evaluate(component, batches, class_names=NAMES)
    beside = ml.evaluate(
        component, batches, class_names=NAMES, baselines=ml.baselines(component, model, kinds=["restricted"])
    )
    joint = ml.evaluate(ml.assemble([component]), batches, class_names=NAMES)
    for name, measured, spoken in (("a", alone, False), ("b", beside, True), ("c", joint, False)):
        part = component if name != "c" else ml.assemble([component])
        write_report(part, tmp_path / f"{name}.html", measured=measured)
        text = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert ("baselines" in text) == spoken
        assert ("agreement, %" in text) == spoken  # else nothing would stand in that column


def test_the_page_of_an_assembly_names_its_parts(made, tmp_path):
    component, _, _ = made
    assembly = ml.assemble([component, component], on_clash="prefer")
    write_report(assembly, tmp_path / "both.html", title="Both")
    text = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "<h1>Both</h1>" in text
    for words in ("part 1: parameters", "part 2: conv1", "settings of the assembly", "parallel"):
        assert words in text


@pytest.fixture(scope="module")
def joined(made):
    """An assembly of three parts, the second with a single logit, and the routes of each."""
    component, images, labels = made
    model, batches = planted(4)[0], [(images, labels)]
    parts = [component] + [
        ml.disassemble(model, batches, classes=classes, class_names=NAMES, repair="none", thresholds=ml.Thresholds())
        for classes in (["red"], ["blue", "green & blue"])
    ]
    assembly = ml.assemble(parts, on_clash="prefer")
    return assembly, part_routes(assembly, batches, class_names=NAMES)


def diagrams(text):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    return json.loads(found)["diagrams"]


def blocks(text):
    return re.findall(r'<div data-part="(\d)"><h3>(.*?)</h3>', text)


def test_the_routes_of_an_assembly_are_told_part_by_part(joined, tmp_path):
    assembly, routes = joined
    write_report(assembly, tmp_path / "three.html", routes=routes)
    text = (tmp_path / "three.html").read_text(encoding="utf-8")
    titles = ["part 1 (grey, green & blue)", "part 3 (blue, green & blue)"]
    assert [one["title"] for one in diagrams(text)] == titles
    assert [one["names"] for one in diagrams(text)] == [["grey", "green & blue"], ["blue", "green & blue"]]
    told = [(str(number), title.replace("&", "&amp;")) for number, title in enumerate(titles)]
    assert blocks(text) == told * 2  # which are alike, and layer by layer
    assert "Part 2 (red): a network with a single logit" in text
    assert "Each part is a network of its own" in text


def test_fewer_routes_than_classes_and_parts_without_are_said(joined, tmp_path):
    assembly, _ = joined
    model = assembly.networks()[0].module
    graph = ml.trace(model, torch.rand(2, 3, 8, 8, dtype=torch.float64))
    image = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    one = ml.decision_routes(model, None, images=image, graph=graph, class_names=["grey", "green & blue"])
    write_report(assembly, tmp_path / "fewer.html", routes=[one, None, None])
    text = (tmp_path / "fewer.html").read_text(encoding="utf-8")
    assert "Part 1 (grey, green &amp; blue): routes of 0 of its 2 classes." in text
    assert "Part 3 (blue, green &amp; blue): no routes were given." in text
    assert len(diagrams(text)) == 1
    write_report(assembly, tmp_path / "none.html", routes=[None] * 3)
    text = (tmp_path / "none.html").read_text(encoding="utf-8")
    assert "<h2>Routes</h2>" in text
    assert 'id="stage"' not in text


def test_parts_for_which_there_is_no_room_are_left_out_by_name(joined, tmp_path, monkeypatch):
    assembly, routes = joined
    monkeypatch.setattr("model_lego.report.routes.MOST_BYTES", 10)
    write_report(assembly, tmp_path / "small.html", routes=routes)
    text = (tmp_path / "small.html").read_text(encoding="utf-8")
    assert [one["title"] for one in diagrams(text)] == ["part 1 (grey, green & blue)"]
    assert "Part 3 (blue, green &amp; blue): left out, so that the page stays small" in text
    assert len(blocks(text)) == 2


def test_routes_of_something_else_are_refused(joined, tmp_path):
    assembly, routes = joined
    with pytest.raises(BadConfig, match="routes of 2 parts, but 3 parts"):
        write_report(assembly, tmp_path / "page.html", routes=routes[:2])
    with pytest.raises(BadConfig, match=r"routes of part 1 \(grey, green & blue\) are of another network"):
        write_report(assembly, tmp_path / "page.html", routes=routes[::-1])
    assert list(tmp_path.iterdir()) == []


def test_numbers_are_told_as_ranges():
    assert _numbers([3, 0, 1, 2, 7, 9, 10]) == "0-3, 7, 9-10"
    assert _numbers(range(0, 40, 2)).endswith("30, … 4 more ranges")
    assert _numbers(torch.tensor([]).tolist()) == ""


def test_names_of_strangers_do_nothing_in_a_page(made, tmp_path):
    component, images, labels = made
    names = ["red", "green & blue", "blue", "gr\u202eye\x1b[31m"]
    stranger = ml.Component(
        component.module,
        classes=[names[3], names[1]],
        labels=component.labels,
        origin=component.origin,
        preprocessing=component.preprocessing,
    )
    batches = [(images, labels)]
    measured = ml.evaluate(stranger, batches, class_names=names)
    counted = confusion(stranger, batches, class_names=names)
    write_report(stranger, tmp_path / "part.html", measured=measured, confused=counted)
    page = (tmp_path / "part.html").read_text(encoding="utf-8")
    assert "\u202e" not in page
    assert "\x1b" not in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])  # what the script reads
    assert "\u202e" not in json.dumps(data, ensure_ascii=False)
    assert r"gr\u202eye\x1b[31m" in page
