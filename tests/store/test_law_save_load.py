"""Law 7: save then load gives the same outputs, bit for bit; saving twice gives the same bytes."""

import copy
import functools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from model_lego.assembly.assembling import assemble
from model_lego.disassembly.disassembling import disassemble
from model_lego.errors import BadConfig
from model_lego.graph.spare import Absent
from model_lego.models import build_from
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.store import inspect, load, save
from tests.support.handmade_parts import read_json
from tests.support.tiny_models import build, inputs, randomize_batchnorm
from tests.support.whole_networks import ZOO, enliven

LENET = Builder("zoo:lenet5", {"num_classes": 5, "width": 0.5})
#: Builders and the images that their networks take.
BUILDERS = {
    "lenet5": (LENET, (1, 28, 28)),
    "resnet20": (Builder("zoo:resnet20", {"num_classes": 5, "width": 0.5, "blocks": 2}), (3, 32, 32)),
}
BUILDERS |= {name: (Builder(f"torchvision:{name}", {"num_classes": 5}), (3, 64, 64)) for name in ZOO}
NORMALISED = Preprocessing(mean=(0.25,), std=(0.5,), size=32, crop=(28, 28), interpolation="bicubic")


def pictures(shape: tuple[int, ...], count: int = 10, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *shape, generator=generator)


def source(builder: Builder, shape: tuple[int, ...], *, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_from(builder)
    randomize_batchnorm(model, torch.Generator().manual_seed(seed + 1))
    enliven(model.eval(), pictures(shape), least=0.01)
    return model


def component(builder: Builder, shape: tuple[int, ...], *, classes=(3, 0), seed: int = 0, **options) -> Component:
    batches = [(pictures(shape), torch.arange(10) % 5)]
    made = disassemble(
        source(builder, shape, seed=seed),
        batches,
        classes=classes,
        sampling="all",
        builder=builder,
        seed=seed,
        **options,
    )
    assert made.origin.cost_after.parameters < made.origin.cost_before.parameters
    return made


@functools.cache
def lenets(preprocessing: Preprocessing | None = None) -> tuple[Component, ...]:
    """Parts of two sources, five classes in all."""
    return tuple(
        component(
            LENET,
            (1, 28, 28),
            seed=seed,
            classes=list(classes),
            class_names=list(names),
            preprocessing=preprocessing,
            repair=method,
        )
        for seed, (classes, names, method) in enumerate([("ab", "abcde", "ridge"), ("zyx", "vwxyz", "none")])
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def check(part: Component | Assembly, folder: Path, images: Tensor, *, factory=None) -> Component | Assembly:
    """Save twice, load, save what was loaded; give what was loaded."""
    save(part, folder / "one")
    save(part, folder / "two")
    back = load(folder / "one", factory=factory)
    save(back, folder / "three")
    assert contents(folder / "one") == contents(folder / "two") == contents(folder / "three")
    assert type(back) is type(part)
    assert back.classes == part.classes
    expected, found = copy.deepcopy(part).eval()(images), back(images)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
    assert bool((expected.std(0) > 0).any())  # constant logits would prove nothing
    return back


# --------------------------------------------------------------------------------------------------------- components


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.zoo] * (name in ZOO)) for name in BUILDERS])
def test_a_component_comes_back_by_its_builder(tmp_path, name):
    builder, shape = BUILDERS[name]
    made = component(builder, shape, repair="none")
    back = check(made, tmp_path, pictures(shape, seed=1))
    assert back.origin.builder == builder
    assert type(back.module) is type(made.module)


def test_a_repaired_component_comes_back(tmp_path):
    check(lenets()[0], tmp_path, pictures((1, 28, 28), seed=1))
    repaired = read_json(tmp_path / "one")["parts"][0]["origin"]["settings"]["repair"]
    assert repaired["method"] == "ridge"


def without_biases(*, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, last = nn.Conv2d(3, 8, 3, bias=False), nn.Linear(8 * 4 * 4, 5, bias=False)
    return nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), last).eval()


def test_a_component_that_the_repair_gave_biases_comes_back(tmp_path):
    model, x = without_biases(seed=1), pictures((3, 12, 12))
    made = disassemble(model, [(x, torch.arange(10) % 5)], classes=[2, 1], sampling="all", repair="ridge")
    assert made.origin.settings["repair"]["given_biases"] == ["0", "4"]
    assert model[0].bias is None
    back = check(made, tmp_path, x, factory=lambda: without_biases(seed=2))
    for number in (0, 4):
        assert back.module[number].bias.requires_grad
        assert torch.equal(back.module[number].bias, made.module[number].bias)
        assert bool((back.module[number].bias != 0).any())


@pytest.mark.zoo
def test_a_component_without_its_auxiliary_heads_comes_back(tmp_path):
    builder, shape = BUILDERS["googlenet"]
    made = component(builder, shape, repair="none")
    assert made.origin.settings["dropped_modules"] == ["aux1", "aux2"]
    back = check(made, tmp_path, pictures(shape, seed=1))
    for network in (made.module, back.module):
        assert isinstance(network.aux1, Absent)
        assert isinstance(network.aux2, Absent)
    assert not [name for name in back.state_dict() if "aux" in name]
    logits = back.train()(pictures(shape, seed=2))  # training asks for them
    assert logits.shape == (10, 2)
    logits.sum().backward()


def test_a_component_without_its_auxiliary_head_comes_back_by_a_factory(tmp_path):
    x = inputs("auxiliary", batch=10, dtype=torch.float32)
    model = build("auxiliary", dtype=torch.float32)
    made = disassemble(model, [(x, torch.arange(10) % 5)], classes=[4, 1], sampling="all", repair="none")
    assert made.origin.settings["dropped_modules"] == ["auxiliary"]
    back = check(made, tmp_path, x, factory=lambda: build("auxiliary", seed=7, dtype=torch.float32))
    assert isinstance(back.module.auxiliary, Absent)
    back.train()(x).sum().backward()


def test_a_component_with_preprocessing_comes_back(tmp_path):
    made = lenets(NORMALISED)[0]
    photographs = pictures((1, 40, 30), seed=1)  # resized on the way
    back = check(made, tmp_path, photographs)
    assert back.preprocessing == NORMALISED
    assert not torch.equal(back(photographs), back.module(photographs[:, :, :28, :28]))


def test_a_component_in_training_mode_in_another_data_type_and_memory_format_comes_back(tmp_path):
    made = copy.deepcopy(lenets()[0]).double().to(memory_format=torch.channels_last).train()
    back = check(made, tmp_path, pictures((1, 28, 28), seed=1).double())
    assert made.training
    assert not back.training


def test_a_component_without_a_builder_asks_for_a_factory(tmp_path):
    x = inputs("plain", batch=10, dtype=torch.float32)
    model = build("plain", dtype=torch.float32)
    made = disassemble(model, [(x, torch.arange(10) % 5)], classes=[2, 1], sampling="all", repair="none")
    save(made, tmp_path / "part")
    assert inspect(tmp_path / "part").parts[0].origin.builder is None
    with pytest.raises(BadConfig, match="not from torchvision, timm or our zoo: pass factory="):
        load(tmp_path / "part")
    check(made, tmp_path, x, factory=lambda: build("plain", seed=9, dtype=torch.float32))


# --------------------------------------------------------------------------------------------------------- assemblies


def calibration(shape: tuple[int, ...] = (1, 28, 28)) -> list[tuple[Tensor, Tensor]]:
    return [(pictures(shape, 40, seed=3), torch.arange(40) % 5)]


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        ("parallel", {"head": "affine"}),
        ("parallel", {"scaling": "layer", "head": "ridge"}),
        ("parallel", {"scaling": "logit", "head": "concat"}),
        ("padded", {"head": "lda"}),
        ("parallel", {"head": "blend"}),
    ],
    ids=str,
)
def test_an_assembly_comes_back(tmp_path, layout, options):
    whole = assemble(lenets(), layout=layout, calibration=calibration(), **options)
    back = check(whole, tmp_path, pictures((1, 28, 28), seed=1))
    kind = "logit" if options["head"] == "concat" else options["head"]
    assert (back.layout, back.head.kind, back.classes) == (layout, kind, ("a", "b", "z", "y", "x"))
    assert back.settings["check"] == whole.settings["check"]


def test_a_dense_network_with_preprocessing_comes_back(tmp_path):
    whole = assemble(lenets(NORMALISED), layout="padded")
    back = check(whole, tmp_path, pictures((1, 40, 30), seed=1))
    assert back.padded.preprocessing == NORMALISED
    assert len(back.parts) == 0


def test_an_assembly_of_different_architectures_comes_back(tmp_path):
    gray = Preprocessing(size=(28, 28))
    builder = Builder("zoo:resnet20", {"num_classes": 5, "width": 0.5, "blocks": 1, "in_channels": 1})
    parts = [
        lenets(NORMALISED)[0],
        component(
            builder, (1, 28, 28), class_names=list("vwxyz"), classes=list("zy"), preprocessing=gray, repair="none"
        ),
    ]
    back = check(assemble(parts), tmp_path, pictures((1, 40, 30), seed=1))
    assert [one.preprocessing for one in back.parts] == [NORMALISED, gray]


def test_an_assembly_that_settles_a_clash_comes_back(tmp_path):
    first, second = lenets()
    second = Component(second.module, classes="zya", labels=second.labels, origin=second.origin)
    back = check(assemble([first, second], on_clash="average"), tmp_path, pictures((1, 28, 28), seed=1))
    assert back.classes == ("a", "b", "z", "y")


def test_a_dense_network_without_its_auxiliary_heads_comes_back(tmp_path):
    x, labels = inputs("auxiliary", batch=10, dtype=torch.float32), torch.arange(10) % 5
    parts = [
        disassemble(
            build("auxiliary", seed=seed, dtype=torch.float32), [(x, labels)], classes=[4, seed], sampling="all"
        )
        for seed in (1, 2)
    ]
    whole = assemble(parts, layout="padded")
    back = check(whole, tmp_path, x, factory={"padded": lambda: build("auxiliary", seed=7, dtype=torch.float32)})
    assert isinstance(back.padded.module.auxiliary, Absent)
    back.train()(x).sum().backward()
