"""What random networks have found: the smallest networks of each kind, and others like them."""

import importlib
from unittest import mock

import pytest

from model_lego.attribution.relevance import aggregate
from model_lego.graph import read_graph
from tests.fuzz.describing import Network, Steps, build, images
from tests.fuzz.layers import Act, Conv, Linear, Norm, Up
from tests.fuzz.moving import Blur, End, Flat, Scale, Tokens
from tests.fuzz.trial import Outcome, tried
from tests.fuzz.wiring import Grid, Join, Split, Tied, Twice

STEM = Conv(4, (1, 1), bias=False)
POOLED = (Flat("mean"), Linear(4))
FLAT = (Flat("flatten"), Linear(4))
WRITTEN = (Flat("written"), Linear(4))
IMAGE = (3, 8, 8)

walking = importlib.import_module("model_lego.attribution.relevance")  # the package has a function of that name

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # torch's own, about sizes of one


def held(steps: Steps, head: Steps = POOLED, image: tuple[int, ...] = IMAGE, **options) -> Outcome:
    """What becomes of a network that has to be cut."""
    found = tried(Network(image, steps, head, **options))
    assert not found.failures, found.failures
    assert found.is_cut, found
    return found


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(
    "steps",
    [
        (Conv(6, (1, 1)), Conv(8, (1, 1))),
        (Conv(8, (3, 3)), Conv(8, (3, 3), groups=8)),
        (STEM, Conv(1, (1, 1)), Conv(6, (3, 3))),
    ],
    ids=["of one pixel", "depthwise", "of one channel"],
)
def test_kernels_whose_sizes_suit_both_memory_formats_keep_theirs(steps, single):
    """A copy in plain order gave other last bits, and a file did not say that they lay channels-last."""
    held(steps, single=single, layout="channels_last")


@pytest.mark.parametrize(
    ("steps", "image"),
    [
        ((STEM, Conv(8, (1, 1)), Act(), Conv(8, (3, 3), groups=4, padding=1), Act()), IMAGE),
        ((Conv(4, (1, 1)), Conv(6, (1, 1), groups=2), Act()), IMAGE),
        ((Conv(8, (3,)), Conv(4, (1,), groups=4), Act()), (3, 12)),
    ],
    ids=str,
)
def test_groups_that_keep_one_channel_each_are_no_depthwise_layer(steps, image):
    """Where the cut network is exported anew, for the number in its forward: it was refused as cut otherwise."""
    held((*steps, Split("slice", ((), ()))), image=image)


@pytest.mark.parametrize("how", ["group", "instance", "batch"])
@pytest.mark.parametrize("behind", [(), (Act(),), (Conv(6, (3, 3)),)], ids=["nothing", "relu", "conv"])
def test_a_norm_without_weights_follows(how, behind):
    """The number of groups stayed as it was, and what was cut was refused for numbers in its forward."""
    network = Network(IMAGE, (Conv(8, (3, 3)), Norm(how, 4 if how == "group" else 1, affine=False), *behind), FLAT)
    found = tried(network)
    assert not found.failures, found.failures
    assert found.is_cut


@pytest.mark.parametrize("width", [2, 3, 4, 6])
def test_a_number_in_the_forward_is_found_behind_few_channels(width):
    """By chance, none of a few channels was cut when it was tried."""
    held((Conv(8, (1, 1)), Act(), Conv(width, (1, 1))), WRITTEN)


@pytest.mark.parametrize(
    ("steps", "head", "reason"),
    [
        ((Norm("batch"), STEM), POOLED, "tensor '0.weight' belongs to channels of the images, which all parts share"),
        ((Scale("channels"), STEM), POOLED, "tensor '0.gain' belongs to channels of the images"),
        (
            (Join("cat", ((), (STEM,))), Norm("instance"), STEM),
            POOLED,
            "tensor '1.weight' belongs to channels of the im",
        ),
        ((Blur(), STEM), POOLED, "layer '0' reads the images in groups"),
        ((Conv(9, (3, 3), groups=3), STEM), POOLED, "layer '0' reads the images in groups"),
        ((STEM, Act()), (*POOLED, End("softmax")), "the parts end in a softmax"),
        ((STEM, Act()), (*POOLED, End("log_softmax")), "the parts end in a softmax"),
    ],
    ids=str,
)
def test_what_has_no_dense_network_is_refused_with_the_reason(steps, head, reason):
    """It was a raw error of torch, or one behind 'does not run', or only seen by the check on images."""
    assert reason in held(steps, head).refused["padded"]


@pytest.mark.parametrize(
    "steps",
    [
        (Join("cat", ((), (Conv(6, (3, 3), padding="same"), Act()))), Conv(6, (3, 3)), Act()),
        (Join("cat", ((Conv(6, (3, 3), padding="same"), Act()), ())), Up(6, (3, 3)), Act()),
        (Join("cat", ((), (STEM, Act()), ())), STEM, Act()),
    ],
    ids=["before", "behind", "twice"],
)
def test_images_beside_maps_are_there_once_in_a_dense_network(steps):
    """Widths counted them once for each part."""
    assert "padded" in held(steps).passed


def test_channels_that_go_with_the_images_are_named_by_their_layer():
    found = tried(Network(IMAGE, (Join("add", ((), (Conv(3, (1, 1)),))), Conv(6, (1, 1))), POOLED), ("trace",))
    assert not found.failures
    graph = read_graph(build(found.network), images(found.network, 2))
    assert "go together with channels of the images (layer '0.branches.1.0')" in str(graph)


def test_a_size_behind_attention_is_found():
    found = tried(Network(IMAGE, (STEM, Tokens("attend"), Split("chunk", ((), ()))), FLAT))
    assert not found.failures, found.failures


@pytest.mark.parametrize("end", ["softmax", "log_softmax"])
@pytest.mark.parametrize("last", [2, 4])
def test_a_number_in_the_forward_is_noticed_behind_a_softmax_too(end, last):
    """What a trial cut gives was not compared where the network ends in a softmax: such a cut was wrong in silence."""
    steps = (Conv(4, (3, 1), padding="same"), Grid("softmax", 2), Conv(6, (1, 3), padding="same"))
    held(steps, (Flat("mean"), Linear(8), Act(how="relu"), Linear(last), End(end)), image=(1, 4, 70))


@pytest.mark.parametrize("columns", [4, 2])
def test_a_number_in_the_forward_is_noticed_where_blocks_fill_up_what_a_trial_leaves_out(columns):
    """The trial drew a half that two groups of a convolution may not keep: all was kept, and nothing was tried."""
    steps = (Conv(12, (1, 5), padding="same"), Grid("softmax", columns), Conv(12, (1, 1), padding="same", groups=2))
    held(steps, (Conv(2, (1, 1), bias=False), Flat("mean")), image=(3, 3, 5))


def test_a_layer_keeps_a_channel_where_others_of_its_group_are_kept():
    """All that a branch writes was cut, as its group, joined with the images by a layer behind it, had others left."""
    branch = (Conv(4, (1,), padding="same", bias=False),)
    steps = (Conv(4, (1,), padding="same", groups=4, bias=False), Split("split", ((), branch, branch, branch)), Tied())
    held((*steps, Act()), (Flat("flatten"), Linear(4)), image=(4, 24))


POINT = Conv(4, (1, 1), padding="same", bias=False)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(
    "steps",
    [
        (Conv(4, (1, 1)), Twice((POINT, Norm("pixels", affine=False), POINT)), POINT, Act()),
        (STEM, Norm("pixels", affine=False), POINT, Act()),
        (Conv(6, (3, 3)), Norm("instance", affine=False), Conv(6, (1, 1)), Norm("pixels", affine=False), STEM, Act()),
    ],
    ids=["shared", "once", "two norms"],
)
def test_what_adds_up_to_nothing_may_be_decided_by_its_last_bits(steps, single):
    """Behind a norm over pixels each channel adds up to zero: the order of the sums says which is the largest."""
    held(steps, FLAT, single=single)


@pytest.mark.parametrize("single", [True, False])
def test_another_threshold_than_that_of_the_equations_is_seen(single):
    """What lies within rounding of a threshold may be either, but not what lies three hundredths beside it."""
    network = Network(IMAGE, (Conv(12, (3, 3)), Act(), Conv(12, (1, 1)), Act()), FLAT, single=single)
    assert not tried(network, ("trace", "attribute")).failures
    with mock.patch.object(walking, "aggregate", lambda s, alpha: aggregate(s, alpha + 0.03)):
        failed = tried(network, ("trace", "attribute")).failures
    assert "are relevant than the equations say" in failed[0].text
