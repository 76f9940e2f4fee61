"""The page about a part: what stands in its tables, and what is counted as confused."""

import re

import pytest
import torch

import model_lego as ml
from model_lego.errors import UnknownClass
from model_lego.report import confusion, write_report
from model_lego.report.parts import _numbers
from tests.tiny_models import planted

NAMES = ["red", "green & blue", "blue", "grey"]


@pytest.fixture(scope="module")
def made():
    """A component for two planted classes, images and labels."""
    model, images, labels, _ = planted(4)
    batches = [(images, labels)]
    return (
        ml.disassemble(model, batches, classes=["grey", "green & blue"], class_names=NAMES, repair="none"),
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
    assert counted.tolist() == expected
    assert counted[:2].diagonal().tolist() == [8, 8]


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
    cells = re.findall(r"<td[^>]*>(.*?)</td>", text)
    origin = component.origin
    for number in (origin.cost_after.parameters, origin.cost_before.macs, *counted.flatten().tolist()):
        assert f"{number:,}" in cells
    assert "green &amp; blue" in text
    assert "green & blue" not in text
    assert f"{measured.accuracy:g}" in cells
    assert "<dd>abc</dd>" in text
    assert origin.source_digest in text
    for layer, kept in origin.kept_outputs.items():
        assert [layer, str(len(kept))] == cells[cells.index(layer) :][:2]


def test_the_page_of_an_assembly_names_its_parts(made, tmp_path):
    component, _, _ = made
    assembly = ml.assemble([component, component], on_clash="prefer")
    write_report(assembly, tmp_path / "both.html", title="Both")
    text = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "<h1>Both</h1>" in text
    for words in ("part 0: parameters", "part 1: conv1", "settings of the assembly", "parallel"):
        assert words in text


def test_numbers_are_told_as_ranges():
    assert _numbers([3, 0, 1, 2, 7, 9, 10]) == "0-3, 7, 9-10"
    assert _numbers(range(0, 40, 2)).endswith("30, … 4 more ranges")
    assert _numbers(torch.tensor([]).tolist()) == ""
