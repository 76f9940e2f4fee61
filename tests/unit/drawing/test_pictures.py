"""Pictures: where channels stand, which edges are drawn, files that are the same twice, refusals."""

import dataclasses
import re

import pytest
import torch

from model_lego.drawing import draw_maps, draw_overlap, draw_routes
from model_lego.drawing.layout import column, to_unit
from model_lego.drawing.routes import _several, _shown
from model_lego.errors import BadConfig
from model_lego.routes.folding import steps
from model_lego.routes.nouns import Edges
from tests.support.routed import planted_maps, planted_routes

DRAWN = [(draw_routes, planted_routes), (draw_overlap, planted_routes), (draw_maps, planted_maps)]


def test_own_channels_stand_around_the_shared_ones():
    relevant = torch.tensor([[1, 1, 0, 0, 1, 0], [0, 1, 1, 0, 1, 0]], dtype=torch.bool)
    one = column(relevant, torch.ones(2, 6), most=10)
    assert one.places.tolist() == [2, 1, 4, 0]  # from bottom to top: the second's, shared, the first's
    assert one.owners.tolist() == [1, -1, -1, 0]
    assert (one.used, one.whole) == (4, 6)
    assert one.drawn().tolist() == [3, 1, 0, -1, 2, -1]
    assert bool((one.heights.diff() >= 1).all())
    assert float(one.heights.sum()) == pytest.approx(float(-one.heights.flip(0).sum()))


def test_of_a_large_column_the_strongest_are_drawn():
    relevant = torch.ones(1, 100, dtype=torch.bool)
    strength = torch.rand(1, 100, generator=torch.Generator().manual_seed(0))
    one = column(relevant, strength, most=20)
    assert one.places.tolist() == sorted(strength[0].argsort(descending=True)[:20].tolist())
    assert one.used == 100


def test_columns_are_drawn_to_one_scale():
    relevant = torch.ones(1, 30, dtype=torch.bool)
    tall, small = to_unit([column(relevant[:, :n], torch.ones(1, n), most=40) for n in (30, 3)])
    assert (float(tall.heights.min()), float(tall.heights.max())) == (0, 1)
    assert float(small.heights.diff()[0]) == pytest.approx(float(tall.heights.diff()[0]))


def test_drawn_edges_are_edges_of_the_routes():
    routes = planted_routes()
    for step in steps(routes):
        left, right = (
            column(routes.relevant[:, some], routes.contributions[:, some], most=99)
            for some in (step.reads, step.writes)
        )
        several = _several(step.edges, left, right)
        sets = [set(zip(e.inputs.tolist(), e.outputs.tolist(), strict=True)) for e in step.edges]
        for edges, known in zip(step.edges, sets, strict=True):
            shown = _shown(edges, left, right, most=5)
            assert 0 < len(shown) <= 5
            for start, end in zip(shown.inputs.tolist(), shown.outputs.tolist(), strict=True):
                pair = (int(left.places[start]), int(right.places[end]))
                assert pair in known
                assert bool(several[start, end]) == (sum(pair in other for other in sets) > 1)


@pytest.mark.parametrize(("draw", "made", "ending"), [*((*drawn, "svg") for drawn in DRAWN), (*DRAWN[0], "png")])
def test_the_same_picture_has_the_same_bytes(draw, made, ending, tmp_path):
    pytest.importorskip("matplotlib")
    first, second = (tmp_path / f"{name}.{ending}" for name in ("first", "second"))
    draw(made(), first)
    draw(made(), second)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG" if ending == "png" else b"<?xml")


def test_a_column_for_each_layer_and_a_line_for_each_edge(tmp_path):
    pytest.importorskip("matplotlib")
    draw_routes(planted_routes(), tmp_path / "all.svg")
    draw_routes(planted_routes(), tmp_path / "some.svg", layers=["fc2", "fc1"])
    text, some = ((tmp_path / name).read_text() for name in ("all.svg", "some.svg"))
    for layer in ("conv1", "conv2", "fc1", "fc2"):
        assert f"<!-- {layer}" in text
    assert "<!-- into fc1" in some
    assert "<!-- conv2" not in some
    columns = len(re.findall(r'id="PathCollection_\d+"', text))
    assert columns == len(steps(planted_routes())) + 1


def test_maps_of_named_layers(tmp_path):
    pytest.importorskip("matplotlib")
    draw_maps(planted_maps(), tmp_path / "maps.svg", layers=["fc2"])
    text = (tmp_path / "maps.svg").read_text()
    assert "<!-- fc2: classes" in text
    assert "<!-- fc1" not in text


def test_folders_above_a_picture_are_made(tmp_path):
    pytest.importorskip("matplotlib")
    draw_routes(planted_routes(), tmp_path / "no" / "where.svg")
    assert (tmp_path / "no" / "where.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda file: draw_routes(planted_routes(), file, layers=["conv9"]), "no layer 'conv9'"),
        (lambda file: draw_maps(planted_maps(), file, layers=["conv9"]), "no layer 'conv9'"),
        (lambda file: draw_routes(planted_routes(), file.with_suffix(".gif")), "end it in .png or .svg"),
        (lambda file: draw_overlap(dataclasses.replace(planted_routes(), names=("one",)), file), "two or more"),
        (lambda file: draw_routes(dataclasses.replace(planted_routes(), names=("x",) * 19), file), "at most 18"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, words, tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(BadConfig, match=words):
        call(tmp_path / "picture.png")
    assert list(tmp_path.iterdir()) == []


def test_edges_of_channels_that_are_not_drawn_are_left_out():
    edges = Edges(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), torch.tensor([0.9, 0.5, 0.7]))
    first, both = torch.tensor([[True, False]]), torch.tensor([[True, True]])
    left, right = column(first, torch.ones(1, 2), most=9), column(both, torch.ones(1, 2), most=9)
    shown = _shown(edges, left, right)
    assert (shown.inputs.tolist(), shown.outputs.tolist()) == ([0], [0])
