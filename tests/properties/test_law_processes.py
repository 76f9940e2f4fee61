"""Law 5 over processes: two processes that share the images find what one finds.

Statistics, refitted components and reports are the same to 1e-12; what both write is written once.
"""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from model_lego import collect, disassemble, evaluate, load_statistics
from model_lego.attribution import attribute
from model_lego.evaluation.baselines import baselines
from model_lego.evaluation.results import Report
from model_lego.parts.component import Component
from model_lego.repairing.layerwise import RepairSettings
from tests.properties.test_law_batches import balanced, held, present, split
from tests.support.tiny_models import CLASSES

PROCESSES = 2
NETWORKS = ("plain", "residual", "grouped")
WAYS: dict[str, dict[str, Any]] = {
    "all": {"sampling": "all"},
    "confident": {"sampling": "confident", "per_class": 9},
    "random": {"sampling": "random", "per_class": 20, "seed": 3},
}
SIZE = 23  # 300 images: 14 batches, the last one of a single image


def sorted_by_class(name: str) -> list[tuple[Tensor, Tensor]]:
    """Batches of which each process sees some classes only, with an image that comes twice."""
    x, labels = balanced(name)[2]
    order = labels.argsort(stable=True)
    order[-1] = order[0]
    return split((x, labels), SIZE, order)


def statistics(name: str, way: str, batches: list[tuple[Tensor, Tensor]], group: Any = None) -> dict[str, Any]:
    model, graph, _ = balanced(name)
    classes = sorted({label for _, labels in batches for label in labels.tolist()})
    stats = attribute(model, batches, graph=graph, classes=classes, group=group, **WAYS[way])
    return {"counts": stats.counts, **{path: held(layer) for path, layer in stats.layers.items()}}


REPAIRS = {
    "ridge": RepairSettings(chunk=7),
    "few rows": RepairSettings(chunk=7, least_rows=40, rows=1),
    "dual": RepairSettings(chunk=7, least_rows=8, rows=0),
    "mean": RepairSettings(method="mean", chunk=7),
    "bn": RepairSettings(method="bn", chunk=7),
    "one chunk": RepairSettings(chunk=1000),
    "tuned": RepairSettings(method="tuned", chunk=7, steps=3),
}


def repaired(name: str, how: str, group: Any = None) -> Component:
    """A component of two classes, refitted on 60 images."""
    model, graph, (x, labels) = balanced(name)
    classes = present((x, labels))[:2]
    return disassemble(
        model, split((x, labels), SIZE), classes=classes, sampling="all", graph=graph, repair=REPAIRS[how],
        calibration=[(x[:60], torch.tensor(classes).repeat(30))], group=group,
    )  # fmt: skip


def report(name: str, group: Any = None, *, size: int = SIZE) -> Report:
    """A component and its source, measured on all images, of which some were used for its repair."""
    model, graph, (x, labels) = balanced(name)
    part = repaired(name, "ridge")
    names = part.origin.source_classes
    contenders = baselines(part, model, graph=graph, kinds=("source", "restricted", "random"))
    return evaluate(part, split((x, labels), size), class_names=names, baselines=contenders, group=group)


def share(rank: int, folder: Path) -> None:
    """What each process does: all cases, one after the other."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=PROCESSES)
    group, found = dist.group.WORLD, {}
    for name in NETWORKS:
        for way in WAYS:
            found[name, way] = statistics(name, way, sorted_by_class(name), group)
        for how in REPAIRS:
            found[name, how] = repaired(name, how, group).state_dict()
        found[name, "report"] = report(name, group).to_dict()
        found[name, "report on one batch"] = report(name, group, size=300).to_dict()
    model, graph, batch = balanced("plain")
    collect(model, split(batch, SIZE), folder / "stats", graph=graph, classes=present(batch), memory=1, group=group)
    found["one batch"] = statistics("plain", "all", sorted_by_class("plain")[:1], group)
    for what, spoil in (("image", lambda x, _: x.fill_(torch.nan)), ("label", lambda _, y: y.fill_(CLASSES))):
        for way in ("all", "confident"):
            spoilt = [(x.clone(), labels.clone()) for x, labels in sorted_by_class("plain")]
            spoil(*spoilt[3])  # the second process reads this one
            model, graph, batch = balanced("plain")
            try:
                attribute(model, spoilt, graph=graph, classes=present(batch), group=group, **WAYS[way])
            except Exception as error:
                found[what, way] = (type(error).__name__, str(error))
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What both processes found."""
    folder = tmp_path_factory.mktemp("processes")
    context = multiprocessing.get_context("spawn")
    team = [context.Process(target=share, args=(rank, folder)) for rank in range(PROCESSES)]
    for process in team:
        process.start()
    for process in team:
        process.join(timeout=240)
    for process in team:
        process.kill()  # one that waits for ever must not outlive the tests
    assert [process.exitcode for process in team] == [0] * PROCESSES
    shares = [torch.load(folder / f"{rank}.pt") for rank in range(PROCESSES)]
    return [{"stats": folder / "stats", **share} for share in shares]


def assert_equal(shared: dict[str, Any], alone: dict[str, Any]) -> None:
    assert list(shared) == list(alone)
    assert shared["counts"] == alone["counts"]
    for path in list(alone)[1:]:
        for a, b in zip(shared[path], alone[path], strict=True):
            assert (a - b).abs().max() <= 1e-12 * b.abs().max(), path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_two_processes_give_the_statistics_of_one(found, name, way):
    alone = statistics(name, way, sorted_by_class(name))
    for shared in found:
        assert_equal(shared[name, way], alone)
    assert (sum(alone["counts"]) == 300) == (way == "all")


@pytest.mark.parametrize("how", REPAIRS)
@pytest.mark.parametrize("name", NETWORKS)
def test_two_processes_refit_as_one_does(found, name, how):
    alone = repaired(name, how).state_dict()
    for shared in found:
        for key, value in alone.items():
            assert (shared[name, how][key] - value).abs().max() <= 1e-9 * value.abs().max(), key
    assert all(torch.equal(found[0][name, how][key], found[1][name, how][key]) for key in alone)


@pytest.mark.parametrize("name", NETWORKS)
def test_two_processes_measure_as_one_does(found, name):
    alone = report(name).to_dict()
    assert found[0][name, "report"] == found[1][name, "report"] == alone
    assert alone["overlap"] == 60


@pytest.mark.parametrize("name", NETWORKS)
def test_a_process_without_a_batch_gets_the_report_too(found, name):
    alone = report(name, size=300).to_dict()
    key = (name, "report on one batch")
    assert found[0][key] == found[1][key] == alone
    assert alone["rows"][0]["agreement"] is not None


def test_statistics_of_two_processes_are_written_once(found):
    model, graph, batch = balanced("plain")
    alone = attribute(model, split(batch, SIZE), graph=graph, classes=present(batch))
    stats = load_statistics(found[0]["stats"])
    assert (stats.counts, stats.classes) == (alone.counts, alone.classes)
    for path, layer in alone.layers.items():
        for a, b in zip(held(layer), held(stats.layers[path]), strict=True):
            assert (a - b).abs().max() <= 1e-12 * a.abs().max(), path
    assert not found[0]["stats"].with_name("stats.unfinished").exists()


def test_a_process_without_a_batch_gets_the_statistics_too(found):
    for shared in found:
        assert_equal(shared["one batch"], statistics("plain", "all", sorted_by_class("plain")[:1]))


@pytest.mark.parametrize("way", ["all", "confident"])
@pytest.mark.parametrize(("what", "words"), [("image", "batch 3 contain NaN"), ("label", "label 5 of batch 3")])
def test_an_error_in_one_process_ends_both(found, what, words, way):
    kinds, messages = zip(*(shared[what, way] for shared in found), strict=True)
    assert kinds == ("ProcessFailed", "BadBatches")
    assert messages[0].startswith("process 1 failed: ")
    assert all(words in message for message in messages)
