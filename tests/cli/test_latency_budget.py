"""--budget latency, --device, --latency-table and the command latency-table, by tables that nobody measured."""

from dataclasses import replace

import pytest
import torch

from model_lego import Device, load, save_latency_table, trace
from model_lego.disassembly import timing
from model_lego.exporting.layer_times import processor
from model_lego.models import build
from tests.support.latency_tables import by_formula, macs_of
from tests.support.squares import ARGUMENTS, CLASSES, refused, run


def table(device, **more):
    """A table for the network of the world: a time for each multiply-add, and a little always."""
    graph = trace(build("zoo:lenet5", num_classes=len(CLASSES), **ARGUMENTS).eval(), torch.rand(2, 1, 16, 16))
    macs = macs_of(graph)
    return by_formula(graph, lambda chain, ins, outs: 0.01 + macs(chain, ins, outs), device=device, **more)


@pytest.fixture
def file(tmp_path):
    save_latency_table(table(Device("onnxruntime", (1, 8), 2), multiple=2), tmp_path / "phone.json")
    return tmp_path / "phone.json"


def test_plan_keeps_a_share_of_the_time_by_the_table_of_another_machine(world, file):
    line = ["plan", *world.source(), "--classes", "ant,bee", "--budget", "latency=0.6", "--latency-table", file]
    ran = run(*line, "--json")
    assert ran.code == 0, ran.err
    assert max(ran.json["latency"]["predicted_share"]) <= 0.6
    assert ran.json["latency"]["multiple"] == 2
    assert ran.json["budget"]["asked"] == {"latency": 0.6}
    told = run(*line).out
    assert "time in onnxruntime 1.0, 2 threads, batch 8: predicted" in told
    assert "by times of a processor" in told


def test_a_component_is_measured_where_it_is_made(world, tmp_path, monkeypatch):
    place = Device("onnxruntime", (1, 32), 1)
    asked = []
    monkeypatch.setattr(timing, "latency_table", lambda model, graph, device, **_: asked.append(device) or table(place))
    monkeypatch.setattr(timing, "timed_networks", lambda models, graph, device: [[2.0, 1.0], [40.0, 10.0]])
    line = ["disassemble", *world.source(), "--classes", "ant,bee", "--out", tmp_path / "one"]
    ran = run(*line, "--budget", "latency=0.7", "--device", "onnxruntime", "--batch", "1,32")
    assert ran.code == 0, ran.err
    assert asked == [place]
    assert "batch 1: predicted" in ran.out
    assert "measured 1 ms (0.500 of the source's)" in ran.out
    record = load(tmp_path / "one").origin.settings["latency"]
    assert record["measured_share"] == [0.5, 0.25]
    first, second = record["predicted_share"]
    assert record["error"] == pytest.approx([first / 0.5 - 1, second / 0.25 - 1])
    shown = run("inspect", tmp_path / "one").out
    assert "within latency 0.7 by reconstruction" in shown
    assert "batch 32: predicted" in shown
    assert "--device" not in (tmp_path / "one" / "recipe.yaml").read_text()
    assert "device: onnxruntime" in (tmp_path / "one" / "recipe.yaml").read_text()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--budget", "latency=0.5"], "budget latency=0.5 is about a device: give --device onnxruntime"),
        (["--budget", "latency=soon"], "neither a share of the source's time"),
        (["--device", "tflite"], "runtime 'tflite' is unknown; there is torch, onnxruntime, openvino, torch-compile"),
        (["--device", "torch", "--batch", "one"], "--batch one has to be whole numbers from 1 on"),
        (["--device", "torch", "--paper"], "thresholds choose channels whatever time they take"),
        (["--device", "torch", "--alpha", "0.4", "--budget", "macs=0.5"], "thresholds choose channels whatever time"),
        (["--batch", "8"], "--batch and --threads are about a device"),
        (["--latency-table", "none.json"], "the latency table 'none.json' cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_read(world, given, words):
    assert words in refused(run("plan", *world.source(), "--classes", "ant,bee", *given))


def test_a_table_and_a_device_are_two_places(world, file):
    line = ["plan", *world.source(), "--classes", "ant,bee", "--latency-table", file, "--device", "torch"]
    assert "--latency-table has the times of its own device" in refused(run(*line))


def test_a_table_of_another_network_is_refused_with_a_layer(world, file, tmp_path):
    one = table(Device("onnxruntime"))
    kinds = dict(list(one.layers.items())[1:])
    save_latency_table(replace(one, layers=kinds), tmp_path / "other.json")
    line = ["plan", *world.source(), "--classes", "ant,bee", "--latency-table", tmp_path / "other.json"]
    assert "was measured for another network: it lacks 1 of" in refused(run(*line))


def test_latency_table_writes_what_was_timed(tmp_path, monkeypatch):
    asked = []

    def timed(model, graph, device, *, progress):
        asked.append((graph.program.image_shape, device))
        return table(device, multiple=8)

    monkeypatch.setattr("model_lego.public.latency_table", timed)
    line = ["latency-table", "zoo:lenet5", "-a", "image_size=16", "-a", "width=0.5", "-a", "num_classes=4"]
    ran = run(*line, "--batch", "1,8", "--threads", "2", "--out", tmp_path / "table.json")
    assert ran.code == 0, ran.err
    assert asked == [((1, 16, 16), Device("onnxruntime", (1, 8), 2))]
    assert "widths are best multiples of 8" in ran.out
    assert (tmp_path / "table.json").exists()


def test_a_processor_has_a_name():
    assert processor().strip()
