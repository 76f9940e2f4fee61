"""Collected statistics are those of attribute, byte for byte, however often a run was interrupted."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from model_lego import attribute, collect, save_statistics
from model_lego.attribution.summing import bytes_a_class
from model_lego.errors import BadBatches, BadConfig, CorruptComponent, OutputExists
from model_lego.graph.runner import Running
from tests.support.plans import traced
from tests.support.tiny_models import CLASSES, inputs

COUNT, SIZE = 900, 50
pytestmark = pytest.mark.filterwarnings("ignore:no sample of class")
SAMPLINGS = ("all", "confident", "random")


def batches(seed: int = 0, count: int = COUNT):
    x, labels = inputs("residual", batch=count, seed=seed), torch.arange(count) % CLASSES
    return list(zip(x.split(SIZE), labels.split(SIZE), strict=True))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class Stop(Exception):
    """The power goes."""


def stopping(limit: int):
    """Progress that ends the run at one of its reports."""
    calls = iter(range(limit))

    def report(*_) -> None:
        if next(calls, None) is None:
            raise Stop

    return report


def collected(folder: Path, **options):
    model, graph = traced("residual")
    return collect(model, options.pop("batches", None) or batches(), folder, graph=graph, seconds=0, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of runs that were not interrupted, by sampling and memory."""
    folder = tmp_path_factory.mktemp("whole")
    found = {}
    for sampling in SAMPLINGS:
        for memory in (1 << 30, 1):
            collected(folder / f"{sampling} {memory}", sampling=sampling, memory=memory)
            found[sampling, memory] = contents(folder / f"{sampling} {memory}")
    return found


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_what_is_collected_is_what_attribute_saves(whole, sampling, tmp_path):
    model, graph = traced("residual")
    save_statistics(attribute(model, batches(), graph=graph, sampling=sampling), tmp_path / "saved")
    assert contents(tmp_path / "saved") == whole[sampling, 1 << 30]


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_classes_in_turns_give_the_same_sums_in_files_of_their_own(whole, sampling, tmp_path):
    model, graph = traced("residual")
    two = bytes_a_class(model, graph) * 2
    direct = attribute(model, batches(), graph=graph, sampling=sampling)
    found = collected(tmp_path / "turns", sampling=sampling, memory=two)
    assert sorted(contents(tmp_path / "turns"))[1:] == [f"statistics-{n:05}-of-00003.safetensors" for n in (1, 2, 3)]
    assert (found.classes, found.counts, found.fallbacks) == (direct.classes, direct.counts, direct.fallbacks)
    for layer in direct.layers:
        for label in direct.classes:
            torch.testing.assert_close(found.mean(layer, label), direct.mean(layer, label), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("memory", [1 << 30, 1], ids=["at once", "in turns"])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_an_interrupted_run_ends_with_the_same_bytes(whole, sampling, memory, tmp_path):
    interrupted = 0
    for limit in (1, 3, 5, 6, 12, 19, 20, 22, 25, 28):
        folder = tmp_path / str(limit)
        try:
            collected(folder, sampling=sampling, memory=memory, progress=stopping(limit))
        except Stop:
            interrupted += 1
            assert not folder.exists()
            collected(folder, sampling=sampling, memory=memory, resume=True)
        assert contents(folder) == whole[sampling, memory]
        assert not (tmp_path / f"{limit}.unfinished").exists()
    assert interrupted >= 3


@pytest.mark.parametrize(("sampling", "limit"), [("all", 5), ("confident", 15)])
def test_a_run_that_goes_on_does_not_run_what_is_done(sampling, limit, tmp_path, monkeypatch):
    with pytest.raises(Stop):
        collected(tmp_path / "resumed", sampling=sampling, progress=stopping(limit))
    images, run = [], Running.run

    def counting(self, some, intercept=None):
        images.append(len(some))
        return run(self, some, intercept)

    monkeypatch.setattr(Running, "run", counting)
    collected(tmp_path / "resumed", sampling=sampling, resume=True)
    resumed = sum(images)
    images.clear()
    collected(tmp_path / "anew", sampling=sampling)
    assert resumed <= sum(images) - 300


def killed(folder: Path) -> None:
    """Run until the middle, then die without a word."""
    calls = 0

    def report(*_) -> None:
        nonlocal calls
        calls += 1
        if calls == 24:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    collected(folder, sampling="confident", per_class=90, progress=report)


def test_a_killed_run_goes_on(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=killed, args=(tmp_path / "killed",))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "killed.unfinished").exists()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        collected(tmp_path / "killed", sampling="confident", per_class=90, resume=True)
        collected(tmp_path / "whole", sampling="confident", per_class=90)
    finally:
        torch.set_num_threads(threads)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_an_unfinished_run_is_not_thrown_away_and_not_mixed_with_another(tmp_path):
    with pytest.raises(Stop):
        collected(tmp_path / "run", sampling="all", progress=stopping(5))
    beside = tmp_path / "run.unfinished"
    before = sorted(path.name for path in beside.rglob("*"))
    with pytest.raises(OutputExists, match=r"holds an interrupted run: go on with it \(resume=True\)"):
        collected(tmp_path / "run", sampling="all")
    for other in ({"sampling": "random"}, {"sampling": "all", "classes": [0]}, {"sampling": "all", "memory": 1}):
        with pytest.raises(BadConfig, match=r"is of another run: (sampling|classes|group)"):
            collected(tmp_path / "run", resume=True, **other)
    with pytest.raises(BadConfig, match="first image differ"):
        collected(tmp_path / "run", sampling="all", resume=True, batches=batches(seed=5))
    assert sorted(path.name for path in beside.rglob("*")) == before
    assert collected(tmp_path / "run", sampling="all", resume=True).counts == (180,) * CLASSES


def test_notes_that_were_damaged_are_refused_in_words(tmp_path):
    with pytest.raises(Stop):
        collected(tmp_path / "run", sampling="all", progress=stopping(5))
    page = tmp_path / "run.unfinished/process-0/sums.safetensors"
    page.write_bytes(page.read_bytes()[:100])
    with pytest.raises(CorruptComponent, match=r"sums.safetensors cannot be read .*; remove .* to start anew"):
        collected(tmp_path / "run", sampling="all", resume=True)


def test_bad_input_leaves_no_unfinished_run_behind(tmp_path):
    for options, error in (({"sampling": "best"}, BadConfig), ({"batches": [(torch.zeros(1), 3)]}, BadBatches)):
        with pytest.raises(error):
            collected(tmp_path / "run", **options)
    assert list(tmp_path.iterdir()) == []


def test_notes_are_written_only_once_in_a_while(tmp_path, monkeypatch):
    times = []
    model, graph = traced("residual")
    monkeypatch.setattr("model_lego.store.checkpoint.stream_weights", lambda *_: times.append(time.monotonic()))
    monkeypatch.setattr(Path, "replace", lambda *_: None)
    with pytest.raises(Stop):
        collect(model, batches(), tmp_path / "run", graph=graph, sampling="all", progress=stopping(5))
    assert times == []
