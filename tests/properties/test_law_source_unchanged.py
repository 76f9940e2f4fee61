"""Law 8: the source is never changed, whatever is done with it, also where that fails half-way."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model_lego.attribution import Thresholds, attribute, locate
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.disassembly import disassembling
from model_lego.errors import BadBatches, LegoError, ShapeMismatch, UnknownClass, UnsupportedOpError
from model_lego.repairing import refitting
from tests.support.plans import half_plan
from tests.support.tiny_models import CLASSES, build, inputs
from tests.support.whole_networks import ZOO, zoo_images, zoo_model

NETWORKS = ("plain", "in_place", "tied", "auxiliary", "constants", "weight_norm", "multi_linear")
METHODS = ("ridge", "mean", "bn", "none")

Batches = list[tuple[Tensor, Tensor]]


class Watched:
    """A network in an unusual state, with hooks that note when they are called on one of its own modules.

    On copies they may be: whether they change what the network gives is seen by running them.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model.to(memory_format=torch.channels_last).train()
        for number, module in enumerate(self.model.modules()):
            if isinstance(module, nn.BatchNorm2d) and number % 2:
                module.eval()  # as in fine-tuning with frozen statistics
        for number, parameter in enumerate(self.model.parameters()):
            parameter.requires_grad_(number % 3 != 1)
        self.calls: list[str] = []
        self.own = set(self.model.modules())  # of which copies are none
        for module in self.model.modules():
            module.register_forward_hook(lambda module, *_: self.note(module, "forward"))
            module.register_forward_pre_hook(lambda module, *_: self.note(module, "before"), with_kwargs=False)
            module.register_full_backward_hook(lambda module, *_: self.note(module, "backward"))
        self.before = state(self.model)

    def note(self, module: nn.Module, what: str) -> None:
        if module in self.own:
            self.calls.append(what)

    def check(self) -> None:
        assert state(self.model) == self.before
        assert self.calls == []
        first = next(self.model.modules())
        assert (len(first._forward_hooks), len(first._forward_pre_hooks), len(first._backward_hooks)) == (1, 1, 1)


def watch(name: str) -> Watched:
    return Watched(build(name, dtype=torch.float32))


def digest(tensor: Tensor) -> bytes:
    return hashlib.blake2b(tensor.detach().numpy().tobytes()).digest()


def state(model: nn.Module) -> dict[str, Any]:
    """All there is to see of a network, and of what the library could leave behind around it."""
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    held = [(path, key, value) for path, module in model.named_modules() for key, value in vars(module).items()]
    return {
        "bytes": {
            name: hashlib.blake2b(t.detach().numpy().tobytes()).digest() for name, t in model.state_dict().items()
        },
        "identity": [(name, id(tensor), tensor.data_ptr(), tensor.stride()) for name, tensor in tensors],
        "grad": [(name, tensor.requires_grad, tensor.grad, tensor.dtype) for name, tensor in tensors],
        "modes": [(path, module.training) for path, module in model.named_modules()],
        "attributes": [entry for entry in held if isinstance(entry[2], int | tuple)],
        "constants": [(*entry[:2], id(entry[2]), entry[2].tolist()) for entry in held if isinstance(entry[2], Tensor)],
        "hooks": [(path, list(m._forward_hooks), list(m._forward_pre_hooks)) for path, m in model.named_modules()],
        "random": torch.get_rng_state().tolist(),
        "around": (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()),
    }


def batches(name: str, *, dtype: torch.dtype = torch.float32) -> Batches:
    x, labels = inputs(name, batch=24, dtype=dtype), torch.arange(24) % CLASSES
    return list(zip(x.split(8), labels.split(8), strict=True))


@pytest.fixture(params=NETWORKS)
def watched(request):
    found = watch(request.param)
    found.name = request.param
    return found


def test_every_step_leaves_the_source_as_it_was(watched):
    check_steps(watched, batches(watched.name), METHODS[:3])


@pytest.mark.zoo
@pytest.mark.parametrize("name", ZOO)
def test_every_step_leaves_a_torchvision_network_as_it_was(name):
    x, labels = zoo_images(8).float(), torch.arange(8) % 4
    check_steps(Watched(zoo_model(name).float()), [(x[:4], labels[:4]), (x[4:], labels[4:])], ("bn",))


def check_steps(watched: Watched, data: Batches, methods: Sequence[str]) -> None:
    before = [(x.clone(), labels.clone()) for x, labels in data]
    graph = trace(watched.model, data[0][0])
    watched.check()
    classes = sorted({label for _, labels in data for label in labels.tolist()})
    for sampling in ("all", "random"):
        stats = attribute(watched.model, data, graph=graph, classes=classes, sampling=sampling)
        watched.check()
    locate(graph, stats, classes=[1, 2])
    slice_model(watched.model, graph, half_plan(graph, seed=1, logits=[2, 0]))
    watched.check()
    planned = disassembling.plan(watched.model, data, classes=[1, 3], sampling="all", graph=graph)
    watched.check()
    component = disassembling.cut(watched.model, planned)
    watched.check()
    for method in methods:
        twin = refitting.repair(component, watched.model, data, method=method, graph=graph)
        watched.check()
        assert twin is not component
    assert all(torch.equal(x, y) and torch.equal(a, b) for (x, a), (y, b) in zip(data, before, strict=True))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["plain", "in_place"])
def test_disassemble_leaves_the_source_as_it_was(name, method):
    watched = watch(name)
    component = disassembling.disassemble(
        watched.model, batches(name), classes=[0, 4], sampling="random", repair=method, per_class=3
    )
    watched.check()
    ours = {tensor.data_ptr() for tensor in (*component.parameters(), *component.buffers())}
    theirs = {tensor.data_ptr() for tensor in (*watched.model.parameters(), *watched.model.buffers())}
    assert not ours & theirs  # nothing is shared: training the one does not train the other
    hooks = [m for m in component.modules() if m._forward_hooks or m._forward_pre_hooks or m._backward_hooks]
    assert hooks == []


def spoiled(data: Batches, what: str) -> Batches:
    """The same with the second batch not fit for use."""
    x, labels = (tensor.clone() for tensor in data[1])
    if what == "nan":
        x[3, 1, 2, 2] = float("nan")
    elif what == "size":
        x = x[:, :, :-1]
    elif what == "label":
        labels[2] = CLASSES
    return [data[0], (x, labels), *data[2:]]


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("nan", BadBatches, "batch 1 contain NaN"),
        ("size", ShapeMismatch, r"batch 1 have shape \(3, 11, 12\)"),
        ("label", BadBatches, "label 5 of batch 1"),
    ],
)
@pytest.mark.parametrize("sampling", ["all", "confident"])
def test_a_bad_second_batch_leaves_the_source_as_it_was(what, error, message, sampling):
    watched = watch("in_place")
    data = spoiled(batches("in_place"), what)
    with pytest.raises(error, match=message):
        disassembling.disassemble(watched.model, data, classes=[1, 2], sampling=sampling)
    watched.check()
    component = disassembling.disassemble(
        watched.model, batches("in_place"), classes=[1, 2], sampling="all", repair="none"
    )
    with pytest.raises(error, match=message):
        refitting.repair(component, watched.model, data)
    watched.check()


class StoppedError(Exception):
    """What the person at the keyboard does."""


@pytest.mark.parametrize("method", ["ridge", "bn"])
@pytest.mark.parametrize(
    "stage", ["choosing samples", "summing contributions", "drawing calibration images", "repairing"]
)
def test_stopping_half_way_leaves_the_source_as_it_was(stage, method):
    watched = watch("in_place")
    heard: list[str] = []

    def stop(what: str, done: int, total: int | None) -> None:
        heard.append(what)
        if what == stage and done >= 1:
            raise StoppedError

    with pytest.raises(StoppedError):
        disassembling.disassemble(
            watched.model, batches("in_place"), classes=[1], sampling="random", repair=method, progress=stop
        )
    assert heard[-1] == stage
    watched.check()


class Unknown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.erfinv(torch.tanh(x) * 0.5)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda model: model.insert(9, Unknown()), UnsupportedOpError),
        (lambda model: model.append(nn.Softmax(dim=1)).append(nn.Linear(CLASSES, 1)), LegoError),
        (lambda model: None, UnknownClass),
    ],
)
def test_a_refusal_leaves_the_source_as_it_was(spoil: Callable[[Any], Any], error):
    watched = watch("plain")
    spoil(watched.model)
    watched.before = state(watched.model)
    with pytest.raises(error):
        disassembling.disassemble(watched.model, batches("plain"), classes=[0, 7], thresholds=Thresholds())
    watched.check()


# -------------------------------------------------------------------------------- what a component has of its source


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_a_component_has_mode_type_memory_format_and_frozen_parameters_of_its_source(method, training):
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        model = build("in_place", dtype=dtype).to(memory_format=torch.channels_last).train(training)
        model.a.weight.requires_grad_(False)
        component = disassembling.disassemble(
            model, batches("in_place", dtype=dtype), classes=[2, 3], sampling="all", repair=method
        )
        assert all(module.training == training for module in component.modules())
        floats = [t for t in (*component.parameters(), *component.buffers()) if t.is_floating_point()]
        assert {tensor.dtype for tensor in floats} == {dtype}
        maps = [p for p in component.parameters() if p.dim() == 4]
        assert all(p.is_contiguous(memory_format=torch.channels_last) for p in maps)
        assert [name for name, p in component.named_parameters() if not p.requires_grad] == ["module.a.weight"]
        assert component.origin.cost_after.parameters < component.origin.cost_before.parameters


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no second device here")
@pytest.mark.parametrize("method", METHODS)
def test_a_component_stays_on_the_device_of_its_source(method):
    model = build("residual", dtype=torch.float32).cuda()
    component = disassembling.disassemble(
        model, batches("residual", dtype=torch.float32), classes=[2, 3], sampling="all", repair=method
    )
    assert {tensor.device.type for tensor in (*component.parameters(), *component.buffers())} == {"cuda"}


@pytest.mark.parametrize("method", METHODS)
def test_a_component_has_the_mode_of_each_module_of_its_source(method):
    model = build("in_place", dtype=torch.float32).train()
    model.norm.eval()
    component = disassembling.disassemble(model, batches("in_place"), classes=[2], sampling="all", repair=method)
    modes = {path: module.training for path, module in component.module.named_modules()}
    assert modes == {path: module.training for path, module in model.named_modules()}


def test_a_component_without_its_auxiliary_head_can_be_trained():
    model = build("auxiliary", dtype=torch.float32)
    component = disassembling.disassemble(model, batches("auxiliary"), classes=[1, 2], sampling="all", repair="none")
    component.train()(batches("auxiliary")[0][0]).sum().backward()
    taught = {name for name, parameter in component.named_parameters() if parameter.grad is not None}
    assert taught == {name for name, _ in component.named_parameters()}
