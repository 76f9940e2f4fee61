"""What parts say of licences and data goes with them into what is made of them."""

import warnings
from dataclasses import replace

import pytest

import model_lego as ml
from model_lego import assemble
from model_lego.parts.assembly import leaves
from model_lego.parts.provenance import UNSAID, Provenance, together
from tests.support.components import pair, tiny_part

MINE = Provenance(("apache-2.0",), ("v1",), ("digits",))
YOURS = Provenance(("gpl-2.0",), ("v1",), ("photos",))
BOTH = Provenance(("apache-2.0", "gpl-2.0"), ("v1",), ("digits", "photos"))


def told(parts, *said):
    for part, one in zip(parts, said, strict=True):
        part.origin = replace(part.origin, provenance=one)
    return parts


def test_all_is_said_once():
    assert together([MINE, UNSAID, YOURS, MINE]) == BOTH
    assert together([]) == UNSAID


def test_an_assembly_carries_what_its_parts_say_and_warns_of_licences_that_do_not_go_together():
    parts = told(pair(), MINE, YOURS)
    with pytest.warns(UserWarning, match="licences of the parts: gpl-2.0 and apache-2.0 do not go together"):
        joint = assemble(parts)
    assert [part.origin.provenance for part in leaves(joint)] == [MINE, YOURS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assemble(told(pair(), MINE, MINE))


@pytest.mark.filterwarnings("ignore:licences of the parts")
def test_a_padded_network_carries_what_all_its_parts_say():
    parts = told([tiny_part("plain", seed=seed, names=names) for seed, names in ((1, "ab"), (2, "cd"))], MINE, YOURS)
    assert assemble(parts, layout="padded").padded.origin.provenance == BOTH


def test_what_classes_are_taken_out_of_goes_on_as_before():
    (part,) = told([tiny_part("plain", seed=1)], MINE)
    assert ml.remove_classes(part, ["a"]).origin.provenance == MINE
