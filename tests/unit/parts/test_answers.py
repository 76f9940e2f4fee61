"""What a network is: its answer decides, whatever it is wrapped in, whichever hooks it has, whatever else it gives."""

import re
from collections import namedtuple
from itertools import count

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.optim.swa_utils import AveragedModel

import model_lego as ml
from model_lego.errors import BadConfig, CorruptComponent, RefusedError, TraceFailed
from model_lego.models import build
from model_lego.parts.answers import answer_and_operators, answer_of, difference
from model_lego.parts.logits import main_logits
from model_lego.parts.origin import Builder
from model_lego.parts.wrappers import unwrapped

IMAGES = torch.rand(24, 3, 12, 12, generator=torch.Generator().manual_seed(2))
BATCHES = [(IMAGES, torch.arange(24) % 4)]
Named = namedtuple("Named", "features logits")


def body():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class Giving(nn.Module):
    """A classifier that gives its logits and features as `shape` says."""

    def __init__(self, shape=lambda logits, features: logits):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.body, self.fc = body(), nn.Linear(8, 4)
        self.shape = shape
        self.eval()

    def forward(self, x):
        features = self.body(x)
        return self.shape(self.fc(features), features)


def component_of(network, **options):
    return ml.disassemble(network, BATCHES, classes=[1, 3], sampling="all", **options)


# ------------------------------------------------------------------------------------------- hooks that change values


def pruned(stale):
    network = Giving()
    prune.l1_unstructured(network.fc, "weight", 0.3)
    network(IMAGES)  # with gradients: the weight that the hook made is no leaf
    if stale:
        network.load_state_dict({name: 2 * tensor for name, tensor in network.state_dict().items()})
    return network


def test_a_pruned_layer_whose_weight_is_stale_is_named_with_what_to_do():
    with pytest.raises(RefusedError, match=r"hook of layer 'fc' \(L1Unstructured\) changes .*prune.remove"):
        component_of(pruned(stale=True))


def test_a_pruned_layer_that_is_up_to_date_is_cut_as_it_is():
    network = pruned(stale=False)
    component = component_of(network, repair="none", thresholds=ml.Thresholds(0.0, 0.0, 0.0, 0.0))
    torch.testing.assert_close(component(IMAGES), network(IMAGES)[:, [1, 3]])


@pytest.mark.parametrize(
    ("place", "hook", "words"),
    [
        ("body.0", lambda module, args, output: 2 * output, r"'body.0' \(.*lambda"),
        ("fc", lambda module, args: (args[0] + 1,), r"'fc' \("),
        ("", lambda module, args, output: output.flip(1), r"''"),
    ],
)
def test_any_hook_that_changes_values_is_named(place, hook, words):
    network = Giving()
    owner = network.get_submodule(place)
    (owner.register_forward_pre_hook if place == "fc" else owner.register_forward_hook)(hook)
    with pytest.raises(RefusedError, match=words):
        component_of(network)


def test_a_hook_that_only_looks_is_no_obstacle():
    network, seen = Giving(), []
    network.fc.register_forward_hook(lambda *_: seen.append(1))
    assert component_of(network).classes
    assert len(network.fc._forward_hooks) == 1


# ------------------------------------------------------------------------- a builder that is not quite the network


def resnet_without_a_pool():
    network = build("torchvision:resnet18", num_classes=4)
    network.maxpool = nn.Identity()
    return network


def with_another_stride():
    network = build("torchvision:resnet18", num_classes=4)
    network.conv1.stride = (1, 1)
    return network


def with_another_activation():
    network = build("torchvision:resnet18", num_classes=4)
    network.relu = nn.LeakyReLU(0.3)
    return network


def with_a_temperature():
    network = build("torchvision:resnet18", num_classes=4)
    forward = type(network).forward

    class Sharper(type(network)):
        def forward(self, x):
            return forward(self, x) / 0.5

    network.__class__ = Sharper
    return network


RESNET = Builder("torchvision:resnet18", {"num_classes": 4})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            resnet_without_a_pool,
            r"layer 'module.maxpool' is Identity\(\) instead of MaxPool2d|is MaxPool2d\(.*instead of Identity",
        ),
        (with_another_stride, r"layer 'module.conv1' is Conv2d\(.*stride=\(2, 2\).* instead of"),
        (with_another_activation, r"layer 'module.relu' is ReLU\(.*instead of LeakyReLU"),
        (with_a_temperature, r"another network.* logits that differ"),
    ],
)
def test_a_builder_of_another_network_is_refused_by_save_and_a_factory_of_it_by_load(make, words, tmp_path):
    network = make().eval()
    made = ml.disassemble(network, BATCHES, classes=[1, 3], sampling="all", repair="none", builder=RESNET)
    with pytest.raises(BadConfig, match=words):
        ml.save(made, tmp_path / "part")
    assert not (tmp_path / "part").exists()
    made = ml.disassemble(network, BATCHES, classes=[1, 3], sampling="all", repair="none")
    ml.save(made, tmp_path / "part")
    state = network.state_dict()
    torch.testing.assert_close(ml.load(tmp_path / "part", factory=make)(IMAGES), made(IMAGES))
    with pytest.raises(CorruptComponent, match="is not the one that was saved: it gives"):
        ml.load(tmp_path / "part", factory=lambda: build("torchvision:resnet18", num_classes=4))
    assert state.keys() == network.state_dict().keys()


def test_operators_tell_apart_what_the_seeded_image_does_not(tmp_path):
    class Clipped(Giving):
        def forward(self, x):
            return super().forward(x.clamp(-9, 9))  # of images in 0..1 it is the identity

    made = component_of(Giving(), repair="none")
    ml.save(made, tmp_path / "part")
    with pytest.raises(CorruptComponent, match="by other operators"):
        ml.load(tmp_path / "part", factory=Clipped)


# ---------------------------------------------------------------------------------------------------------- wrappers


@pytest.mark.parametrize(
    "wrap",
    [nn.DataParallel, AveragedModel, torch.compile, lambda network: nn.DataParallel(AveragedModel(network))],
    ids=["DataParallel", "AveragedModel", "compile", "nested"],
)
def test_a_wrapped_network_is_taken_out(wrap):
    network = Giving()
    wrapped = wrap(network)
    component = component_of(wrapped)
    assert type(component.module) is Giving
    assert torch.equal(component(IMAGES), component_of(network)(IMAGES))
    assert ml.diagnose(wrapped, IMAGES).network == "Giving"
    assert {contender.name for contender in ml.baselines(component, wrapped)} >= {"source", "random"}


def test_what_is_no_wrapper_stays():
    network = nn.Sequential(Giving())
    assert unwrapped(network) is network


# -------------------------------------------------------------------------------------------- what a network gives


@pytest.mark.parametrize(
    ("shape", "taken"),
    [
        (lambda logits, features: (logits, features), "output[0]"),
        (lambda logits, features: {"features": features, "logits": logits}, "output['logits']"),
        (lambda logits, features: {"features": features, "out": logits}, "output['out']"),
        (lambda logits, features: Named(features, logits), "output.logits"),
        (lambda logits, features: ({"logits": logits}, features, None), "output[0]['logits']"),
        (lambda logits, features: [logits], None),
    ],
)
@pytest.mark.filterwarnings("ignore:the network gives several values:UserWarning")
def test_logits_are_taken_out_of_what_a_network_gives_and_it_is_said(shape, taken, tmp_path):
    component, plain = component_of(Giving(shape)), component_of(Giving())
    assert torch.equal(component(IMAGES), plain(IMAGES))
    assert component.origin.settings.get("logits") == taken
    assert (taken or "taken") in str(ml.diagnose(Giving(shape), IMAGES)) or taken is None
    ml.save(component, tmp_path / "part")
    loaded = ml.load(tmp_path / "part", factory=lambda: Giving(shape))
    assert torch.equal(loaded(IMAGES), plain(IMAGES))


def test_the_first_of_several_values_is_taken_with_a_warning():
    with pytest.warns(UserWarning, match=r"output\[0\] is taken as its logits, 4 of them"):
        component_of(Giving(lambda logits, features: (logits, features)))


def test_a_mapping_without_logits_is_refused():
    with pytest.raises(RefusedError, match="a mapping of 'a', 'b', none of which is called logits"):
        component_of(Giving(lambda logits, features: {"a": features, "b": logits}))
    with pytest.raises(RefusedError, match="an empty tuple"):
        main_logits(())


# -------------------------------------------------------------------------------------------------------- the answer


def test_an_answer_is_that_in_eval_mode_and_leaves_the_modes_alone():
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(432, 2)).train()
    network[2].eval()
    assert torch.equal(answer_of(network, IMAGES), answer_of(network, IMAGES))
    assert [module.training for module in network] == [True, True, False]


@pytest.mark.parametrize(
    ("expected", "found", "words"),
    [
        ([1.0, 2.0], [1.0, 2.0], ""),
        ([1.0, 2.0], [1.0, 2.001], ""),
        ([1.0, 2.0], [1.0, 2.1], "differ by 0.1, where the largest is 2"),
        ([1.0, 2.0], [1.0, float("nan")], "differ by nan"),
        ([1.0, 2.0], [1.0], r"shape \(1,\) instead of \(2,\)"),
    ],
)
def test_answers_are_the_same_as_far_as_their_type_goes(expected, found, words):
    given = difference(torch.tensor(expected), torch.tensor(found))
    assert bool(given) == bool(words)
    assert not words or re.search(words, given)


def test_operators_are_the_same_whatever_the_weights_and_other_with_another_number():
    def digest(padding, seed):
        torch.manual_seed(seed)
        return answer_and_operators(nn.Sequential(nn.Conv2d(3, 4, 3, padding=padding), nn.AvgPool2d(2)), IMAGES)[1]

    with torch.random.fork_rng():
        assert digest(1, 0) == digest(1, 1)
        assert digest(1, 0) != digest(0, 0)


# ------------------------------------------------------------------------------------------- the exported program


@pytest.mark.parametrize(
    "how",
    [
        lambda logits, number: logits * number,
        lambda logits, number: logits + (3.0 if number % 2 else 0.0),
        lambda logits, number: logits.flip(1) if number % 2 else logits,
    ],
    ids=["scaled", "shifted", "turned"],
)
def test_an_export_that_gives_something_else_is_refused(how):
    calls = count(1)  # which no copy has for itself
    network = Giving(lambda logits, features: how(logits, next(calls)))
    with pytest.raises(TraceFailed, match=r"beside the network itself, logits that differ by .*call to call"):
        ml.trace(network, IMAGES)


def test_a_network_that_keeps_what_it_computed_is_the_same_before_its_first_answer():
    class Keeping(nn.Linear):
        kept = None

        def forward(self, x):
            if self.kept is None:
                self.kept = self.weight.softmax(1)
            return nn.functional.linear(x.mean((2, 3)), self.kept, self.bias)

    used, fresh = Keeping(3, 2), Keeping(3, 2)
    answer_of(used, IMAGES)
    assert answer_and_operators(used, IMAGES)[1] == answer_and_operators(fresh, IMAGES)[1]


def test_only_a_network_that_keeps_something_is_asked_twice():
    class Counting(nn.Linear):
        kept: dict[str, torch.Tensor] | None = None

        def forward(self, x):
            asked.append(x)
            if self.kept is not None:
                self.kept["weight"] = self.weight.softmax(1)
            return super().forward(x.mean((2, 3)))

    plain, keeping = Counting(3, 2), Counting(3, 2)
    keeping.kept = {}
    for network, times in ((plain, 1), (keeping, 2)):
        asked = []
        answer_and_operators(network, IMAGES)
        assert len(asked) == times
