"""The benchmark of photographs: what belongs to which phase, and which images are taken."""

import torch

from benchmarks.coverage.memory import Memory
from benchmarks.photos import Phases, held
from model_lego.data import ImageSet


def test_time_and_memory_belong_to_the_phase_in_which_they_were_taken():
    phases = Phases(Memory())
    for what, done in (("reading", 1), ("reading", 2), ("fitting", 1), ("reading", 1), ("the end", 0)):
        phases(what, done, None)
    assert list(phases.seconds) == list(phases.peak) == ["reading the network", "reading", "fitting"]
    assert all(passed >= 0 for passed in phases.seconds.values())


def test_images_are_taken_of_all_classes_in_turn_and_repeated():
    labels = torch.tensor([7, 7, 7, 3, 3])
    images = ImageSet(labels, lambda number: torch.full((3, 2, 2), number / 255), torch.arange(5))
    ((some, answers),) = held(images, 6)
    assert answers.tolist() == [3, 7, 3, 7, 3, 7]
    assert some[:, 0, 0, 0].tolist() == [3, 0, 4, 1, 3, 0]
