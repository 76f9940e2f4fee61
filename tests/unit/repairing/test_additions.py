"""What a layer in front of an addition makes up for, through the BatchNorm between them."""

import pytest
import torch

from model_lego.repairing.additions import made_up

MISSING = torch.tensor([[[2.0, 4.0], [6.0, -8.0]]])  # one group, two rows, two outputs


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (1.0, MISSING),
        (torch.tensor([2.0, -4.0]), torch.tensor([[[1.0, -1.0], [3.0, 2.0]]])),
        (torch.tensor([2.0, 0.0]), torch.tensor([[[1.0, 0.0], [3.0, 0.0]]])),  # no weight reaches behind a zero
        (torch.tensor([2.0, 1e-3]), torch.tensor([[[1.0, 0.0], [3.0, 0.0]]])),
        (torch.zeros(2), torch.zeros(1, 2, 2)),  # as residual blocks often begin their training
    ],
)
def test_what_is_missing_is_brought_through_the_norm(scale, expected):
    assert torch.equal(made_up(MISSING, scale, groups=1), expected)
