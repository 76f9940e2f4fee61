"""Fine-tuning: what is trained, that the given part stays, that it can be interrupted, what is refused."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model_lego import TrainingSettings, assemble, finetune, load, save
from model_lego.errors import BadBatches, BadConfig, EmptySelection, ShapeMismatch, UnknownClass
from model_lego.parts.component import Component
from model_lego.parts.preprocessing import Preprocessing
from tests.support.components import batch, pair, pixel_part, random_batch, tiny_part
from tests.support.tiny_models import build, inputs

QUICK = TrainingSettings(epochs=3, batch_size=8, learning_rate=0.05, schedule="cosine", crop=0, flip=False)


def state(part):
    return {name: tensor.clone() for name, tensor in part.state_dict().items()}


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def examples(classes, *, count=48, name="plain"):
    """Images of a class have a mean of their own."""
    labels = torch.arange(count) % classes
    x = inputs(name, batch=count, seed=4) * 0.5 + (labels - (classes - 1) / 2).reshape(-1, 1, 1, 1)
    return list(zip(x.split(10), labels.split(10), strict=True))


def two(name="plain", **options):
    return [
        tiny_part(name, seed=seed, names=names, logits=(0, 1), **options) for seed, names in enumerate(("ab", "cd"))
    ]


def loss_of(part, batches):
    with torch.no_grad():
        return sum(F.cross_entropy(part(x), labels, reduction="sum") for x, labels in batches).item()


@pytest.mark.parametrize("make", [
    lambda: tiny_part("plain", seed=0),
    lambda: assemble(two()),
    lambda: assemble(two(), layout="padded"),
    lambda: assemble(two(), calibration=examples(4), head="ridge"),
], ids=["component", "parallel", "padded", "head on features"])  # fmt: skip
def test_a_copy_learns_and_the_part_stays(make):
    part = make()
    batches = examples(len(part.classes))
    part.train()
    given, modes, noise = state(part), [m.training for m in part.modules()], torch.get_rng_state()
    tuned = finetune(part, batches, QUICK)
    assert same(state(part), given)
    assert [m.training for m in part.modules()] == modes
    assert "finetuned" not in getattr(part, "settings", {})
    assert torch.equal(torch.get_rng_state(), noise)
    assert type(tuned) is type(part)
    assert not any(m.training for m in tuned.modules())
    assert loss_of(tuned, batches) < 0.8 * loss_of(part.eval(), batches)
    assert same(state(tuned), state(finetune(part, batches, QUICK)))
    assert state(tuned).keys() == given.keys()
    assert {name for name, _ in tuned.named_parameters()} == {name for name, _ in part.named_parameters()}


def test_one_step_is_that_of_the_gradient():
    """A part of one number g, whose logits are g times two pixels: the derivative of the loss in closed form."""
    part = pixel_part("ab", 0, 1)
    x, labels = batch([[1.0, -0.5, 0, 0], [0.2, 0.8, 0, 0], [-1.0, 0.3, 0, 0]], [0, 1, 0])
    settings = TrainingSettings(
        epochs=1, batch_size=3, learning_rate=0.1, momentum=0, weight_decay=0, schedule="cosine", crop=0, flip=False
    )
    tuned = finetune(part, [(x, labels)], settings)
    pixels = x.flatten(1)[:, :2]
    wrong = torch.tensor([1, 0, 1])  # the other class of each
    apart = pixels[range(3), labels] - pixels[range(3), wrong]
    slope = -(apart / (1 + apart.exp())).mean()  # of log(1 + exp(-g apart)) at g = 1
    assert tuned.module.gain.item() == pytest.approx(1 - 0.1 * slope.item(), abs=1e-12)


def test_a_long_gradient_is_shortened():
    x, labels = batch([[9.0, -9, 0, 0]] * 2, [1, 1])
    settings = TrainingSettings(
        epochs=1, batch_size=2, learning_rate=0.1, momentum=0, weight_decay=0, schedule="cosine", crop=0, flip=False
    )
    moved = {}
    for clip in (0.0, 0.5, 1000.0):
        tuned = finetune(pixel_part("ab", 0, 1), [(x, labels)], replace(settings, clip=clip))
        moved[clip] = 1 - tuned.module.gain.item()
    assert moved == pytest.approx({0.0: 1.8, 0.5: 0.05, 1000.0: 1.8}, rel=1e-5)  # the slope is 18 to seven digits


def test_weights_between_the_parts_of_a_padded_assembly_grow():
    padded = assemble(two(), layout="padded")
    layer = padded.padded.module[4]  # the second convolution: filters of both parts, which read maps of both
    apart = layer.weight == 0
    assert 0.2 < apart.double().mean() < 0.8  # the blocks off the diagonal
    tuned = finetune(padded, examples(4), QUICK)
    grown = tuned.padded.module[4].weight[apart]
    assert (grown != 0).double().mean() > 0.9
    assert grown.abs().max() > 1e-3
    assert bool((padded.padded.module[4].weight[apart] == 0).all())


def test_all_parts_of_a_parallel_assembly_and_its_matrix_are_trained_together():
    assembly = assemble(two(), calibration=examples(4), head="affine")
    tuned = finetune(assembly, examples(4), QUICK)
    moved = {
        name for name, tensor in tuned.state_dict().items() if not torch.equal(tensor, assembly.state_dict()[name])
    }
    assert {"parts.0.module.0.weight", "parts.1.module.0.weight", "head.weight", "head.shift"} <= moved
    assert dict(tuned.head.named_parameters()) == {}  # buffers again
    plain = finetune(assemble(two()), examples(4), QUICK)
    assert torch.equal(plain.head.weight, torch.ones(4, dtype=torch.float64))


def test_what_takes_no_gradient_stays():
    part = tiny_part("plain", seed=0)
    part.module[0].requires_grad_(False)
    tuned = finetune(part, examples(2), QUICK)
    assert torch.equal(tuned.module[0].weight, part.module[0].weight)
    assert not torch.equal(tuned.module[4].weight, part.module[4].weight)


def test_the_origin_tells_of_every_fine_tuning():
    part = tiny_part("plain", seed=0)
    once = finetune(part, examples(2), QUICK)
    twice = finetune(once, examples(2, count=20), TrainingSettings(epochs=1, batch_size=5, learning_rate=0.01, seed=7))
    assert "finetuned" not in part.origin.settings
    first, second = twice.origin.settings["finetuned"]
    assert [first] == once.origin.settings["finetuned"]
    assert (first["epochs"], first["seed"], first["images"], second["seed"], second["images"]) == (3, 0, 48, 7, 20)
    assert len(first["images_digest"]) == 64 != second["images_digest"]
    assembly = finetune(assemble(two()), examples(4), QUICK)
    assert assembly.settings["finetuned"] == assembly.parts[1].origin.settings["finetuned"]


def test_saved_and_loaded_it_is_the_same(tmp_path):
    for number, layout in enumerate(("parallel", "padded")):
        tuned = finetune(assemble(two(), layout=layout, calibration=examples(4), head="affine"), examples(4), QUICK)
        save(tuned, tmp_path / str(number))
        found = load(tmp_path / str(number), factory=lambda: build("plain"))
        x = inputs("plain", batch=3, seed=8)
        assert torch.equal(found(x), tuned(x))
        assert found.settings["finetuned"] == tuned.settings["finetuned"]


def test_classes_are_found_by_name():
    part = pixel_part("ba", 0, 1)
    x, labels = random_batch(40, seed=0, classes=2)
    by_place = finetune(part, [(x, labels)], QUICK)
    by_name = finetune(part, [(x, torch.tensor([3, 1])[labels])], QUICK, class_names=["x", "a", "y", "b"])
    assert same(state(by_place), state(by_name))
    others = (torch.cat([x, 5 * x]), torch.cat([torch.tensor([3, 1])[labels], 2 * labels]))  # of x and y: left out
    with_others = finetune(part, [others], QUICK, class_names=["x", "a", "y", "b"])
    assert with_others.origin.settings["finetuned"] == by_place.origin.settings["finetuned"]


def test_with_none_of_these_other_images_are_of_that_class():
    assembly = assemble(pair(), calibration=[random_batch(80, seed=0)], outsiders=0.1, head="affine")
    x, labels = random_batch(40, seed=1)
    other = batch(torch.zeros(20, 4).double(), torch.full((20,), 4))
    tuned = finetune(assembly, [(x, labels), other], QUICK, class_names=[*"abcd", "strange"])
    assert tuned.settings["finetuned"][0]["images"] == 60
    shown = other[0]
    with torch.no_grad():
        assert F.cross_entropy(tuned(shown), other[1]) < F.cross_entropy(assembly(shown), other[1])


class StoppedError(Exception):
    pass


@pytest.mark.parametrize(
    ("layout", "at"), [("parallel", 6), ("padded", 2), ("padded", 13)]
)  # of 18 steps, six an epoch
def test_stopped_anywhere_it_ends_in_the_same_part(tmp_path, layout, at):
    part = assemble(two(), layout=layout, calibration=examples(4), head="affine")
    expected = finetune(part, examples(4), QUICK)

    def stop(what, done, total):
        if (what, done) == ("fine-tuning", at):
            assert total == 18
            raise StoppedError

    path = tmp_path / "state.pt"
    with pytest.raises(StoppedError):
        finetune(part, examples(4), QUICK, checkpoint=path, progress=stop)
    done = []
    found = finetune(
        part,
        examples(4),
        QUICK,
        checkpoint=path,
        progress=lambda what, n, _: done.append(n) if what[0] == "f" else None,
    )
    assert done[0] == (at - 1) // 6 * 6 + 1
    assert same(state(expected), state(found))
    for other, batches, words in (
        (tiny_part("plain", seed=0), examples(2), "part differ|digest, part differ|part"),
        (part, examples(4, count=44), "digest, images differ"),
    ):
        with pytest.raises(BadConfig, match=words):
            finetune(other, batches, QUICK, checkpoint=path)


def test_images_are_taken_as_the_part_takes_them():
    normal = Preprocessing((2.0,) * 3, (0.5,) * 3)
    part = tiny_part("plain", seed=0, preprocessing=normal)
    plain = Component(part.module, classes=part.classes, labels=part.labels, origin=part.origin)
    mine = finetune(part, examples(2), QUICK)
    theirs = finetune(plain, [(normal(x), labels) for x, labels in examples(2)], QUICK)
    assert same(state(mine), state(theirs))


def test_what_cannot_be_tuned_is_refused():
    part = pixel_part("ab", 0, 1)
    x, labels = random_batch(8, seed=0, classes=2)
    with pytest.raises(BadConfig, match="can be trained further, not a Linear"):
        finetune(nn.Linear(2, 2), [(x, labels)], QUICK)
    with pytest.raises(BadBatches, match="one-shot"):
        finetune(part, iter([(x, labels)]), QUICK)
    with pytest.raises(ShapeMismatch, match=r"takes \(4, 1, 1\)"):
        finetune(part, [(x[:, :2], labels)], QUICK)
    with pytest.raises(UnknownClass, match="'b'"):
        finetune(part, [(x, labels)], QUICK, class_names=["a", "c"])
    with pytest.raises(EmptySelection, match="no image of the classes a, b"):
        finetune(part, [(x, labels)], QUICK, class_names=["x", "y", "a", "b"])
    with pytest.raises(BadConfig, match="no parameter"):
        finetune(pixel_part("ab", 0, 1).requires_grad_(False), [(x, labels)], QUICK)
