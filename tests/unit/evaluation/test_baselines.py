"""baselines and ensemble: what they keep, against sums over the weights; what they leave alone; what they refuse."""

import copy
import functools

import pytest
import torch
from torch import nn
from torchvision.models import DenseNet

from model_lego import Budget, RepairSettings, disassemble, trace
from model_lego.errors import BadBatches, BadConfig, EmptySelection
from model_lego.evaluation.baselines import baselines, ensemble, magnitudes
from model_lego.evaluation.evaluating import evaluate
from model_lego.parts.preprocessing import Preprocessing
from tests.support.tiny_models import build, inputs, randomize_batchnorm

#: A stack; a stream of several writers; blocks that stay equal; weights that are laid out the other way round.
NAMES = ["plain", "residual", "grouped", "shuffle", "transposed_conv"]
EQUAL = ("random", "magnitude")
LABELS = [3, 1]


def data(name, *, batch=60):
    """Images and labels in which no class is rare."""
    images = inputs(name, batch=batch)
    with torch.no_grad():
        logits = build(name)(images)
    return images, ((logits - logits.mean(0)) / logits.std(0)).argmax(1)


@functools.cache
def cut(name, repair="none"):
    images, labels = data(name)
    return disassemble(build(name), [(images, labels)], classes=LABELS, sampling="all", repair=repair)


@functools.cache
def found(name):
    return {contender.name: contender for contender in baselines(cut(name), build(name))}


def shapes(model):
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def strongest(weight, count):
    """Numbers of the rows with the largest sums of absolute values, in their order."""
    sums = [sum(abs(value) for value in row.flatten().tolist()) for row in weight]
    return sorted(sorted(range(len(sums)), key=lambda row: -sums[row])[:count])


@pytest.mark.parametrize("name", NAMES)
def test_random_and_magnitude_cuts_are_as_large_as_the_component(name):
    part = cut(name)
    assert part.origin.cost_after.parameters < part.origin.cost_before.parameters
    for kind in EQUAL:
        assert shapes(found(name)[kind].model) == shapes(part.module)
        assert found(name)[kind].cost == part.origin.cost_after
        assert found(name)[kind].columns == (0, 1)
        assert found(name)[kind].restricted


def test_magnitude_keeps_the_rows_with_the_largest_weights():
    source, kept = build("plain"), found("plain")["magnitude"].model
    last = None
    for place, size in ((0, 1), (4, 1), (9, 9)):  # a channel of the second convolution is 9 inputs of the linear layer
        weight = source[place].weight
        if last is not None:
            columns = [number * size + pixel for number in last for pixel in range(size)]
            weight = weight[:, columns]
        last = strongest(source[place].weight, len(kept[place].weight))
        assert torch.equal(kept[place].weight, weight[last])
    assert torch.equal(kept[11].weight, source[11].weight[LABELS][:, last])
    assert not torch.equal(kept[4].weight, cut("plain").module[4].weight)


def test_a_channel_of_several_writers_has_the_sum_of_their_weights():
    source = build("residual")
    graph = trace(source, inputs("residual"))
    scores = magnitudes(source, graph)
    stem, block, down, last = source[0][0].weight, source[1].b[0].weight, source[2], source[3].b[0].weight
    streams = {
        "1.b.0": (stem, block),
        "2.a.0": (down.a[0].weight,),
        "3.b.0": (down.b[0].weight, down.shortcut[0].weight, last),
    }
    for layer, writers in streams.items():
        expected = sum(weight.detach().abs().sum((1, 2, 3)) for weight in writers)
        torch.testing.assert_close(scores[graph.layer(layer).outputs], expected)


def test_weights_of_a_transposed_convolution_are_read_by_their_outputs():
    source = build("transposed_conv")
    graph = trace(source, inputs("transposed_conv"))
    convolutions = {path: module for path, module in source.named_modules() if isinstance(module, nn.ConvTranspose2d)}
    assert convolutions
    for path, module in convolutions.items():
        expected = module.weight.detach().abs().sum((0, 2, 3))
        torch.testing.assert_close(magnitudes(source, graph)[graph.layer(path).outputs], expected)


def test_a_shared_module_counts_once():
    source = build("shared")
    graph = trace(source, inputs("shared"))
    twice = next(layer.name for layer in graph.layers if "#" in layer.name).split("#")[0]
    outputs = graph.layer(twice).outputs
    weights = {layer.weight for layer in graph.layers if bool(torch.isin(layer.outputs, outputs).any())}
    expected = sum(source.get_parameter(weight).detach().abs().flatten(1).sum(1) for weight in weights)
    torch.testing.assert_close(magnitudes(source, graph)[outputs], expected)


def test_random_is_another_cut_for_another_seed_and_the_same_for_the_same():
    part, source = cut("plain"), build("plain")
    weights = []
    for seed, kinds in ((0, ("random",)), (0, ("magnitude", "random")), (1, ("random",))):
        weights.append(baselines(part, source, kinds=kinds, seed=seed)[-1].model[4].weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", NAMES)
def test_the_head_cut_gives_the_logits_of_the_source(name):
    head, images = found(name)["head"], inputs(name, seed=5)
    torch.testing.assert_close(head.logits(images), build(name)(images)[:, LABELS])
    assert head.cost.parameters < cut(name).origin.cost_before.parameters


def test_the_uncut_source_comes_free_and_restricted():
    for name, restricted in (("source", False), ("restricted", True)):
        contender = found("plain")[name]
        assert (contender.columns, contender.restricted) == ((3, 1), restricted)
        assert contender.cost == cut("plain").origin.cost_before
    images, labels = data("plain")
    logits = build("plain")(images)
    mine = (labels == 3) | (labels == 1)
    names = cut("plain").origin.source_classes
    report = evaluate(cut("plain"), [(images, labels)], class_names=names, baselines=list(found("plain").values()))
    right = (logits.argmax(1) == labels)[mine].double().mean()
    assert report.row("source").accuracy == pytest.approx(100 * float(right))
    right = ((logits[:, 3] > logits[:, 1]) == (labels == 3))[mine].double().mean()
    assert report.row("restricted").accuracy == pytest.approx(100 * float(right))


def test_calibration_gives_cuts_of_equal_size_repaired_too():
    images, labels = data("plain")
    part, source = cut("plain", "ridge"), build("plain")
    every = {c.name: c for c in baselines(part, source, calibration=[(images, labels)])}
    assert list(every) == [
        *("source", "restricted", "random", "random + repair", "magnitude", "magnitude + repair", "head"),
    ]
    mine = images[(labels == 3) | (labels == 1)]
    wanted = source(mine)[:, LABELS]
    for kind in EQUAL:
        bare, repaired = ((every[name].logits(mine) - wanted).square().mean() for name in (kind, f"{kind} + repair"))
        assert repaired < 0.5 * bare
        assert every[f"{kind} + repair"].cost == part.origin.cost_after
        torch.testing.assert_close(every[kind].model.state_dict(), found("plain")[kind].model.state_dict())


def test_a_component_that_was_not_repaired_is_compared_with_cuts_that_are_not():
    contenders = baselines(cut("plain"), build("plain"), calibration=[data("plain")], kinds=EQUAL)
    assert [contender.name for contender in contenders] == ["random", "magnitude"]


def test_the_repair_is_the_components_own_with_as_many_images_of_the_same_draw(monkeypatch):
    monkeypatch.setattr("model_lego.disassembly.judging.CALIBRATION", 12)
    monkeypatch.setattr("model_lego.evaluation.baselines.as_many", lambda graph, kept, scores: kept)
    settings = RepairSettings(strength=0.3, seed=2)
    source, batches = build("plain"), [data("plain")]
    part = disassemble(source, batches, classes=LABELS, sampling="all", repair=settings, seed=7)
    assert part.origin.settings["repair"]["images"] == 12
    _, repaired = baselines(part, source, calibration=batches, kinds=("random",))
    torch.testing.assert_close(repaired.model.state_dict(), part.module.state_dict())


def test_a_component_of_before_blends_is_compared_with_repairs_without_them(monkeypatch):
    monkeypatch.setattr("model_lego.evaluation.baselines.as_many", lambda graph, kept, scores: kept)
    settings = RepairSettings(strength=0.3, seed=2, blend=False)
    source, batches = build("plain"), [data("plain")]
    part = disassemble(source, batches, classes=LABELS, sampling="all", repair=settings, seed=7)
    del part.origin.settings["repair"]["blend"]
    _, repaired = baselines(part, source, calibration=batches, kinds=("random",))
    torch.testing.assert_close(repaired.model.state_dict(), part.module.state_dict())


class PreActivation(nn.Module):
    """Norm and activation in front of each convolution, which has neither a bias nor a norm behind it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.branch = nn.Sequential(
            nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1, bias=False),
            nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 8, 3, padding=1, bias=False),
        )  # fmt: skip
        self.head = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))

    def forward(self, x):
        x = self.stem(x)
        return self.head(x + self.branch(x))


def densenet():
    return DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, bn_size=2, num_classes=5)


@pytest.mark.parametrize("make", [PreActivation, densenet], ids=["pre-activation", "densenet"])
def test_layers_without_a_bias_are_repaired_in_a_baseline_as_in_the_component(make, monkeypatch):
    """A cut that keeps the component's own channels, repaired, is the component: biases that it was given included."""
    monkeypatch.setattr("model_lego.evaluation.baselines.as_many", lambda graph, kept, scores: kept)
    torch.manual_seed(0)
    source = make().double().eval()
    randomize_batchnorm(source, torch.Generator().manual_seed(1))
    images = torch.rand(40, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    batches = [(images, torch.arange(40) % 5)]
    part = disassemble(source, batches, classes=LABELS, sampling="all", budget=Budget(macs=0.5))
    assert part.origin.settings["repair"]["given_biases"]
    _, repaired = baselines(part, source, calibration=batches, kinds=("random",))
    assert repaired.cost == part.origin.cost_after
    torch.testing.assert_close(repaired.model.state_dict(), part.module.state_dict())


def test_nothing_is_changed():
    source, part = build("plain").train(), copy.deepcopy(cut("plain", "ridge"))
    before = copy.deepcopy(source.state_dict()), copy.deepcopy(part.state_dict())
    images, labels = data("plain")
    contenders = baselines(part, source, calibration=[(images, labels)])
    evaluate(part, [(images, labels)], class_names=part.origin.source_classes, baselines=contenders)
    torch.testing.assert_close(
        (dict(source.state_dict()), dict(part.state_dict())), tuple(map(dict, before)), rtol=0, atol=0
    )
    assert source.training
    assert not part.training


def test_preprocessing_is_the_components_own():
    half = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    source, (images, labels) = build("plain"), data("plain")
    part = disassemble(source, [(images, labels)], classes=LABELS, sampling="all", preprocessing=half)
    contenders = baselines(part, source, calibration=[(images, labels)])
    assert {contender.preprocessing for contender in contenders} == {half}
    torch.testing.assert_close(contenders[0].logits(images), source((images - 0.5) / 0.5))
    wanted = source((images - 0.5) / 0.5)[:, [3, 1]]
    torch.testing.assert_close(ensemble([(source, part)]).logits(images), wanted)


def test_an_ensemble_puts_the_logits_of_its_sources_side_by_side():
    images = inputs("plain", seed=2)
    one, other = build("plain"), build("residual")
    joint = ensemble([(other, cut("residual")), (one, cut("plain"))])
    torch.testing.assert_close(joint.logits(images), torch.cat([other(images)[:, LABELS], one(images)[:, LABELS]], 1))
    costs = [cut(name).origin.cost_before for name in ("plain", "residual")]
    assert joint.cost.parameters == sum(cost.parameters for cost in costs)
    assert (joint.cost.macs, joint.cost.bytes) == (sum(c.macs for c in costs), sum(c.bytes for c in costs))
    assert (joint.columns, joint.restricted) == ((0, 1, 2, 3), True)


def test_a_source_of_several_parts_runs_and_counts_once():
    source, runs = build("plain"), []
    source.register_forward_hook(lambda *_: runs.append(1))
    joint = ensemble([(source, cut("plain")), (source, cut("plain"))])
    joint.logits(inputs("plain"))
    assert len(runs) == 1
    assert joint.cost == cut("plain").origin.cost_before
    assert joint.columns == (0, 1)  # both parts have the same classes: the first one's logits count


def test_refusals():
    part, source = cut("plain", "ridge"), build("plain")
    images, labels = data("plain")
    with pytest.raises(BadConfig, match="baseline 'smallest' is unknown; use some of source, restricted, random"):
        baselines(part, source, kinds=("source", "smallest"))
    for act in (lambda wrong: baselines(part, wrong, kinds=("source",)), lambda wrong: ensemble([(wrong, part)])):
        with pytest.raises(BadConfig, match="not the one that this component was cut from"):
            act(build("plain", seed=1))
    with pytest.raises(BadConfig, match="no source"):
        ensemble([])
    with pytest.raises(BadBatches, match="one-shot"):
        baselines(part, source, calibration=iter([(images, labels)]))
    with pytest.raises(EmptySelection, match="no calibration image"):
        baselines(part, source, calibration=[(images, torch.zeros_like(labels))], kinds=EQUAL)
