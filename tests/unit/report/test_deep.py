"""A deep network stays readable: few columns, drawn in seconds, a page that is small."""

import pytest
import torch

import model_lego as ml
from model_lego.drawing import draw_routes
from model_lego.report import write_routes
from model_lego.report.page import page
from model_lego.report.routes import MOST_SUBJECTS, Shown, sections
from model_lego.routes.folding import steps
from tests.support.tiny_models import randomize_batchnorm


@pytest.fixture(scope="module")
def traced():
    """Torchvision's ResNet-50 with random weights, its graph, and statistics of ten classes."""
    from model_lego.models import build

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build("torchvision:resnet50", num_classes=10).eval()
    randomize_batchnorm(model, torch.Generator().manual_seed(1))
    images = torch.randn(20, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    graph = ml.trace(model, images[:2])
    stats = ml.attribute(model, [(images, torch.arange(20) % 10)], graph=graph, sampling="all")
    return model, graph, stats


@pytest.fixture(scope="module")
def routes(traced):
    """Of ten classes."""
    model, graph, stats = traced
    return ml.decision_routes(model, stats, range(10), graph=graph)


@pytest.mark.zoo
def test_a_resnet50_is_folded_into_its_blocks(routes):
    folded = steps(routes)
    assert len(routes.layers) == 54
    assert [step.name for step in folded][:4] == ["conv1", "layer1.0", "layer1.1", "layer1.2"]
    assert len(folded) == 1 + 16 + 1


@pytest.mark.zoo
def test_a_resnet50_is_drawn_and_its_page_with_photos_is_small(traced, routes, tmp_path):
    pytest.importorskip("matplotlib")
    draw_routes(routes, tmp_path / "routes.png")
    assert (tmp_path / "routes.png").stat().st_size > 0
    model, graph, _ = traced
    images = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    top = ml.top_images(model, [(images, torch.arange(20) % 10)], graph=graph)
    write_routes(routes.with_top_images(top), tmp_path / "routes.html")
    assert (tmp_path / "routes.html").stat().st_size < 5_000_000


@pytest.mark.zoo
def test_a_page_of_ten_resnet50s_with_as_many_classes_as_it_shows_is_small_too(traced):
    model, graph, stats = traced
    routes = ml.decision_routes(model, stats, range(MOST_SUBJECTS // 10), graph=graph)
    made, data = sections([Shown(f"part {number}", routes) for number in range(10)])
    text = page("ten", "", made, data=data)
    assert len(text.encode()) < 5_000_000
    assert len(data["diagrams"]) == 10
    overview = [
        len(edges) // 3 for one in data["diagrams"] for link in one["overview"]["links"] for edges in link["edges"]
    ]
    assert 0 < sum(overview) <= 60_000
