"""Operators under a mode (no_grad, checkpoint, autocast) are those of the network, unless the mode changes values."""

import functools

import pytest
import torch
from torch import nn
from torch.utils import checkpoint

from model_lego import diagnose
from model_lego.cutting.tracing import trace
from model_lego.disassembly import disassembling
from model_lego.errors import RefusedError
from tests.support.tiny.streams import Head, unit
from tests.support.tiny_models import CLASSES, inputs

again = functools.partial(checkpoint.checkpoint, use_reentrant=True)


class Moded(nn.Module):
    """A small network whose body runs as `run` says."""

    def __init__(self, run):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.body, self.head = unit(3, 8), unit(8, 10), Head(10)
        self.run = run

    def forward(self, x):
        return self.head(self.run(self.body, self.stem(x)))


def under(*modes):
    def run(body, x):
        for mode in modes[:-1]:
            with mode():
                body(x)
        with modes[-1]():
            return body(x)

    return run


def nested(body, x):
    with torch.no_grad():
        y = x * 2
        with torch.enable_grad():
            y = body(y)
    return y


def several(body, x):
    with torch.no_grad():
        y, z = body(x), body(-x)
    return y - z * 2


def constant(body, x):
    with torch.no_grad():
        return body(x) * torch.tensor([2.0]) + torch.arange(10).view(1, 10, 1, 1)


bfloat16 = functools.partial(torch.autocast, "cpu", torch.bfloat16)
switched_off = functools.partial(torch.autocast, "cpu", enabled=False)
elsewhere = functools.partial(torch.autocast, "cuda", torch.float16)

RUNS = {
    "plain": lambda body, x: body(x),
    "no_grad": under(torch.no_grad),
    "no_grad twice": under(torch.no_grad, torch.no_grad),
    "set_grad_enabled, empty": under(functools.partial(torch.set_grad_enabled, False)),
    "inference": under(torch.inference_mode),
    "nested": nested,
    "several values": several,
    "constant": constant,
    "reentrant checkpoint": again,
    "checkpoint": functools.partial(checkpoint.checkpoint, use_reentrant=False),
    "autocast off": under(switched_off),
    "autocast elsewhere": under(elsewhere),
}


@pytest.mark.filterwarnings("ignore:.*CUDA is not available:UserWarning", "ignore:None of the inputs:UserWarning")
@pytest.mark.parametrize("name", RUNS)
def test_a_mode_that_changes_no_value_is_no_obstacle(name):
    model, x = Moded(RUNS[name]).eval(), inputs("plain", dtype=torch.float32)
    graph = trace(model, x)
    assert {node.op for node in graph.program.nodes} == {"placeholder", "call_function", "output"}
    assert [layer.name for layer in graph.layers][:2] == ["stem.0", "body.0"]
    assert bool(graph.cuttable[graph.layer("body.0").inputs].all())
    with torch.no_grad():
        torch.testing.assert_close(graph.program.run(model, x), model(x))
    batches = [(inputs("plain", batch=10, dtype=torch.float32), torch.arange(10) % CLASSES)]
    part = disassembling.disassemble(model, batches, classes=[3, 1], sampling="all")
    assert part(x).shape == (4, 2)


def test_the_whole_forward_may_be_without_gradients():
    class Whole(Moded):
        @torch.no_grad()
        def forward(self, x):
            return super().forward(x)

    model = Whole(RUNS["plain"]).double().eval()
    assert len(trace(model, inputs("plain")).layers) == 3


def test_where_autocast_is_off_the_forward_says_its_precision():
    """Linear attention of EfficientViT sums in single precision, whatever it is given; it was refused."""

    def single(body, x):
        with switched_off():
            return body(x.float().to(x.dtype))

    assert len(trace(Moded(single).double().eval(), inputs("plain")).layers) == 3


def test_an_autocast_does_not_reach_doubles():
    model = Moded(under(bfloat16)).double().eval()
    assert len(trace(model, inputs("plain")).layers) == 3


@pytest.mark.parametrize("run", [under(bfloat16), under(torch.no_grad, bfloat16)])
def test_an_autocast_that_changes_values_is_refused_with_what_to_do(run):
    model = Moded(run).eval()
    for verb in (trace, diagnose):
        with pytest.raises(RefusedError, match=r"layer 'body\.0' runs under torch\.autocast \(torch\.bfloat16\)"):
            verb(model, inputs("plain", dtype=torch.float32))


def test_a_network_that_accelerate_prepared_is_refused_with_what_to_do():
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, mixed_precision="bf16")
    model = accelerator.prepare_model(Moded(RUNS["plain"]).eval(), evaluation_mode=True)
    with pytest.raises(RefusedError, match=r"accelerator\.unwrap_model\(model, keep_fp32_wrapper=False\)"):
        trace(model, inputs("plain", dtype=torch.float32))
    plain = accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    assert len(trace(plain, inputs("plain", dtype=torch.float32)).layers) == 3


def chosen(body, x):
    return torch.cond(x.mean() > 0, lambda y: y * 2, lambda y: y.clone(), (body(x),))


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_a_graph_that_values_choose_is_refused_as_that():
    with pytest.raises(RefusedError, match=r"forward of the network runs a graph of its own within cond.*torch\.where"):
        trace(Moded(chosen).double().eval(), inputs("plain"))
