"""Sizes of an uneven split follow a cut where the module holds them; in the code, the channels are kept whole."""

import warnings

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.errors import IncompatibleComponents
from tests.support import second_reader
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs

SIZES = (8, 5, 3)
HELD = {
    "tuple": lambda own: own.sizes,
    "list": lambda own: own.listed,
    "attributes": lambda own: (own.gate, own.rest, own.mixed),
}
WRITTEN = {"code": lambda own: (8, 5, 3), "sums": lambda own: (own.rest + own.mixed, own.rest, 8 - own.rest)}


class Gated(nn.Module):
    """Gates for maps of which a part goes through a depthwise convolution, as in a MambaOut."""

    def __init__(self, held: str = "tuple") -> None:
        super().__init__()
        self.held = held
        if held == "tuple":
            self.sizes = SIZES
        elif held == "list":
            self.listed = list(SIZES)
        elif held == "attributes":
            self.gate, self.rest, self.mixed = SIZES
        elif held == "sums":
            self.rest, self.mixed = SIZES[1:]
        self.read = nn.Conv2d(3, sum(SIZES), 3)
        self.conv = nn.Conv2d(3, 3, 3, padding=1, groups=3)
        self.last = nn.Linear(8, 4)

    def forward(self, x):
        gate, rest, mixed = self.read(x).split({**HELD, **WRITTEN}[self.held](self), dim=1)
        return self.last((gate.sigmoid() * torch.cat([rest, self.conv(mixed)], 1)).mean((2, 3)))


def network(held: str = "tuple", seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Gated(held).double().eval()


IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("held", HELD)
def test_sizes_that_are_held_follow(held):
    model = network(held)
    graph = trace(model, IMAGES)
    assert not graph.freezes
    for seed in range(3):
        plan = half_plan(graph, seed=seed, logits=[2, 0])
        cut = slice_model(model, graph, plan).module
        check_cut(cut, model, graph, plan, IMAGES)
        with torch.no_grad():
            found = cut(IMAGES)
        expected = masked_forward(model, IMAGES, kept_inputs(graph, plan))[:, [2, 0]]
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
        assert sum(HELD[held](cut)) == len(cut.read.weight) < sum(SIZES)
        assert type(HELD[held](cut)) is type(HELD[held](model))
    assert tuple(HELD[held](model)) == SIZES


def test_another_number_of_the_module_stays_where_a_tuple_holds_the_sizes():
    model = network()
    model.kernel = SIZES[2]  # as large as a piece, by chance
    graph = trace(model, IMAGES)
    cut = slice_model(model, graph, half_plan(graph, seed=0, logits=[2, 0])).module
    assert sum(cut.sizes) < sum(SIZES)
    assert cut.kernel == SIZES[2]


@pytest.mark.parametrize("held", WRITTEN)
def test_sizes_in_the_code_keep_their_channels(held):
    model = network(held)
    graph = trace(model, IMAGES)
    assert bool(graph.frozen[graph.layer("read").outputs].all())
    assert graph.freezes[0].reason.startswith("is split at channel numbers written into the forward")


def component(seed: int = 0) -> ml.Component:
    model = network(seed=seed)
    batches = [(IMAGES, torch.arange(4))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # four images tell little
        return ml.disassemble(model, batches, classes=[2, 0], budget=ml.Budget(params=0.6), repair="none")


def test_a_saved_one_is_built_again_with_the_sizes_that_it_was_cut_to(tmp_path):
    part = component()
    assert part.origin.attributes[""]["sizes[0]"] == part.module.sizes[0] < SIZES[0]
    ml.save(part, tmp_path / "part")
    again = ml.load(tmp_path / "part", factory=network)
    by_the_page_alone = second_reader.read(tmp_path / "part", lambda _: network())
    assert again.module.sizes == by_the_page_alone.module.sizes == part.module.sizes
    with torch.no_grad():
        assert torch.equal(again(IMAGES), part(IMAGES))
        assert torch.equal(by_the_page_alone(IMAGES), part(IMAGES))


def test_parts_are_not_padded_into_one():
    with pytest.raises(IncompatibleComponents, match=r"split_sizes.*use layout='parallel'"):
        ml.assemble([component(0), component(1)], layout="padded")
