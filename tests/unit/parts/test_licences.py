import pytest

from model_lego.parts.licences import CLASHES, NO_DERIVATIVES, clashes


@pytest.mark.parametrize(
    ("licences", "words"),
    [
        (["apache-2.0", "GPL-2.0"], "GPL-2.0 and apache-2.0 do not go together: the patent terms"),
        (["gpl-2.0", "agpl-3.0"], "each wants the whole under itself"),
        (["cc-by-nc-4.0", "mit", "gpl-3.0"], "gpl-3.0 and cc-by-nc-4.0 do not go together: the former allows selling"),
        (["cc-by-nd-4.0"], "cc-by-nd-4.0 allows no changed copies"),
    ],
)
def test_what_does_not_go_together_is_said_once(licences, words):
    found = clashes([*licences, *licences])
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize("licences", [[], ["mit", "apache-2.0", "bsd-3-clause", "gpl-3.0"], ["of my own", "gpl-2.0"]])
def test_what_goes_together_or_is_not_known_is_not_judged(licences):
    assert clashes(licences) == ()


def test_the_table_is_in_lower_case_and_says_nothing_twice():
    names = [name for first, second, _ in CLASHES for name in (*first, *second)] + list(NO_DERIVATIVES)
    assert names == [name.lower() for name in names]
    pairs = [{one, other} for first, second, _ in CLASHES for one in first for other in second]
    assert all(len(pair) == 2 for pair in pairs)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
