"""Tables of layer times: what is timed, by a clock that is none, and the files of layers at other widths."""

import pytest
import torch

from model_lego import Device, latency_table, load_latency_table, trace
from model_lego.errors import BadConfig
from model_lego.exporting import layer_alone, layer_bench, layer_times
from model_lego.exporting.layer_alone import LayerAlone, Widened, example
from model_lego.exporting.runtimes import RUNTIMES
from model_lego.exporting.turns import Timeable
from model_lego.latency.chains import chains
from model_lego.latency.network_times import mark_of, network_times
from tests.support.plans import traced
from tests.support.tiny_models import build
from tests.support.tiny_models import inputs as images_of

DEVICE = Device("torch", (1, 2))
#: Networks whose chains differ: plain maps, groups, one channel a group, vectors, one dimension.
NAMES = ["plain", "grouped", "depthwise", "residual", "conv1d"]


class Clock:
    """Gives times by the names of files, and counts them: a layer takes a hundredth for each pair of channels."""

    def __init__(self):
        self.files = []

    def undisturbed(self, files, device, rounds):
        self.files += [file.file.stem for file in files]
        return [[batch * self.time(file.file.stem) for file in files] for batch in device.batches]

    def time(self, name):
        if "-" not in name:
            return 200.0  # a whole network
        inputs, outputs = name.split("-")
        return 0.5 if outputs == "alone" else 0.5 + 0.01 * int(inputs) * int(outputs)


@pytest.fixture
def clock(monkeypatch, tmp_path):
    ticking = Clock()

    def written(given, runtime, place):
        place.touch()
        return Timeable(runtime, place, tuple(given.example.shape[1:]), "float32")

    for module in (layer_bench, layer_times):
        monkeypatch.setattr(module, "undisturbed", ticking.undisturbed)
    for module in (layer_alone, layer_times):
        monkeypatch.setattr(module, "written", written)
    monkeypatch.setattr(layer_times, "cached", lambda device, runtime: tmp_path / "table.json")
    return ticking


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_is_what_it_takes_beyond_what_stands_around_it(name, clock):
    model, graph = traced(name)
    table = latency_table(model, graph, DEVICE)
    for chain in chains(graph):
        layer, times = chain.layer, table.layers[chain.kind]
        inputs, outputs = len(layer.inputs), len(layer.outputs)
        expected = 0.01 * outputs * (inputs if not layer.depthwise else outputs)
        assert times.at(0 if layer.depthwise else inputs, outputs)[0].tolist() == pytest.approx(
            [expected, 2 * expected]
        )
    assert table.overhead == (0.5, 1.0)
    assert table.networks == {mark_of(chains(graph)): (200.0, 400.0)}
    assert network_times(graph, table).whole.tolist() == pytest.approx([200, 400])


def test_what_is_known_is_not_timed_again(clock, tmp_path):
    model, graph = traced("plain")
    table = latency_table(model, graph, DEVICE)
    assert load_latency_table(tmp_path / "table.json") == table
    clock.files.clear()
    assert latency_table(model, graph, DEVICE) == table
    assert not clock.files
    other, wider = traced("depthwise")
    more = latency_table(other, wider, DEVICE)
    assert clock.files
    assert set(table.layers) < set(more.layers)
    assert len(more.networks) == 2


def test_an_interrupted_table_goes_on_where_it_stopped(clock, tmp_path):
    model, graph = traced("plain")

    def interrupt(what, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        latency_table(model, graph, DEVICE, progress=interrupt)
    assert len(load_latency_table(tmp_path / "table.json").layers) == 1
    clock.files.clear()
    whole = latency_table(model, graph, DEVICE)
    assert len(whole.layers) == len({chain.kind for chain in chains(graph)})


def test_only_so_many_files_are_open_as_fit_into_memory(clock, monkeypatch):
    model, graph = traced("plain")
    monkeypatch.setattr(layer_bench, "MEMORY", 1)
    calls = []
    monkeypatch.setattr(
        layer_bench, "undisturbed", lambda files, *rest: calls.append(len(files)) or clock.undisturbed(files, *rest)
    )
    latency_table(model, graph, DEVICE)
    assert set(calls) == {1}


def test_an_unknown_device_is_refused():
    model, graph = traced("plain")
    with pytest.raises(BadConfig, match="runtime 'tflite' is unknown; there is torch, onnxruntime"):
        latency_table(model, graph, Device("tflite"))


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_alone_gives_as_many_outputs_as_it_is_wide(name):
    _, graph = traced(name)
    for chain in chains(graph):
        groups = chain.layer.groups
        inputs = len(chain.layer.inputs) if chain.first else 4 * groups
        outputs = (
            inputs * (len(chain.layer.outputs) // len(chain.layer.inputs)) if chain.layer.depthwise else 6 * groups
        )
        module = LayerAlone(chain, graph, (inputs, outputs)).eval()
        given = module(example(chain, inputs))
        assert given.shape[1 if not chain.layer.window.linear else -1] == outputs
        around = LayerAlone(chain, graph, (inputs, outputs), whole=False).eval()
        assert not list(around.buffers())


@pytest.mark.parametrize("name", ["plain", "depthwise"])
def test_an_onnx_file_is_widened_without_another_export(name, tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    graph = trace(build(name).float(), images_of(name, batch=2).float())
    chain = next(each for each in chains(graph) if each.layer.depthwise or (name == "plain" and not each.first))
    files = Widened(chain, graph, RUNTIMES["onnxruntime"], tmp_path)
    widths = [(8, 8), (24, 24)] if chain.layer.depthwise else [(8, 24), (16, 5)]
    exported = []
    written = layer_alone.written
    monkeypatch.setattr(layer_alone, "written", lambda *given: exported.append(1) or written(*given))
    for ins, outs in widths:
        file = files.file(ins, outs)
        session = onnxruntime.InferenceSession(str(file.file), providers=["CPUExecutionProvider"])
        given = session.run(None, {"images": torch.zeros(3, *file.shape).numpy().astype(file.type)})[0]
        assert given.shape[1] == outs
    assert len({file.name for file in tmp_path.glob("whole*")}) == 1
