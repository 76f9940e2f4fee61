"""diagnose: what it says of a network is what a cut then does."""

import pytest
import torch

from model_lego import canonize, diagnose
from model_lego.cutting.slicing import slice_model
from model_lego.errors import RefusedError, ShapeMismatch, UnsupportedOpError
from model_lego.graph import select
from tests.support.plans import FREEZING, traced
from tests.support.tiny_models import TINY, build, inputs
from tests.unit.graph.test_refusals import between


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", TINY)
def test_the_numbers_are_those_of_the_network_and_of_its_cuts(name):
    model, graph = traced(name)
    found = diagnose(model, inputs(name, batch=2))
    assert found.image == tuple(inputs(name).shape[1:])
    assert found.whole.parameters == count(model)
    nothing = torch.zeros(graph.width, dtype=torch.bool)
    least = slice_model(model, graph, select(graph, nothing, logits=range(5))).module
    assert found.least.parameters == count(least)
    assert found.share == pytest.approx(100 * (1 - count(least) / count(model)))
    assert found.least.parameters < found.half.parameters < found.whole.parameters
    assert found.cuttable == int(graph.cuttable.sum()) <= found.channels
    assert (len(found.frozen) > 0) == (name in FREEZING)
    places = {where for reason in found.reasons.values() for where in reason}
    assert {where for where, _ in FREEZING.get(name, [])} <= places | {place.split(".")[0] for place in places}


def test_the_text_names_reasons_layers_and_what_is_left_out():
    text = str(diagnose(build("residual_pad"), inputs("residual_pad")))
    assert "kept whole: is a number of padded channels written into the forward (pad): 2" in text
    assert "left out of components: auxiliary" in str(diagnose(build("auxiliary"), inputs("auxiliary")))
    assert "canonize makes computed weights and torch's attention plain" in str(
        diagnose(build("standardised"), inputs("plain"))
    )
    plain = canonize(build("standardised"), inputs("plain"))
    assert "made plain: 2, 4, whose weights" in str(diagnose(plain, inputs("plain")))


@pytest.mark.parametrize(
    ("model", "image", "error", "words"),
    [
        (lambda: build("one_logit"), (3, 12, 12), RefusedError, "single output"),
        (lambda: build("plain"), (4, 12, 12), ShapeMismatch, r"\(4, 12, 12\)"),
        (lambda: between(torch.erfinv), (3, 12, 12), UnsupportedOpError, "aten.erfinv"),
    ],
)
def test_what_cannot_be_taken_apart_is_an_error_with_the_reason(model, image, error, words):
    with pytest.raises(error, match=words):
        diagnose(model(), torch.rand(2, *image, dtype=torch.float64))
