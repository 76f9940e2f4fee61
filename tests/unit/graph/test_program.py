"""Exported networks: they run as the network does, any number of images, and know their tensors by name."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model_lego.errors import RefusedError, ShapeMismatch, TraceFailed
from model_lego.graph.modules import find_tensor, hookless_copy
from model_lego.graph.program import export_program
from tests.support.tiny.streams import Head, unit
from tests.support.tiny_models import IMAGE, OTHER, TINY, build, inputs

pytestmark = pytest.mark.usefixtures("exported_anew")


class Does(nn.Module):
    """A layer of one's own."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def run(model, x):
    with torch.no_grad():
        return model(x)


@pytest.mark.parametrize("name", [*TINY, *OTHER])
def test_it_runs_as_the_network_does(name):
    model = build(name)
    program = export_program(model, inputs(name, batch=2))
    assert program.image_shape == tuple(inputs(name).shape[1:])
    for batch in (1, 2, 7):
        x = inputs(name, batch=batch, seed=batch)
        with torch.no_grad():
            torch.testing.assert_close(program.run(model, x), run(model, x), rtol=1e-12, atol=1e-12)


def test_it_runs_with_the_tensors_that_the_network_has_now():
    model, x = build("plain"), inputs("plain")
    program = export_program(model, x)
    with torch.no_grad():
        model[9].weight.mul_(2)
        model[1].running_mean.add_(1)
        model[11].bias = nn.Parameter(model[11].bias + 1)
        torch.testing.assert_close(program.run(model, x), model(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, *IMAGE), (2, *IMAGE), (5, *IMAGE)])
def test_one_image_or_any_batch_will_do_as_example(shape):
    model, x = build("view_flatten"), inputs("view_flatten", batch=6)
    program = export_program(model, torch.zeros(shape, dtype=torch.float64))
    with torch.no_grad():
        torch.testing.assert_close(program.run(model, x), model(x))


def test_a_training_network_is_exported_as_it_will_be_used():
    model, x = build("multi_linear").train(), inputs("multi_linear")
    program = export_program(model, x)
    assert model.training
    with torch.no_grad():
        torch.testing.assert_close(program.run(model, x), build("multi_linear")(x))


def test_intercept_hears_of_every_operator_and_may_change_its_arguments():
    model, x = build("plain"), inputs("plain")
    program = export_program(model, x)
    heard = []

    def silence(node, args):
        heard.append(str(node.target))
        return (args[0] * 0, *args[1:]) if "linear" in heard[-1] else args

    with torch.no_grad():
        logits = program.run(model, x, silence)
        torch.testing.assert_close(logits, model[11].bias.expand(len(x), -1))
    assert [name.split(".")[1] for name in heard].count("conv2d") == 2
    assert heard[-1] == "aten.linear.default"


def test_the_placeholders_have_the_names_of_the_tensors():
    program = export_program(build("constants"), inputs("constants"))
    names = set(program.tensors.values())
    assert {"stem.0.weight", "stem.1.running_mean", "shift", "head.linear.bias"} <= names
    assert [name for name in names if "tilt" in name] == ["tilt"]
    assert program.aliases["shift"] == ("shift",)


class Clash(nn.Module):
    """Two paths that give the same placeholder when dots become underscores."""

    def __init__(self):
        super().__init__()
        self.a = nn.Module()
        self.a.b, self.a_b = nn.Linear(432, 6), nn.Linear(6, 5)

    def forward(self, x):
        return self.a_b(F.relu(self.a.b(x.flatten(1))))


def test_names_that_differ_by_a_dot_only_are_told_apart():
    model, x = Clash().double().eval(), inputs("plain")
    program = export_program(model, x)
    assert sorted(program.tensors.values()) == ["a.b.bias", "a.b.weight", "a_b.bias", "a_b.weight"]
    torch.testing.assert_close(program.run(model, x), model(x))


def test_all_names_of_a_tied_tensor_are_known():
    program = export_program(build("tied"), inputs("tied"))
    assert program.aliases[program.canonical("b.weight")] == ("a.weight", "b.weight")
    assert program.canonical("a.weight") == program.canonical("b.weight") == "a.weight"
    assert program.canonical("a.bias") == "a.bias"


class Lifted(nn.Module):
    """A tensor made in the forward."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = unit(3, 4), Head(4)

    def forward(self, x):
        return self.head(self.stem(x) * torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64).view(1, 4, 1, 1))


def test_a_tensor_made_in_the_forward_is_held_as_a_constant():
    model, x = Lifted().double().eval(), inputs("plain")
    program = export_program(model, x)
    (name,) = program.constants
    assert program.tensor(model, name).tolist() == [1.0, -2.0, 3.0, 0.5]
    assert find_tensor(model, name) is None
    torch.testing.assert_close(program.run(model, x), model(x))


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("wrong", [(2, 4, 12, 12), (2, 1, 12, 12), (2, 3, 2, 2), (2, 3)])
def test_images_that_do_not_fit_are_named_by_their_shape(wrong):
    with pytest.raises(ShapeMismatch, match=rf"images of shape \({', '.join(map(str, wrong[1:]))}"):
        export_program(build("plain"), torch.zeros(wrong, dtype=torch.float64))


def test_images_of_another_data_type_are_named_by_it():
    with pytest.raises(ShapeMismatch, match="float32"):
        export_program(build("plain"), torch.zeros(2, *IMAGE))


def test_a_branch_that_depends_on_the_images_is_named_by_its_line():
    with pytest.raises(TraceFailed, match=r"cannot follow DataDependent.*unusual\.py.*line \d+"):
        export_program(build("data_dependent"), inputs("data_dependent"))


def reshaping(function) -> nn.Module:
    layers = [unit(3, 8), nn.AdaptiveAvgPool2d(1), Does(function), nn.Linear(8, 5)]
    return nn.Sequential(*layers).double().eval()


@pytest.mark.parametrize("function", [lambda x: x.view(2, 8), lambda x: x.view(2, -1), lambda x: x.reshape(2, 8)])
def test_a_batch_size_written_into_the_forward_is_refused(function):
    with pytest.raises(TraceFailed, match="batch size"):
        export_program(reshaping(function), inputs("plain"))


# -------------------------------------------------------------------------------------------------- copies and hooks


def test_a_copy_has_no_hooks_and_the_network_keeps_its_own():
    model, calls = build("residual"), []
    for module in model.modules():
        module.register_forward_hook(lambda *_: calls.append("forward"))
        module.register_forward_hook(lambda *_, **__: calls.append("keywords"), with_kwargs=True, always_call=True)
        module.register_forward_pre_hook(lambda *_: calls.append("before"))
        module.register_full_backward_hook(lambda *_: calls.append("backward"))
    twin = hookless_copy(model)
    twin(inputs("residual")).sum().backward()
    assert calls == []
    export_program(model, inputs("residual"))
    assert set(calls) == {"forward", "keywords", "before"}  # once, on a copy: to see that they change nothing
    assert len(calls) == 3 * len([*model.modules()])
    assert all(len(module._forward_hooks) == 2 for module in model.modules())


@pytest.mark.parametrize(
    ("old", "name"), [(nn.utils.weight_norm, "WeightNorm"), (nn.utils.spectral_norm, "SpectralNorm")]
)
@pytest.mark.filterwarnings("ignore:.*torch.nn.utils.*:FutureWarning")
def test_a_weight_that_is_made_by_a_hook_is_refused_in_words(old, name):
    model = nn.Sequential(unit(3, 8), old(nn.Conv2d(8, 8, 3)), Head(8)).double().eval()
    with pytest.raises(RefusedError, match=rf"layer '1' has old-style {name}.*remove_"):
        hookless_copy(model)


class Stubborn(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def __deepcopy__(self, memo):
        raise TypeError("I am one of a kind")


def test_a_network_that_cannot_be_copied_is_refused_in_its_words():
    with pytest.raises(RefusedError, match="Stubborn cannot be deep-copied: I am one of a kind"):
        hookless_copy(Stubborn())
    assert copy.copy(Stubborn()) is not None
