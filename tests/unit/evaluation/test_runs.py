"""evaluate: how networks are run, which images they are given, what is refused."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from model_lego.assembly.assembling import assemble
from model_lego.errors import BadBatches, BadConfig, EmptySelection, ShapeMismatch, UnknownClass
from model_lego.evaluation.evaluating import evaluate
from model_lego.parts.assembly import Head
from model_lego.parts.preprocessing import Preprocessing
from tests.support.components import pixel_part
from tests.support.pixel_networks import BATCH, JOINED, ROWS, WHOSE, Pixels, animals, assembly, batch, pets


def test_images_are_prepared_for_each_network_on_its_own():
    half = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)
    part, bare, own = animals(preprocessing=half), Pixels(0, 1, 2), Pixels(0, 1, 2)
    images = torch.full((1, 3, 1, 1), 0.75, dtype=torch.float64)
    others = [pets(bare, columns=(0, 1, 2)), pets(own, columns=(0, 1, 2), preprocessing=half)]
    evaluate(part, [(images, torch.tensor([0]))], baselines=others)
    assert [model.seen[0].unique().item() for model in (part.module, bare, own)] == [1.0, 0.75, 1.0]
    double = pets(nn.Sequential(nn.Flatten(), nn.Linear(3, 3)).double(), columns=(0, 1, 2))
    evaluate(animals(), [BATCH], baselines=[double])  # runs in a data type of its own


def test_a_part_that_resizes_takes_images_of_any_size():
    part = animals(preprocessing=Preprocessing(size=(1, 1)))
    assert evaluate(part, [(torch.rand(2, 3, 5, 4), torch.tensor([0, 1]))]).rows[0].samples == 2
    assert part.module.seen[0].shape == (2, 3, 1, 1)
    with pytest.raises(ShapeMismatch):
        evaluate(animals(), [(torch.rand(2, 3, 5, 4), torch.tensor([0, 1]))])


def test_one_part_that_does_not_resize_says_which_images_an_assembly_takes():
    resizing = pixel_part("a", 0, shape=(1, 2, 2), preprocessing=Preprocessing(size=(2, 2)))
    fixed = pixel_part("b", 1, shape=(1, 3, 3), preprocessing=Preprocessing())
    for parts in ([resizing, fixed], [fixed, resizing]):
        with pytest.raises(ShapeMismatch, match=r"\(1, 3, 3\)"):
            evaluate(assemble(parts), [(torch.rand(2, 1, 4, 4, dtype=torch.float64), torch.tensor([0, 1]))])


class Counted(list):
    read = 0

    def __iter__(self):
        for pair in super().__iter__():
            self.read += 1
            yield pair


def test_one_pass_in_which_a_network_of_several_contenders_runs_once():
    shared, data = Pixels(0, 1, 2), Counted([BATCH, BATCH])
    twice = [pets(shared, columns=(0, 1, 2), restricted=r) for r in (True, False)]
    evaluate(animals(), data, baselines=twice)
    assert shared.runs == 2
    assert data.read == 2


def test_networks_run_in_eval_mode_and_keep_theirs():
    part, other = animals().train(), Pixels(0, 1, 2).train()
    other.dropout.eval()
    evaluate(part, [BATCH], baselines=[pets(other, columns=(0, 1, 2))])
    assert part.module.modes | other.modes == {False}
    assert [m.training for m in (part, part.module, part.module.dropout, other, other.dropout)] == [True] * 4 + [False]
    with pytest.raises(BadBatches):
        evaluate(part, [BATCH, batch(ROWS, [0, 0, 1, 9])])
    assert part.module.dropout.training
    joint = assembly("parallel", Head.identity(4)).train()
    evaluate(joint, [batch(JOINED, WHOSE)])
    assert all(module.training for module in joint.modules())


def test_how_samples_are_batched_does_not_matter():
    images, labels = batch(JOINED, WHOSE)
    joint, singles = assembly("parallel", Head.identity(4)), list(zip(images.split(1), labels.split(1), strict=True))
    assert repr(evaluate(joint, singles)) == repr(evaluate(joint, [(images, labels)]))  # NaN equals nothing
    part, singles = animals(), list(zip(BATCH[0].split(1), BATCH[1].split(1), strict=True))
    assert repr(evaluate(part, singles)) == repr(evaluate(part, [BATCH]))


def test_refusals():
    images, _ = BATCH
    with pytest.raises(BadBatches, match="label 3 of batch 0 is out of range: there are 3 classes"):
        evaluate(animals(), [(images, torch.tensor([0, 1, 2, 3]))])
    with pytest.raises(BadBatches, match="one-shot"):
        evaluate(animals(), (pair for pair in [BATCH]))
    with pytest.raises(EmptySelection, match="no sample of the classes cat, dog, owl among 4 samples"):
        evaluate(animals(), [(images, torch.full((4,), 3))], class_names=["cat", "dog", "owl", "fox"])
    with pytest.raises(UnknownClass, match="'owl'; did you mean owls"):
        evaluate(animals(), [BATCH], class_names=["cat", "dog", "owls"])
    with pytest.raises(BadConfig, match="'other' has 2 columns, but the part has 3 classes"):
        evaluate(animals(), [BATCH], baselines=[pets(Pixels(0, 1, 2))])
    with pytest.raises(BadConfig, match="'other' has 3 outputs and none number 3"):
        evaluate(animals(), [BATCH], baselines=[pets(Pixels(0, 1, 2), columns=(0, 1, 3))])
    with pytest.raises(BadConfig, match="not a Pixels"):
        evaluate(Pixels(0), [BATCH])


def test_the_library_for_scores_is_imported_only_when_it_is_used():
    code = "import sys, model_lego.evaluation.evaluating; sys.exit('torchmetrics' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False)
    assert done.returncode == 0
