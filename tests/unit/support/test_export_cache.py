"""Programs that are kept for later are what torch.export gives, or they are not used."""

import os

import pytest
import torch
from torch import nn

from model_lego.graph import program
from tests.support import code_digest, export_cache
from tests.support.export_cache import META, ExportCache, prune
from tests.support.tiny_models import OTHER, build, inputs

KINDS = ["plain", "concat", "split_halves", "shuffle", "constants", "tied", "conditional", *OTHER]
PLAIN = build("plain")
IMAGES = inputs("plain", batch=2)


class Shifted(nn.Module):
    """Adds a tensor that is neither parameter nor buffer."""

    def __init__(self, shift):
        super().__init__()
        self.shift = torch.tensor(shift)

    def forward(self, x):
        return x.mean((2, 3)) + self.shift


class Masked(nn.Module):
    """Takes the channels that a buffer's numbers choose: how many they are no layout tells."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.tensor([1.0, 0.0, 1.0]))

    def forward(self, x):
        return x.mean((2, 3))[:, self.mask > 0]


@pytest.fixture
def process(exported_anew, tmp_path):
    """Starts a cache whose memory is empty, as another process has it; gives it and the list of what it exports."""

    def start():
        exported = []
        cache = ExportCache(program._exported, tmp_path)
        export, cache.export = cache.export, lambda *given: exported.append(given) or export(*given)
        return cache, exported

    return start


def said(known):
    """All that the library reads of a program, in values that can be compared."""
    nodes = [
        [node.name, *map(str, (node.op, node.target, node.args, node.kwargs)), *map(str, map(node.meta.get, META))]
        for node in known.nodes
    ]
    constants = {name: value.tolist() for name, value in known.constants.items()}
    rest = (known.tensors, known.aliases, known.image, known.image_shape, known.batch)
    return nodes, constants, [node.name for node in known.outputs], rest


@pytest.mark.parametrize("name", KINDS)
def test_another_process_gets_what_was_exported(process, name):
    model, images = build(name), inputs(name, batch=2)
    (first, exported), (second, none) = process(), process()
    fresh, kept = program._exported(model, model, images), first(model, model, images)
    read = second(model, model, images)
    assert (len(exported), len(none)) == (1, 0)
    assert said(fresh) == said(kept) == said(read)
    with torch.no_grad():
        assert torch.equal(read.run(model, images), fresh.run(model, images))


def test_another_checkout_gets_it_too(process, tmp_path, monkeypatch):
    process()[0](PLAIN, PLAIN, IMAGES)
    elsewhere = str(tmp_path / "checkout")
    monkeypatch.setattr(export_cache, "ROOT", elsewhere)
    places = tuple(place.replace(str(code_digest.ROOT), elsewhere) for place in program.NOT_THE_USERS)
    assert places != program.NOT_THE_USERS
    monkeypatch.setattr(program, "NOT_THE_USERS", places)
    cache, exported = process()
    cache(PLAIN, PLAIN, IMAGES)
    assert not exported


def test_whoever_gets_a_program_may_write_to_its_graph(process):
    cache, exported = process()
    programs = [cache(PLAIN, PLAIN, IMAGES) for _ in range(3)]
    for number, known in enumerate(programs):
        known.output.meta["note"] = number
    assert [known.output.meta["note"] for known in programs] == [0, 1, 2]
    assert len(exported) == 1


def test_what_export_looks_at_is_told_apart(process, tmp_path):
    average = build("average_flatten")
    given = [
        (PLAIN, IMAGES),
        (average, IMAGES),
        (average, torch.zeros(2, 3, 16, 16, dtype=torch.float64)),
        (build("plain", dtype=torch.float32), IMAGES.float()),
        (build("plain").train(), IMAGES),
        (build("plain_nobn"), IMAGES),
        (Shifted([1.0, 2.0, 3.0]), IMAGES),
        (Shifted([1.0, 2.0, 4.0]), IMAGES),
    ]
    (first, exported), (second, none) = process(), process()
    for model, images in given:
        fresh = program._exported(model, model, images)
        assert said(first(model, model, images)) == said(second(model, model, images)) == said(fresh)
    assert (len(exported), len(none)) == (len(given), 0)
    assert len(list(tmp_path.iterdir())) == len(given)


def test_numbers_that_export_does_not_look_at_do_not_count(process):
    cache, exported = process()
    for seed in (0, 1):
        model, images = build("plain", seed=seed), inputs("plain", batch=2, seed=seed)
        with torch.no_grad():
            torch.testing.assert_close(cache(model, model, images).run(model, images), model(images))
    assert len(exported) == 1


def test_what_numbers_told_is_not_kept(process, tmp_path):
    cache, exported = process()
    model = Masked()
    for count in (2, 1):
        model.mask.copy_(torch.arange(3) < count)
        assert cache(model, model, IMAGES).output.meta["val"].shape == (2, count)
    assert len(exported) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-9], lambda data: data[:200] + b"!" + data[201:]]
)
def test_a_damaged_file_is_exported_anew_and_mended(process, tmp_path, damage):
    (first, _), (second, exported), (third, none) = process(), process(), process()
    fresh = first(PLAIN, PLAIN, IMAGES)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert said(second(PLAIN, PLAIN, IMAGES)) == said(third(PLAIN, PLAIN, IMAGES)) == said(fresh)
    assert (len(exported), len(none)) == (1, 0)


def test_a_network_of_a_local_class_is_exported_each_time(process, tmp_path):
    class Local(nn.Sequential):
        pass

    cache, exported = process()
    model = Local(nn.Flatten(), nn.Linear(432, 2)).double()
    for _ in range(2):
        cache(model, model, IMAGES)
    assert len(exported) == 2
    assert not list(tmp_path.iterdir())


def test_what_was_asked_for_longest_ago_is_removed(tmp_path):
    for number in range(4):
        file = tmp_path / str(number)
        file.write_bytes(bytes(10))
        os.utime(file, (number, number))
    os.utime(tmp_path / "0", (9, 9))
    prune(tmp_path, most=20)
    assert {file.name for file in tmp_path.iterdir()} == {"0", "3"}
