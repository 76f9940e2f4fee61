"""A small file that names something huge ends in a refusal, in memory and time that its size allows."""

import json
import multiprocessing
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from model_lego.errors import BadConfig, CorruptComponent, LegoError
from model_lego.models import build
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.store import bounded, load, save
from model_lego.store.bounded import logits_given, outline
from model_lego.store.files import MAX_LISTS
from tests.support.handmade_parts import origin, read_json, reseal, write_json

#: MB that refusing a file of some kilobytes may take, and seconds.
MEGABYTES, SECONDS = 300, 20


def bomb(folder, name, arguments, **fields):
    """A part that says it was cut from a network of this name, with little in its file."""
    part = Component(nn.Linear(1, 1), classes=["a"], labels=[0], origin=origin())
    save(part, folder)
    raw = read_json(folder)
    raw["parts"][0]["origin"] |= {"builder": {"name": name, "arguments": arguments}, **fields}
    raw["probe"] = None
    write_json(folder, raw)
    return folder


def with_large_maps(folder):
    """A LeNet whose tensors fit images of 8000 x 8000, at which it looks through a single channel."""
    side = 8000
    names = {"features.0": (1, 1, 5, 5), "features.3": (1, 1, 5, 5), "classifier.0": (1, 4), "classifier.2": (1, 1)}
    names |= {"classifier.4": (1, 1)}
    tensors = {f"module.{name}.weight": torch.ones(shape) for name, shape in names.items()}
    tensors |= {f"module.{name}.bias": torch.ones(1) for name in names}
    bomb(folder, "zoo:lenet5", {"image_size": side, "batch_norm": False}, input_shape=[1, side, side])
    reseal(folder, tensors)
    probe = {"shape": [1, side, side], "logits": [1.0], "operators": "", "ran_on": ""}
    write_json(folder, read_json(folder) | {"probe": probe, "aliases": {}})
    return folder


def of_brackets(folder, count):
    """A part whose manifest holds so many empty lists where numbers are expected."""
    bomb(folder, "zoo:lenet5", {})
    raw = read_json(folder)
    raw["parts"][0]["origin"]["input_shape"] = "HERE"
    lists = "[" + "[]," * count + "[]]"
    (folder / "manifest.json").write_text(json.dumps(raw).replace('"HERE"', lists))
    return folder


def loading(folder, told):
    """Load a folder where little more memory can be had; tells what came of it, and the MB and seconds that it took."""
    import resource

    torch.set_num_threads(1)  # those of the process that was forked are not here, and would be waited for
    said = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    limit = int(said["VmSize"].split()[0]) * 1024 + 2**31  # the machine that tests it has to live on
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        load(folder)
        words = "it was loaded"
    except LegoError as error:
        words = f"{type(error).__name__}: {error}"
    except BaseException as error:
        words = repr(error)
    told.put((words, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, time.monotonic() - began))


def measured(folder):
    """What loading a folder says, and the MB and seconds that it takes."""
    context = multiprocessing.get_context("fork")
    told = context.SimpleQueue()
    process = context.Process(target=loading, args=(folder, told))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
        process.start()
    process.join()
    return told.get() if process.exitcode == 0 else (f"exit {process.exitcode}", 0, 0)


BOMBS = {
    "classes": lambda folder: bomb(folder, "zoo:lenet5", {"num_classes": 20_000_000}),
    "images": lambda folder: bomb(folder, "zoo:lenet5", {"image_size": 8000}),
    "maps": with_large_maps,
    "layers": lambda folder: bomb(folder, "timm:vit_tiny_patch16_224", {"depth": 100_000}),
    "an enormous network": lambda folder: bomb(folder, "timm:eva02_enormous_patch14_clip_224", {}),
    "some lists": lambda folder: of_brackets(folder, MAX_LISTS * 9 // 10),
    "many lists": lambda folder: of_brackets(folder, 2 * MAX_LISTS),
    "63 MB of lists": lambda folder: of_brackets(folder, 21_000_000),
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")
@pytest.mark.parametrize("kind", BOMBS)
def test_what_a_small_file_names_takes_little_memory(tmp_path, kind):
    pytest.importorskip("timm")
    said, megabytes, seconds = measured(BOMBS[kind](tmp_path / "part"))
    assert said.startswith("CorruptComponent: "), said
    assert megabytes < MEGABYTES, said
    assert seconds < SECONDS, said


def test_a_network_is_built_without_memory_and_gives_the_same(tmp_path):
    network = build("zoo:lenet5", width=0.2).eval()
    made_by = Builder("zoo:lenet5", {"width": 0.2})
    made = replace(origin(builder=made_by), input_shape=(1, 28, 28))
    part = Component(network, classes=[*"0123456789"], labels=range(10), origin=made)
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(load(save(part, tmp_path / "part"))(images), part(images))
    assert all(one.is_meta for one in outline(lambda: build(made_by.name, **made_by.arguments), 20).parameters())


def test_a_builder_that_reads_a_number_off_a_tensor():
    def reading():
        return nn.Linear(1, int(torch.arange(3).sum()))

    assert outline(reading, 2).weight.shape == (3, 1)


def test_a_network_may_have_so_many_layers_as_its_file_has_tensors():
    def deep():
        return nn.Sequential(*(nn.Linear(1, 1) for _ in range(1000)))

    assert len(outline(deep, 2000)) == 1000
    with pytest.raises(CorruptComponent, match="far larger than the file: more than 416 modules and parameters"):
        outline(deep, 10)
    assert len(deep()) == 1000


def test_a_builder_that_loops_without_end(monkeypatch):
    def looping():
        while True:
            with suppress(Exception):
                sum(range(1000))

    monkeypatch.setattr(bounded, "SECONDS", 0.2)
    with pytest.raises(CorruptComponent, match="it takes too long to build for 3 tensors"):
        outline(looping, 3)
    assert outline(lambda: nn.Linear(1, 1), 2).weight.is_meta
    time.sleep(0.4)  # nothing comes later


def test_a_builder_may_wait_on_a_busy_machine_but_not_for_ever(monkeypatch):
    monkeypatch.setattr(bounded, "SECONDS", 0.1)

    def waiting(seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.01)
        return nn.Identity()

    assert isinstance(outline(lambda: waiting(0.5), 0), nn.Identity)
    with pytest.raises(CorruptComponent, match="it takes too long to build"):
        outline(lambda: waiting(30), 0)


def test_images_that_a_step_would_make_too_large():
    wide = outline(lambda: nn.Conv2d(3, 64, 1), 2)
    assert logits_given(wide, (3, 512, 512), 10_000) == 64
    with pytest.raises(CorruptComponent, match=r"far more memory .*convolution.* 2,304,000,000 bytes"):
        logits_given(wide, (3, 3000, 3000), 10_000)
    assert logits_given(wide, (3, 3000, 3000), 10**9) == 64


def test_first_values_of_tensors_without_memory_are_not_computed():
    class Listening(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            run.append(str(func))
            return func(*args, **(kwargs or {}))

    run = []
    with Listening():
        network = outline(lambda: build("torchvision:resnet18"), 200)
    assert {name for name in run if "normal" in name or "uniform" in name or "fill" in name} == set()
    assert network.fc.weight.is_meta


def test_a_batchnorm_of_other_channels_than_it_reads():
    def network(width):
        return outline(lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(width), nn.Flatten()), 9).eval()

    assert logits_given(network(8), (3, 2, 2), 10_000) == 32
    with pytest.raises(CorruptComponent, match="should contain 8 elements not 7"):
        logits_given(network(7), (3, 2, 2), 10_000)


def test_class_names_are_as_many_as_logits(tmp_path):
    network = build("zoo:lenet5", width=0.2).eval()
    made = replace(origin(builder=Builder("zoo:lenet5", {"width": 0.2})), input_shape=(1, 28, 28))
    folder = save(Component(network, classes=[*"0123456789"], labels=range(10), origin=made), tmp_path / "part")
    raw = read_json(folder)
    raw["parts"][0] |= {"classes": ["0", "1"], "labels": [0, 1]}
    write_json(folder, raw)
    with pytest.raises(CorruptComponent, match="its probe has 10 logits for 2 class names"):
        load(folder)
    write_json(folder, raw | {"probe": None})
    with pytest.raises(CorruptComponent, match="gives 10 logits for 2 class names"):
        load(folder)


def test_no_part_is_saved_whose_class_names_are_not_as_many_as_its_logits(tmp_path):
    made = replace(origin(builder=Builder("zoo:lenet5", {"width": 0.2})), input_shape=(1, 28, 28))
    part = Component(build("zoo:lenet5", width=0.2).eval(), classes=["0", "1"], labels=(0, 1), origin=made)
    with pytest.raises(BadConfig, match="cannot be saved: its probe has 10 logits for 2 class names"):
        save(part, tmp_path / "part")
    assert not (tmp_path / "part").exists()


PLAIN = {"kind": "conv2d", "arguments": {"in_channels": 1, "out_channels": 1, "kernel_size": 3}}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("origin", "settings", "plain_layers"), {"features.2": PLAIN}, "unexpected|missing"),
        (("origin", "attributes"), {"features.3": {"stride": 0}}, "does not run on images of shape"),
        (("origin", "attributes"), {"features.1": {"eps": 0}}, "cannot replace"),
        (("origin", "input_shape"), [], "input_shape: Tuple should have at least 1 item"),
        (("origin", "input_shape"), [2**30, 2**30, 2**30], "does not run on images|far more memory"),
        (("preprocessing", "size"), [20_000, 20_000], "does not run on images|far more memory"),
        (("preprocessing", "size"), 2**31 - 1, "does not run on images|far more memory"),
    ],
)
def test_settings_that_no_network_can_have(tmp_path, path, value, words):
    network = build("zoo:lenet5", width=0.2).eval()
    made = replace(origin(builder=Builder("zoo:lenet5", {"width": 0.2})), input_shape=(1, 28, 28))
    images = Preprocessing(size=(28, 28))
    part = Component(network, classes=[*"0123456789"], labels=range(10), origin=made, preprocessing=images)
    folder = save(part, tmp_path / "part")
    raw = read_json(folder)
    *above, last = path
    at = raw["parts"][0]
    for step in above:
        at = at[step]
    at[last] = value
    write_json(folder, raw)
    with pytest.raises(CorruptComponent, match=words):
        load(folder)
