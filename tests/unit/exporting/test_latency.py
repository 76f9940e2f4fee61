"""Times of parts in runtimes: beside the sources that they were cut from, in turns, with sizes; and their picture."""

import json
import time
from dataclasses import replace

import pytest
import torch

from model_lego.drawing.latency import draw_latency
from model_lego.errors import BadConfig
from model_lego.exporting import runtimes
from model_lego.exporting.latency import Timed, _contenders, latency
from model_lego.exporting.rounds import _in_turns
from model_lego.exporting.runtimes import RUNTIMES, chosen
from model_lego.models import build
from model_lego.parts.assembly import Assembly, Head
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from tests.support.handmade_parts import origin, tiny_component


def component(digest="ab", classes="abc"):
    """A component that a builder's name makes again."""
    builder = Builder("zoo:lenet5", {"image_size": 12, "width": 0.5, "num_classes": 4})
    whole = replace(origin(builder=builder), input_shape=(1, 12, 12), source_digest=digest)
    module = build(builder.name, **builder.arguments | {"num_classes": len(classes)}).eval()
    return Component(module, classes=classes, labels=range(len(classes)), origin=whole).eval()


def joined(*parts, layout="parallel"):
    classes = [name for part in parts for name in part.classes]
    head = Head.identity(len(classes))
    if layout == "padded":
        whole = component(classes=[f"{number}.{name}" for number, p in enumerate(parts, 1) for name in p.classes])
        return Assembly([], layout="padded", classes=classes, head=head, padded=whole)
    return Assembly(parts, layout="parallel", classes=classes, head=head)


def timed(name="part", batch=1, **changes):
    row = Timed(name, "torch", 1, batch, 2.0, 1.5, 2.5, None, None, 1000, 2000)
    return replace(row, **changes)


def test_a_part_is_timed_beside_its_source(tmp_path):
    rows = latency({"part": component()}, chosen(["onnxruntime"]), batches=[1, 3], threads=[1], rounds=2)
    assert [(row.name, row.batch, row.source) for row in rows] == [
        ("part: source", 1, None),
        ("part", 1, "part: source"),
        ("part: source", 3, None),
        ("part", 3, "part: source"),
    ]
    assert all(0 < row.low <= row.milliseconds <= row.high for row in rows)
    assert rows[0].faster is None
    assert rows[1].faster > 0
    assert rows[0].bytes > rows[1].bytes > 1000
    assert all(2**20 < row.memory < 2**31 for row in rows)
    assert json.loads(json.dumps([row.to_dict() for row in rows]))[0]["runtime"] == "onnxruntime"


def test_assemblies_of_the_same_sources_share_them():
    one, two = component("ab"), component("cd", "de")
    parts = {
        "parallel": joined(one, two),
        "padded": joined(one, two, layout="padded"),
        "one": one,
        "own": tiny_component(),
    }
    entries = {entry.name: entry for entry in _contenders(parts)}
    assert list(entries) == ["parallel: sources", "parallel", "padded", "one: source", "one", "own"]
    assert [entry.source for entry in entries.values()] == [
        None,
        "parallel: sources",
        "parallel: sources",
        None,
        "one: source",
        None,
    ]
    with torch.no_grad():
        assert entries["parallel: sources"].part(torch.rand(2, 1, 12, 12)).shape == (2, 8)


def test_networks_take_turns():
    order = []
    _in_turns([lambda batch: order.append("a"), lambda batch: order.append("b")], [None, None], 3, time.perf_counter)
    turns = [name for place, name in enumerate(order) if not place or order[place - 1] != name]
    assert turns[-6:] == ["a", "b"] * 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"runtimes": ["tflite"]}, "runtime 'tflite' is unknown; there is torch, onnxruntime, openvino, torch-compile"),
        ({"batches": [0]}, "whole numbers from 1 on"),
        ({"threads": []}, "whole numbers from 1 on"),
        ({"parts": {}}, "nothing to time"),
    ],
)
def test_what_makes_no_sense(given, words):
    how = {"parts": {"part": tiny_component()}, "runtimes": ["torch"]} | given
    with pytest.raises(BadConfig, match=words):
        latency(how.pop("parts"), chosen(how.pop("runtimes")), **how)


def test_a_missing_runtime_is_said_with_what_to_install(monkeypatch):
    monkeypatch.setattr(runtimes, "find_spec", lambda name: None if name == "openvino" else name)
    with pytest.raises(BadConfig, match=r'openvino is not installed: pip install "model-lego\[export\]" openvino'):
        chosen(["openvino"])
    assert [each.name for each in chosen(None)] == [
        name for name in RUNTIMES if name not in ("openvino", "torch-compile")
    ]


def test_the_picture_has_a_bar_for_each_network_and_batch(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [timed(name, batch) for batch in (1, 8) for name in ("source", "part")]
    draw_latency(rows, tmp_path / "times.svg")
    drawn = (tmp_path / "times.svg").read_text()
    assert all(f"<!-- {text} -->" in drawn for text in ("source", "part", "batch 1", "batch 8", "torch, 1 thread"))
