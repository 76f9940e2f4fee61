"""What is evaluated costs: of parts and of other networks, counted in one way."""

import pytest
import torch
from torch import nn

from model_lego import Assembly, TrainingSettings, distillation_gain, evaluate
from model_lego.errors import TraceFailed
from model_lego.evaluation.costs import network_cost
from model_lego.parts.assembly import Head
from model_lego.parts.origin import Cost, total
from model_lego.parts.preprocessing import Preprocessing
from tests.support.pixel_networks import batch, component


class Convolving(nn.Module):
    """One convolution and one linear layer; where it goes on may hang on what it is `told` of the numbers."""

    def __init__(self):
        super().__init__()
        self.first, self.last, self.told = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), lambda x: False

    def forward(self, x):
        if self.told(x):
            raise AssertionError
        return self.last(self.first(x).mean((2, 3)))


def test_a_network_that_is_no_part_is_counted_by_its_operators():
    image = torch.rand(1, 3, 8, 6)
    parameters = 4 * 3 * 9 + 4 + 2 * 4 + 2
    assert network_cost(Convolving(), image) == Cost(parameters, 6 * 4 * 4 * 3 * 9 + 4 * 2, 4 * parameters)
    smaller = network_cost(Convolving().double(), image, Preprocessing(size=(4, 5)))
    assert smaller == Cost(parameters, 2 * 3 * 4 * 3 * 9 + 4 * 2, 8 * parameters)


def test_a_part_is_counted_as_evaluate_counts_it():
    part = component(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), ["a", "b"], channels=4, cost=Cost(0, 80, 0))
    head = Head("affine", torch.eye(2), torch.zeros(2))
    joint = Assembly([part], layout="parallel", classes=["a", "b"], head=head)
    for one in (part, joint):
        row = evaluate(one, [batch([[0, 0, 0, 0]], [0])]).rows[0]
        assert network_cost(one, torch.rand(1, 4, 1, 1)) == Cost(row.parameters, row.macs, row.bytes)


def test_a_network_that_cannot_be_counted_is_refused_before_anything_is_trained():
    student = Convolving()
    student.told = lambda x: bool(x.sum() > 1e9)  # what a number is decides where it goes on
    teacher = component(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, 2)), ["a", "b"], channels=3)
    data = [(torch.rand(4, 3, 4, 4), torch.tensor([0, 1, 0, 1]))]
    before = student.last.weight.clone()
    with pytest.raises(TraceFailed):
        distillation_gain(teacher, student, data, data, TrainingSettings(epochs=1), progress=pytest.fail)
    assert torch.equal(student.last.weight, before)


def test_costs_add_up():
    assert total([Cost(1, 2, 3), Cost(10, 20, 30), Cost(100, 200, 300)]) == Cost(111, 222, 333)
    assert total([]) == Cost(0, 0, 0)
