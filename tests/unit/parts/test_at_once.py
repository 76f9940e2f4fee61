"""Parts on threads give what they give in turns, to the bit, and run in turns where a thread of theirs would tell."""

import copy
import pickle
import threading
import time

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.errors import BadConfig
from model_lego.parts import at_once
from model_lego.parts.assembly import Assembly, Head
from tests.support.handmade_parts import reading_assembly, tiny_component


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Telling(nn.Module):
    """Says on which thread it runs."""

    def __init__(self, network, log):
        super().__init__()
        self.network, self.log = network, log

    def forward(self, x):
        self.log.append(threading.get_ident())
        return self.network(x)


def parallel(*parts):
    names = [f"{number}{name}" for number, part in enumerate(parts) for name in part.classes]
    return Assembly(parts, layout="parallel", classes=names, head=Head.identity(len(names))).eval()


def telling(count=2):
    """An assembly, and the threads on which its parts run, one after the other."""
    log, parts = [], [tiny_component(seed=seed) for seed in range(count)]
    for part in parts:
        part.module = Telling(part.module, log)
    return parallel(*parts), log


def images(count=3):
    return torch.rand(count, 3, 8, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "make",
    [
        lambda: parallel(tiny_component(), tiny_component(seed=1)),
        lambda: parallel(*(tiny_component(seed=seed) for seed in range(5))),
        lambda: parallel(tiny_component(seed=2), parallel(tiny_component(), tiny_component(seed=1))),
        reading_assembly,
    ],
    ids=["two", "five", "nested", "reading"],
)
def test_both_ways_give_the_same_bits(make, mode):
    part = make().eval()
    given = {}
    for how in ("turns", "threads", "measured"):
        with mode(), ml.parts_run(how):
            given[how] = [part(images()) for _ in range(8 if how == "measured" else 1)]
    first = given["turns"][0]
    assert all(torch.equal(first, each) for way in given.values() for each in way)


def test_all_but_the_first_run_on_threads_of_their_own():
    part, log = telling(3)
    with torch.no_grad(), ml.parts_run("threads"):
        part(images())
    assert log.count(threading.get_ident()) == 1
    assert len(log) == 3


def hook(part):
    part.parts[1].module.network.conv.register_forward_hook(lambda *_: None)


class Listening(torch.overrides.TorchFunctionMode):
    """Hears the functions of its own thread."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("change", [hook, lambda part: part.train(), lambda part: torch.set_num_threads(1)])
def test_it_is_in_turns_where_a_thread_would_tell(change):
    part, log = telling()
    change(part)
    with torch.no_grad(), ml.parts_run("threads"):
        part(images())
    assert set(log) == {threading.get_ident()}


def test_with_a_hook_on_all_modules_it_is_in_turns():
    part, log = telling()
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        with torch.no_grad(), ml.parts_run("threads"):
            part(images())
    finally:
        handle.remove()
    assert set(log) == {threading.get_ident()}


def test_with_gradients_it_is_in_turns():
    part, log = telling()
    with ml.parts_run("threads"):
        part(images()).sum().backward()
    assert set(log) == {threading.get_ident()}


def test_a_part_that_is_there_twice_is_run_in_turns():
    log = []
    one = tiny_component()
    one.module = Telling(one.module, log)
    with torch.no_grad(), ml.parts_run("threads"):
        parallel(one, one)(images())
    assert log == [threading.get_ident()] * 2


@pytest.mark.parametrize("mode", [lambda: torch.autocast("cpu"), Listening, lambda: ml.parts_run("turns")])
def test_and_where_something_belongs_to_this_thread_alone(mode):
    part, log = telling()
    with torch.no_grad(), ml.parts_run("threads"), mode():
        part(images())
    assert set(log) == {threading.get_ident()}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_is_traced_and_exported_is_in_turns():
    part, log = telling()
    with torch.no_grad(), ml.parts_run("threads"):
        wanted = part(images())
        log.clear()
        program = torch.export.export(part, (images(),), strict=False).module()
        assert set(log) == {threading.get_ident()}
        assert torch.equal(program(images()), wanted)
        assert torch.equal(torch.jit.trace(part, (images(),))(images()), wanted)


@pytest.mark.parametrize("faster", [0, 1])
def test_the_faster_way_of_the_first_calls_is_taken_for_each_number_of_images(monkeypatch, faster):
    now, ran = [0.0], []

    def way(number):
        def run(calls):
            ran.append(number)
            now[0] += 1 if number == faster else 2
            return [call() for call in calls]

        return run

    monkeypatch.setattr(at_once.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(at_once, "_in_turns", way(0))
    monkeypatch.setattr(at_once, "_on_threads", way(1))
    part, _ = telling()
    with torch.no_grad():
        for count in (3, 4):
            ran.clear()
            for _ in range(12):
                part(images(count))
            assert ran[:8] == [0, 1] * 4
            assert ran[8:] == [faster] * 4


def test_what_is_off_here_is_off_on_threads():
    part, _ = telling()
    seen = []
    part.parts[1].module.network.forward = lambda x: (
        seen.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_num_threads()))
        or x.mean((2, 3))[:, :2]
    )
    for mode in (torch.no_grad, torch.inference_mode):
        with mode(), ml.parts_run("threads"):
            part(images())
    assert seen == [(False, False, 2), (False, True, 2)]


@pytest.mark.parametrize("place", [0, 1])
def test_a_part_that_fails_says_so_when_all_have_ended(place):
    part, ended = telling()[0], []

    def fail(_):
        raise ValueError("no")

    def last(x):
        time.sleep(0.05)
        ended.append(True)
        return x.mean((2, 3))[:, :2]

    part.parts[place].module.network.forward = fail
    part.parts[1 - place].module.network.forward = last
    with torch.no_grad(), ml.parts_run("threads"), pytest.raises(ValueError, match="no"):
        part(images())
    assert ended


def test_what_was_measured_is_copied_and_kept_by_no_file():
    part = parallel(tiny_component(), tiny_component(seed=1))
    with torch.no_grad():
        part(images())
        assert torch.equal(copy.deepcopy(part)(images()), pickle.loads(pickle.dumps(part))(images()))
    assert not [name for name in part.state_dict() if "pace" in name]


def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    mine = at_once._pool(1)
    monkeypatch.setattr(at_once.os, "getpid", lambda: -1)
    assert at_once._pool(1) is not mine


def test_an_unknown_way_is_refused():
    with pytest.raises(BadConfig, match="measured, threads, turns"), ml.parts_run("fast"):
        pass
