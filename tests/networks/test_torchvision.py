"""Eleven classifiers of torchvision, whole: what `make coverage` asks of every network on its list."""

import pytest

from benchmarks.coverage.check import check
from benchmarks.coverage.opinion import AGREES

NAMES = (
    *("squeezenet1_1", "resnet18", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "efficientnet_b0"),
    *("regnet_y_400mf", "googlenet", "convnext_tiny", "densenet121", "resnet50"),
)
#: What is kept whole, where it is not nothing.
REASONS = {
    "shufflenet_v2_x0_5": "lies in blocks that must stay equal, which no part of it can leave",
}

#: No dense network can hold several of these: their norms would go over the channels of all.
NORMALISING = ("convnext_tiny",)


@pytest.mark.zoo
@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_cut_joined_and_saved_and_torch_pruning_ties_the_same_channels(name):
    result = check(f"torchvision:{name}")
    assert (result.error, result.wrong) == ("", False)
    assert result.cuttable > 0.9
    assert result.reasons == ((REASONS[name],) if name in REASONS else ())
    assert (result.padded == "equal") == (name not in (*REASONS, *NORMALISING))
    assert result.opinion == AGREES or (name.startswith("shufflenet") and result.opinion.startswith("fails"))
