"""Every verb says how its result does beside what it was made of, as data and, where that is doubtful, as a warning."""

import copy
import warnings

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.disassembly import judging
from model_lego.parts.verdict import DoubtfulResult, Verdict
from model_lego.training import TrainingSettings, finetuning
from model_lego.verdicts.judging import Basis, by_hits, judge

GENERATOR = torch.Generator().manual_seed(5)


def blobs(count=90, classes=3, noise=0.05, seed=1):
    """Images of 3 x 8 x 8 pixels, each class bright in a colour of its own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    images = noise * torch.rand(count, 3, 8, 8, generator=generator)
    images[torch.arange(count), labels] += 0.5
    return [(images[start : start + 30], labels[start : start + 30]) for start in range(0, count, 30)]


def colours(gain=1.0):
    """A network that is always right about them, with six channels that read and three that are of no use."""
    conv, linear = nn.Conv2d(3, 9, 1), nn.Linear(9, 3)
    with torch.no_grad():
        conv.weight.copy_(0.01 * torch.randn(9, 3, 1, 1, generator=GENERATOR))
        conv.bias.zero_()
        linear.weight.copy_(0.01 * torch.randn(3, 9, generator=GENERATOR))
        linear.bias.zero_()
        for number in range(3):
            conv.weight[number, number] = 1.0
            linear.weight[number, number] = gain
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear).eval()


def test_a_component_says_how_its_source_does_on_images_that_its_repair_did_not_see():
    component = ml.disassemble(colours(), blobs(1800), classes=[0, 2], thresholds=ml.Thresholds())
    verdict = component.verdict
    assert (verdict.own, verdict.theirs, verdict.lost) == (100.0, 100.0, 0.0)
    assert verdict.interval[0] < 0 < verdict.interval[1] < 2.0
    assert (verdict.images, verdict.held_out, verdict.classes) == (200, True, 2)  # of 1,200 in all
    assert 450 < verdict.fitted <= 500
    assert verdict.concerns == ()
    assert "its source over the same classes 100.0 %" in str(component)


def test_where_all_images_go_into_the_repair_a_twin_is_judged():
    verdict = ml.disassemble(colours(), blobs(90), classes=[0, 1, 2], thresholds=ml.Thresholds()).verdict
    assert (verdict.images, verdict.held_out, verdict.fitted) == (18, True, 30)


def test_a_twin_is_repaired_with_no_more_images_than_a_search_tries(monkeypatch):
    counts, repair_cut = [], judging.repair_cut
    monkeypatch.setattr(judging, "TRIED", 20)
    monkeypatch.setattr(
        judging,
        "repair_cut",
        lambda cut, images, *a, **k: [counts.append(len(images)), repair_cut(cut, images, *a, **k)][1],
    )
    verdict = ml.disassemble(colours(), blobs(90), classes=[0, 1, 2], thresholds=ml.Thresholds()).verdict
    assert counts == [20]
    assert (verdict.images, verdict.fitted) == (18, 30)


def test_images_of_a_calibration_of_their_own_are_not_judged_by():
    calibration = blobs(30, seed=7)
    given = {"calibration": calibration, "thresholds": ml.Thresholds()}
    verdict = ml.disassemble(colours(), blobs(600), classes=[0, 1], **given).verdict
    assert (verdict.images, verdict.fitted) == (400, 10)


def test_a_single_class_is_judged_by_the_area_of_its_logit():
    verdict = ml.disassemble(colours(), blobs(300), classes=[1], thresholds=ml.Thresholds()).verdict
    assert (verdict.measure, verdict.classes) == ("AUROC", 1)
    assert (verdict.own, verdict.theirs) == (100.0, 100.0)
    only = [(images[labels == 1], labels[labels == 1]) for images, labels in blobs(300)]
    assert (
        ml.disassemble(colours(), only, classes=[1], thresholds=ml.Thresholds()).verdict is None
    )  # there is nothing to tell it from


def crippled(component):
    """A component whose logits say nothing."""
    with torch.no_grad():
        for parameter in component.module.parameters():
            parameter.zero_()
    return component


def test_a_component_far_behind_is_warned_of_with_what_to_try():
    two_channels = ml.Budget(params=0.3)  # for three classes
    with pytest.warns(DoubtfulResult, match=r"points behind its source over the same classes; try budget=Bud"):
        made = ml.disassemble(colours(), blobs(600), classes=[0, 1, 2], budget=two_channels, repair="none")
    assert made.verdict.lost > 20
    assert made.verdict.concerns[0].command == "--budget drop=1"


def test_a_source_that_does_not_know_its_images_is_warned_of():
    wrong = [(images, (labels + 1) % 3) for images, labels in blobs(600)]
    with pytest.warns(DoubtfulResult, match="as if these were not its images, classes or weights; try class_names"):
        ml.disassemble(colours(), wrong, classes=[0, 1, 2], sampling="all")


def test_a_component_that_saves_nothing_is_warned_of():
    with pytest.warns(DoubtfulResult, match=r"keeps 100.0 % of its source: nothing is saved .* try a budget of size"):
        made = ml.compress(colours(), blobs(600), ml.Budget(params=1.0))
    assert made.verdict.kept == 100.0


def test_few_images_are_warned_of():
    with pytest.warns(DoubtfulResult, match="fitted to 5 images of a class, where 20 are few"):
        ml.disassemble(colours(), blobs(15), classes=[0, 1, 2], thresholds=ml.Thresholds())


def test_a_good_part_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assembly = ml.assemble(pair(), calibration=blobs(150))
        small = ml.compress(colours(), blobs(900), ml.Budget(params=0.9))
    assert (assembly.verdict.lost, small.verdict.lost) == (0.0, 0.0)


def pair():
    names = ["red", "green", "blue"]
    first = ml.disassemble(
        colours(), blobs(900), classes=["red", "green"], class_names=names, thresholds=ml.Thresholds()
    )
    return first, ml.disassemble(
        colours(3.0), blobs(900), classes=["blue"], class_names=names, thresholds=ml.Thresholds()
    )


def test_an_assembly_is_judged_beside_its_parts_by_cross_validation():
    assembly = ml.assemble(pair(), calibration=blobs(150))
    assert (assembly.verdict.own, assembly.verdict.theirs, assembly.verdict.images) == (100.0, 100.0, 150)
    assert (assembly.verdict.held_out, assembly.verdict.fitted, assembly.verdict.making) == (True, 50, "joined")
    assert "its parts (each on its own classes) 100.0 %" in str(assembly)
    assert ml.assemble(pair()).verdict is None


def test_an_assembly_far_behind_its_parts_is_warned_of():
    first, second = pair()
    black = [(0 * images, labels) for images, labels in blobs(150)]
    with pytest.warns(DoubtfulResult, match=r"behind its parts \(each on its own classes\); try more calibration"):
        made = ml.assemble([first, crippled(second)], calibration=black)
    assert made.verdict.lost > 2


def test_removing_a_class_is_judged_beside_what_was_there():
    part = ml.disassemble(colours(), blobs(900), classes=[0, 1, 2], thresholds=ml.Thresholds())
    less = ml.remove_classes(part, [1], blobs(900))
    assert less.verdict.reference == "what it was before (over the same classes)"
    assert (less.verdict.classes, less.verdict.lost) == (2, 0.0)
    assert ml.remove_classes(part, [1]).verdict is None
    of_network = ml.remove_classes(colours(), [1], blobs(900))
    assert of_network.verdict.reference == "its source over the same classes"


def test_a_training_is_judged_beside_what_was_there_and_beside_its_teacher():
    part = ml.disassemble(colours(), blobs(900), classes=[0, 2], thresholds=ml.Thresholds())
    names = [f"{label}" for label in range(3)]
    settings = TrainingSettings(epochs=1, learning_rate=0.001, crop=0, flip=False)
    known = {"class_names": component_names(part, names)}
    tuned = ml.finetune(part, blobs(90), settings, **known)
    assert (tuned.verdict.making, tuned.verdict.reference) == ("trained", "what it was before")
    assert (tuned.verdict.held_out, tuned.verdict.images, tuned.verdict.lost) == (False, 60, 0.0)
    taught = ml.distill(colours(), part, blobs(90), settings, **known)
    assert taught.verdict.reference == "its teacher over the same classes"
    assert ml.distill(colours(), part, blobs(90), settings, hard=0).verdict is None  # nothing says what is right


def component_names(part, names):
    """Names of the label numbers, those of the part at their labels."""
    known = list(names)
    for name, label in zip(part.classes, part.labels, strict=True):
        known[label] = name
    return known


def test_a_training_that_does_harm_is_warned_of(monkeypatch):
    part = ml.disassemble(colours(), blobs(900), classes=[0, 2], thresholds=ml.Thresholds())

    def harm(goal, *_, **__):
        for parameter in goal.network.parameters():
            parameter.data.zero_()

    monkeypatch.setattr(finetuning, "fit", harm)
    with pytest.warns(DoubtfulResult, match="points behind what it was before; try a smaller learning rate"):
        ml.finetune(part, blobs(90), class_names=component_names(part, ["0", "1", "2"]))


def test_a_verdict_is_saved_with_its_part(tmp_path):
    part = ml.disassemble(colours(), blobs(300), classes=[0, 2], thresholds=ml.Thresholds())
    ml.save(part, tmp_path / "part")
    assert ml.load(tmp_path / "part", factory=colours).verdict == part.verdict


def test_the_interval_is_that_of_paired_answers():
    right, theirs = torch.tensor([1] * 80 + [0] * 20).bool(), torch.tensor([1] * 90 + [0] * 10).bool()
    verdict = by_hits(right, theirs, 4, Basis("cut", "its source", held_out=True))
    low, high = verdict.interval
    assert verdict.lost == pytest.approx(10.0)
    assert 3.0 <= low < 10.0 < high <= 16.5
    assert by_hits(right[:0], theirs[:0], 4, Basis("cut", "its source", held_out=True)) is None


def test_images_of_other_classes_do_not_count_where_there_are_several():
    images, places = torch.eye(4)[:, :, None, None], torch.tensor([0, 1, -1, -1])
    verdict = judge(
        lambda x: x[:, :2, 0, 0], lambda x: x[:, :2, 0, 0], images, places, Basis("cut", "it", held_out=True)
    )
    assert (verdict.images, verdict.own) == (2, 100.0)


@pytest.mark.parametrize(
    ("classes", "theirs", "doubtful"),
    [(3, 90.6, False), (3, 68.4, True), (3, 28.1, True), (1000, 70.0, False), (1, 60.0, True)],
)
def test_when_a_source_is_doubted(classes, theirs, doubtful):
    verdict = Verdict("cut", "its source", classes, theirs, theirs, (0.0, 0.0), 500, held_out=True, fitted=100)
    assert bool(verdict.concerns) == doubtful


@pytest.mark.parametrize(("repair", "count"), [("none", 600), ("ridge", 1800), ("ridge", 90)])
def test_a_network_in_training_mode_is_judged_in_eval_mode_and_its_component_is_left_alone(repair, count):
    def network():
        first = colours()
        return nn.Sequential(first[0], nn.BatchNorm2d(9), nn.Dropout2d(0.5), *first[1:])

    source = network().eval()
    trained = copy.deepcopy(source).train()
    one, other = (
        ml.disassemble(each, blobs(count), classes=[0, 1], repair=repair, thresholds=ml.Thresholds())
        for each in (source, trained)
    )
    assert other.verdict == one.verdict
    torch.testing.assert_close(other.module.state_dict(), one.module.state_dict(), rtol=0, atol=0)
    assert all(module.training for module in other.module.modules())
