"""Distillation: the loss against the formula, who may teach whom, what is noted, what a student gains."""

import math

import pytest
import torch
from torch import nn

from model_lego import Assembly, Component, TrainingSettings, assemble, distill, distillation_gain
from model_lego.disassembly.disassembling import whole
from model_lego.errors import BadBatches, BadConfig, ShapeMismatch, UnknownClass
from model_lego.parts.preprocessing import Preprocessing
from tests.support.components import batch, pair, pixel_part, random_batch, tiny_part
from tests.support.tiny_models import build, inputs
from tests.unit.training.test_finetuning import QUICK, StoppedError, examples, same, state, two

STEP = {"momentum": 0.0, "weight_decay": 0.0, "schedule": "cosine", "crop": 0, "flip": False}
ONE = TrainingSettings(epochs=1, batch_size=3, learning_rate=0.01, **STEP)
X, LABELS = batch([[1.0, -0.5, 0.3, 0], [0.2, 0.8, -0.4, 0], [-1.0, 0.3, 0.9, 0]], [0, 1, 0])


def softmax(row):
    powers = [math.exp(value) for value in row]
    return [value / sum(powers) for value in powers]


def expected_loss(g, temperature, hard):
    """Of a student whose logits are g times pixels 0 and 1, towards a teacher that gives pixels 2 and 0."""
    total = 0.0
    for row, label in zip(X.flatten(1).tolist(), LABELS.tolist(), strict=True):
        student = softmax([g * row[0] / temperature, g * row[1] / temperature])
        teacher = softmax([row[2] / temperature, row[0] / temperature])
        divergence = sum(t * math.log(t / s) for t, s in zip(teacher, student, strict=True))
        right = softmax([g * row[0], g * row[1]])[label]
        total += (1 - hard) * temperature**2 * divergence - hard * math.log(right)
    return total / len(LABELS)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("hard", [0.0, 0.3, 1.0])
def test_a_step_goes_down_the_published_loss(temperature, hard):
    student, teacher = pixel_part("ab", 0, 1), pixel_part("ab", 2, 0)
    taught = distill(teacher, student, [(X, LABELS)], ONE, temperature=temperature, hard=hard)
    h = 1e-6
    slope = (expected_loss(1 + h, temperature, hard) - expected_loss(1 - h, temperature, hard)) / (2 * h)
    assert taught.module.gain.item() == pytest.approx(1 - 0.01 * slope, abs=1e-9)
    assert (student.module.gain.item(), teacher.module.gain.item()) == (1, 1)


class Linear(nn.Module):
    """Two linear layers; the features are what the second reads."""

    def __init__(self, width, *, seed, classes=2):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Linear(4, width, dtype=torch.float64)
            self.last = nn.Linear(width, classes, dtype=torch.float64)

    def forward(self, x):
        return self.last(torch.relu(self.first(x.flatten(1))))


def as_part(network, classes="ab"):
    return whole(network, torch.zeros(2, 4, 1, 1, dtype=torch.float64), classes=list(classes))


def test_features_come_closer_to_the_teachers_by_a_map_that_is_thrown_away():
    teacher, student = as_part(Linear(6, seed=0)), Linear(3, seed=1)
    x, labels = random_batch(60, seed=0, classes=2)
    settings = TrainingSettings(epochs=30, batch_size=20, learning_rate=0.05, **STEP | {"momentum": 0.9})

    def left(network):
        """Share of the teacher's features that no linear map of a network's features explains."""
        with torch.no_grad():
            own = torch.relu(network.first(x.flatten(1)))
            wanted = torch.relu(teacher.module.first(x.flatten(1)))
        given = torch.cat([own, torch.ones(len(x), 1, dtype=torch.float64)], 1)
        rest = wanted - given @ torch.linalg.lstsq(given, wanted).solution
        return (rest.square().sum() / wanted.square().sum()).item()

    plain = distill(teacher, student, [(x, labels)], settings)
    guided = distill(teacher, student, [(x, labels)], settings, features=5.0)
    assert left(guided) < left(student) * 0.9
    assert left(guided) < left(plain)
    assert state(guided).keys() == state(student).keys()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)  # the map starts from the seed of the settings, not from the global state
        assert same(state(guided), state(distill(teacher, student, [(x, labels)], settings, features=5.0)))


@pytest.mark.parametrize("head", ["concat", "affine", "ridge"])
@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_an_assembly_teaches_a_smaller_network(layout, head):
    teacher = assemble(two(), layout=layout, calibration=examples(4), head=head)
    teacher.train()
    student = build("plain_nobn", seed=3)
    torch.manual_seed(0)
    student[9] = nn.Linear(14, 4, dtype=torch.float64)
    given, before, noise = state(teacher), state(student), torch.get_rng_state()
    taught = distill(teacher, student, examples(4), QUICK, temperature=4.0, hard=0.1, features=0.5)
    assert same(state(teacher), given)
    assert teacher.training
    assert same(state(student), before)
    assert torch.equal(torch.get_rng_state(), noise)
    assert not taught.training
    x = torch.cat([x for x, _ in examples(4)])
    teacher.eval()

    def apart(network):
        with torch.no_grad():
            return (network(x).softmax(1) - teacher(x).softmax(1)).square().sum()

    assert apart(taught) < 0.8 * apart(student)


def test_unlabelled_images_do_where_labels_do_not_count():
    teacher, student = pixel_part("ab", 2, 0), pixel_part("ab", 0, 1)
    by_pairs = distill(teacher, student, [(X, LABELS)], ONE, hard=0.0)
    assert same(state(by_pairs), state(distill(teacher, student, [X], ONE, hard=0.0)))
    assert same(state(by_pairs), state(distill(teacher, student, [(X, LABELS + 40)], ONE, hard=0.0)))
    with pytest.raises(BadBatches, match="not a pair"):
        distill(teacher, student, [X], ONE)


def test_a_component_learns_from_its_source_and_parts_find_classes_by_name():
    source = build("plain", seed=0)
    normal = Preprocessing((1.0,) * 3, (2.0,) * 3)
    component = tiny_part("plain", seed=0, logits=(3, 1), names="du", preprocessing=normal)
    x = inputs("plain", batch=64, seed=1)
    taught = distill(source, component, [(x, x[:, 0, 0, 0].long() * 0)], QUICK, hard=0.0, temperature=1.0)

    def apart(part):
        with torch.no_grad():
            wanted = source((x - 1) / 2)[:, [3, 1]]
            return (wanted.softmax(1) - part(x).softmax(1)).abs().mean()

    assert apart(taught) < 0.8 * apart(component)
    swapped = distill(pixel_part("xba", 3, 0, 2), pixel_part("ab", 0, 1), [(X, LABELS)], ONE)
    straight = distill(pixel_part("ab", 2, 0), pixel_part("ab", 0, 1), [(X, LABELS)], ONE)
    assert same(state(swapped), state(straight))


def test_the_student_tells_of_its_lesson():
    teacher, student = pixel_part("ab", 2, 0), pixel_part("ab", 0, 1)
    taught = distill(teacher, student, [(X, LABELS)], ONE, temperature=2.0, hard=0.25)
    (record,) = taught.origin.settings["distilled"]
    assert (record["temperature"], record["hard"], record["features"], record["images"]) == (2.0, 0.25, 0.0, 3)
    assert len(record["teacher_digest"]) == 64
    assert student.origin.settings == {}


@pytest.mark.parametrize("features", [0.0, 1.0])
def test_stopped_it_ends_in_the_same_student(tmp_path, features):
    teacher, student = as_part(Linear(6, seed=0)), Linear(3, seed=1)
    given = [random_batch(24, seed=0, classes=2)]
    expected = distill(teacher, student, given, QUICK, features=features)

    def stop(what, done, total):
        if (what, done, total) == ("distilling", 7, 9):
            raise StoppedError

    path = tmp_path / "state.pt"
    with pytest.raises(StoppedError):
        distill(teacher, student, given, QUICK, features=features, checkpoint=path, progress=stop)
    found = distill(teacher, student, given, QUICK, features=features, checkpoint=path)
    assert same(state(expected), state(found))
    with pytest.raises(BadConfig, match="temperature differ"):
        distill(teacher, student, given, QUICK, features=features, temperature=3.0, checkpoint=path)
    with pytest.raises(BadConfig, match="teacher differ"):
        distill(as_part(Linear(6, seed=5)), student, given, QUICK, features=features, checkpoint=path)


def test_the_gain_is_measured_against_the_same_student_alone():
    teacher, student = as_part(Linear(8, seed=0, classes=4), "abcd"), Linear(4, seed=1, classes=4)
    train, test = [random_batch(40, seed=0)], [random_batch(80, seed=1)]
    gain = distillation_gain(teacher, student, train, test, QUICK, temperature=2.0)
    assert [row.name for row in gain.report.rows] == ["component", "alone", "teacher"]
    assert same(state(gain.taught), state(distill(teacher, student, train, QUICK, temperature=2.0)))
    assert same(state(gain.alone), state(distill(teacher, student, train, QUICK, hard=1.0)))
    x, labels = test[0]
    right = {
        name: 100 * (network(x).argmax(1) == labels).double().mean().item()
        for name, network in (("component", gain.taught), ("alone", gain.alone), ("teacher", teacher))
    }
    assert {row.name: row.accuracy for row in gain.report.rows} == pytest.approx(right)
    assert gain.points == pytest.approx(right["component"] - right["alone"])
    assert gain.report.row("alone").macs == gain.report.rows[0].macs == 4 * 4 + 4 * 4
    assert str(gain).endswith(f"{gain.points:+.1f} points")


def test_no_test_image_is_said_before_anything_is_trained():
    teacher, student = as_part(Linear(8, seed=0, classes=4), "abcd"), Linear(4, seed=1, classes=4)
    with pytest.raises(BadBatches, match="the batches are empty"):
        distillation_gain(teacher, student, [random_batch(40, seed=0)], [], QUICK)


def test_parts_as_students_stay_parts():
    train, test = [random_batch(40, seed=0)], [random_batch(40, seed=1)]
    gain = distillation_gain(assemble(pair()), assemble(pair()), train, test, QUICK)
    assert isinstance(gain.taught, Assembly)
    assert gain.report.rows[0].name == "assembly"
    single = distillation_gain(
        pixel_part("abcd", 1, 0, 2, 3), pixel_part("ab", 0, 1), train, test, QUICK, class_names=list("abcd")
    )
    assert isinstance(single.taught, Component)
    assert single.report.row("teacher").accuracy < 50  # its logits of a and b are the wrong way round


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"temperature": 0.0}, "temperature 0.0 has to be more than 0"),
        ({"hard": 1.5}, "hard 1.5 is the labels' share"),
        ({"features": -1.0}, "features -1.0"),
        ({"features": 1.0}, "student's features cannot be had"),
        ({"features": 1.0, "settings": TrainingSettings(compile=True)}, "compiled"),
    ],
)
def test_lessons_that_make_no_sense_are_refused(more, words):
    with pytest.raises(BadConfig, match=words):
        distill(pixel_part("ab", 2, 0), pixel_part("ab", 0, 1), [(X, LABELS)], **more)


def test_pairs_that_do_not_go_together_are_refused():
    part, given = pixel_part("ab", 0, 1), [(X, LABELS)]
    with pytest.raises(BadConfig, match="what its classes are"):
        distill(Linear(3, seed=0), Linear(3, seed=1), given, ONE)
    with pytest.raises(UnknownClass, match="teacher has no class 'c'"):
        distill(part, pixel_part("ac", 0, 1), given, ONE)
    with pytest.raises(ShapeMismatch, match="student gives \\(3,\\) numbers"):
        distill(part, Linear(3, seed=0, classes=3), given, ONE)
    with pytest.raises(ShapeMismatch, match="teacher gives \\(1,\\) numbers"):
        distill(Linear(3, seed=0, classes=1), part, given, ONE)
    with pytest.raises(ShapeMismatch, match="student does not take images"):
        distill(part, build("plain", seed=0), given, ONE)
    with pytest.raises(BadConfig, match="teacher of an assembly"):
        distill(Linear(3, seed=0, classes=4), assemble(pair()), given, ONE)
    with pytest.raises(BadConfig, match="nothing to compare"):
        distillation_gain(part, part, given, given, ONE, hard=1.0)
