"""A network of each of twenty of timm's convolutional families: what `make coverage` asks of its list, but padding."""

import pytest

from benchmarks.coverage.check import check
from benchmarks.coverage.networks import networks
from benchmarks.coverage.opinion import AGREES

pytest.importorskip("timm")

NAMES = (
    *("gernet_s", "convnext_atto", "darknet17", "dla46_c", "dpn48b", "fasternet_t0", "ghostnet_050"),
    *("hardcorenas_a", "inception_next_atto", "lcnetv2_small", "lcnet_035", "nf_resnet26", "poolformer_s12"),
    *("regnetx_002", "resnet10t", "resnetv2_18", "selecsls42", "skresnet18", "starnet_s050", "ese_vovnet19b_slim_dw"),
)
#: Of these Torch-Pruning ties other channels together; tests/networks/test_second_opinion.py says who is right. Of
#: skresnet18 it cuts one half of an even split alone, which the forward then splits elsewhere.
DIFFER = ("fasternet_t0", "dpn48b", "skresnet18")


@pytest.mark.zoo
@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_cut_joined_and_saved(name):
    result = check(f"timm:{name}", layouts=["parallel"])  # dense ones take half of the time
    assert (result.error, result.wrong) == ("", False)
    assert result.cuttable > 0.5
    assert result.opinion.startswith("differs") if name in DIFFER else result.opinion == AGREES


def test_they_are_of_as_many_families():
    families = networks()
    assert len({families[f"timm:{name}"] for name in NAMES}) == len(NAMES) >= 20
