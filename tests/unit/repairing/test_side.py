"""Walking through a network: activations write over what nothing else reads, and over nothing else."""

import pytest
import torch
from torch import nn

from model_lego.graph.program import export_program
from model_lego.repairing import holding
from model_lego.repairing.side import IN_PLACE, Side


class Twice(nn.Module):
    """A ReLU whose input is read again, and one whose input is not."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = (nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)) for _ in range(2))

    def forward(self, x):
        x = self.one(x)
        y = torch.relu(x)
        return torch.relu(self.two(x + y)).mean((2, 3))


def test_activations_write_over_what_nothing_else_reads():
    torch.manual_seed(0)
    model, images = Twice().eval(), torch.randn(4, 3, 5, 5)
    program = export_program(model, images[:2])
    side, kept = Side(model, program), images.clone()
    side.start(0, images)
    with torch.no_grad():
        results = [side.run(node, 0) for node in side.calls]
        assert torch.equal(results[-1], model(kept))
    assert torch.equal(images, kept)
    in_place = [node for node in side.calls if side.operators[node] in IN_PLACE.values()]
    relus = [node for node in side.calls if node.target in IN_PLACE]
    assert len(relus) == 2
    assert in_place == relus[1:]


@pytest.mark.skipif(not holding.resident(), reason="only Linux tells what memory a process has")
def test_memory_is_given_back_only_where_the_process_has_much(monkeypatch):
    asked = []

    class Library:
        malloc_trim = staticmethod(asked.append)

    monkeypatch.setattr(holding.ctypes, "CDLL", lambda name: Library)
    has = holding.resident()
    holding.give_back(2 * has)
    assert not asked
    holding.give_back(has // 2)
    assert asked == [0]
