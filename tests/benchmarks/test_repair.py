"""The benchmark of repair: other ways to fit against oracles, which networks are measured, what it says of gaps."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

pytest.importorskip("benchmarks")

from benchmarks import repair
from benchmarks.accuracy import repair_page
from benchmarks.accuracy.cases import Case
from benchmarks.accuracy.material import NAMES
from benchmarks.accuracy.networks import NETWORKS
from benchmarks.accuracy.refits import STRENGTHS, FromSource, ToSums, Validated, refitted, ways_for
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import program_of
from model_lego.graph import ChannelGraph
from model_lego.parts.layer_inputs import run_and_hear
from model_lego.progress import quiet
from model_lego.repairing.layerwise import RepairSettings, Walk
from model_lego.repairing.refitting import refit_module
from tests.support.oracles import conv_patches, ridge_refit
from tests.support.plans import half_plan, traced
from tests.support.tiny.streams import Basic, Head, Padded, unit
from tests.support.tiny_models import inputs, randomize_batchnorm

METHODS = {"none": [42.0], "ridge": [88.0]}
MEASURED = {
    "parameters_percent": 11.2, "restricted": 90.0, "images": 300, "held_out_images": 900, "methods": METHODS,
}  # fmt: skip


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Late(Padded):
    """The same block, which comes to its shortcut last."""

    def forward(self, x):
        branch = self.b(self.a(x))
        return nn.functional.relu(branch + shortcut(self, x))


def late() -> tuple[nn.Module, ChannelGraph]:
    """A network with such a block, and its graph."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(unit(3, 8), Basic(8, 8), Late(8, 14), Head(14)).double().eval()
    randomize_batchnorm(model, torch.Generator().manual_seed(1))
    return model, trace(model, inputs("plain", batch=2))


def half(name: str) -> Case:
    """A tiny network cut by half."""
    model, graph = late() if name == "late" else traced(name)
    plan, images = half_plan(graph, seed=1, logits=range(len(graph.head))), inputs("plain", batch=20)
    cut = slice_model(model, graph, plan).module.eval()
    program, _ = program_of(cut, graph, plan, images[:2])
    places = torch.arange(20) % len(graph.head)
    columns = tuple(range(len(graph.head)))
    names = tuple("abcde")
    return Case(names, columns, model, graph, plan, cut, program, images, images, images, places)


def kept(case: Case, layer: str, side: str) -> torch.Tensor:
    """The kept positions of a layer's inputs or outputs."""
    (found,) = (each for each in case.graph.layers if each.name == layer)
    return case.selection.keep[getattr(found, side)].nonzero().flatten()


def heard(module: nn.Module, path: str, images: torch.Tensor) -> torch.Tensor:
    """What a module of a network reads."""
    with torch.no_grad():
        return run_and_hear(module, (path,), images)[1][path]


@pytest.mark.parametrize("name", ["plain_nobn", "residual_pad", "grouped"])
def test_the_default_way_is_that_of_the_library(name):
    case = half(name)
    expected = copy.deepcopy(case.cut)
    refit_module(
        expected, case.program, case.source, case.graph, case.selection, case.own, RepairSettings(), quiet
    )  # fmt: skip
    with torch.no_grad():
        assert torch.allclose(refitted(case, case.own, Walk)(case.own), expected(case.own), rtol=1e-9, atol=1e-9)


def test_a_layer_can_be_fitted_from_what_the_source_reads():
    case = half("residual")
    layer = "3.b.0"
    rows = conv_patches(heard(case.source, layer, case.own)[:, kept(case, layer, "inputs")], 3, padding=1)
    with torch.no_grad():
        wanted = case.source.get_submodule(layer)(heard(case.source, layer, case.own))
    goals = wanted[:, kept(case, layer, "outputs")].flatten(2).transpose(1, 2)
    start = case.cut.get_submodule(layer).weight.detach().flatten(1)
    weight, _ = ridge_refit(rows.flatten(0, 1), goals.flatten(0, 1), start, 1e-2)
    found = refitted(case, case.own, FromSource)
    assert torch.allclose(found.get_submodule(layer).weight.flatten(1), weight, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "layer", "geometry"),
    [
        ("residual", "3.b.0", {"padding": 1}),  # the other branch carries the stream on
        ("residual", "2.shortcut.0", {"stride": 2}),  # it ends in a layer that was fitted before
        ("late", "2.b.0", {"padding": 1}),  # it is run after the layer
    ],
)
def test_a_layer_that_feeds_a_sum_can_make_up_for_the_other_branch(name, layer, geometry):
    case = half(name)
    found = refitted(case, case.own, ToSums)
    block, branch, _ = layer.split(".")
    sums = {}
    for side, model in (("source", case.source), ("cut", found)):
        module = model.get_submodule(block)
        read = heard(model, block, case.own)
        with torch.no_grad():
            twice = module.b(module.a(read))
            sums[side] = {"b": twice, "shortcut": shortcut(module, read)}
    channels = kept(case, layer, "outputs")
    other = sums["cut"]["shortcut" if branch == "b" else "b"]
    norm, raw = (model.get_submodule(f"{block}.{branch}.1") for model in (found, case.cut))
    behind = (sums["source"]["b"] + sums["source"]["shortcut"])[:, channels] - other  # what the BatchNorm should give

    def of(vector: torch.Tensor) -> torch.Tensor:
        return vector[:, None, None]

    with torch.no_grad():
        goals = (behind - of(norm.bias)) * of((norm.running_var + norm.eps).sqrt() / norm.weight) + of(raw.running_mean)
        rows = conv_patches(heard(found, layer, case.own), found.get_submodule(layer).kernel_size, **geometry)
        start = case.cut.get_submodule(layer).weight.flatten(1)
        weight, _ = ridge_refit(
            rows.flatten(0, 1), goals.flatten(2).transpose(1, 2).flatten(0, 1), start, 1e-2
        )  # fmt: skip
    assert torch.allclose(found.get_submodule(layer).weight.flatten(1), weight, rtol=1e-6, atol=1e-8)
    default = refitted(case, case.own, Walk).get_submodule(layer).weight.flatten(1)
    assert not torch.allclose(default, weight, rtol=1e-2, atol=1e-3)


def shortcut(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the other branch of a block gives."""
    if hasattr(block, "shortcut"):
        return block.shortcut(x)
    return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, block.padding, block.padding))


def test_other_targets_are_tried_only_where_something_is_added():
    assert ToSums in ways_for(half("residual")).values()
    assert ToSums not in ways_for(half("concat")).values()


@pytest.mark.parametrize(("rows", "features", "noise"), [(20, 6, 0.01), (20, 6, 30.0), (3, 30, 1.0)])
def test_cross_validation_finds_the_strength_with_the_least_error_on_left_out_parts(rows, features, noise):
    xs = [random(rows, features, seed=part) for part in range(4)]
    start, truth = random(2, features, seed=10), random(2, features, seed=11)
    ys = [x @ truth.T + 3 + noise * random(rows, 2, seed=20 + part) for part, x in enumerate(xs)]
    errors = []
    for strength in STRENGTHS:
        fits = [
            ridge_refit(*(torch.cat(all_[:n] + all_[n + 1 :]) for all_ in (xs, ys)), start, strength) for n in range(4)
        ]
        errors.append(sum(float((y - x @ w.T - c).square().sum()) for (w, c), x, y in zip(fits, xs, ys, strict=True)))
    best = STRENGTHS[errors.index(min(errors))]
    weight, offset = ridge_refit(torch.cat(xs), torch.cat(ys), start, best)
    walk = object.__new__(Validated)  # it looks at the rows alone
    chunks = [(x[None], y[None]) for x, y in zip(xs, ys, strict=True)]
    fit = walk.solve(iter(chunks), start.T[None], 4 * rows < features)
    assert torch.allclose(start.T + fit.change[0], weight.T, rtol=1e-7, atol=1e-9)
    assert torch.allclose(fit.intercept[0], offset, rtol=1e-7, atol=1e-9)


def test_how_far_logits_are_off_leaves_out_what_all_of_them_share():
    case = half("plain_nobn")
    shifted = copy.deepcopy(case.source)
    last = [module for module in shifted.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        last.bias += 7.0
        assert case.off(shifted) == pytest.approx(0, abs=1e-9)
        last.weight *= 0
        last.bias *= 0
    assert case.off(shifted) == pytest.approx(100)


def test_numbers_of_images_that_there_are_not_are_left_out():
    case = SimpleNamespace(accuracy=lambda images, _: float(len(set(images.tolist()))))
    found = repair.counted(case, torch.arange(3600))
    assert found == {count: [float(count)] * 3 for count in ("10", "30", "100", "300", "1000")}
    assert "5000" in repair.counted(case, torch.arange(6000))


def test_each_seed_draws_images_of_its_own():
    images = torch.arange(3600)
    first, second = (repair.drawn(images, 30, seed).tolist() for seed in (0, 1))
    assert first != second
    assert first == repair.drawn(images, 30, 0).tolist()


def test_networks_of_the_zoo_are_skipped_where_it_is_not_and_those_that_are_kept_are_here(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_LEGO_SHARED", str(tmp_path))
    opened = {name: opener() for name, opener in NETWORKS.items()}
    assert [name for name, network in opened.items() if network is None] == list(opened)[:2]
    for name, network in list(opened.items())[2:]:
        assert name.endswith("0to4")
        assert network.names == NAMES[:5]
        with torch.no_grad():
            assert network.model(torch.zeros(1, 3, 32, 32)).shape == (1, 5)


def test_the_tables_of_repair_have_gaps_where_nothing_was_measured():
    second = MEASURED | {"methods": {"ridge": [70.0]}, "of its classes": {"10": [60.0, 70.0, 80.0]}}
    text = repair_page.text({"a": MEASURED, "b": second})
    assert "| none | 42.0 ± 3.2 |  |\n| ridge | 88.0 ± 2.1 | 70.0 ± 3.0 |\n" in text
    assert "| 10 |  | 70.0 ± 3.0 (60.0 to 80.0) |\n" in text
    assert "as by default" not in text


def test_other_ways_to_fit_are_told_by_what_they_change_on_the_same_samples():
    few = {
        "as by default": {"right": [70.0, 80.0], "off": [10.0, 20.0]},
        "to the source's sum": {"right": [71.0, 83.0], "off": [5.0, 16.0]},
    }
    second = MEASURED | {"fitted": {"10": few, "300": {"as by default": {"right": [90.0], "off": [1.0]}}}}
    text = repair_page.text({"a": MEASURED, "b": second})
    assert "| 10 images: as by default |  | 75.0 ± 2.8 (70.0 to 80.0) |\n" in text
    assert "| 10 images: to the source's sum |  | +2.0 ± 1.0 |\n" in text
    assert "| 10 images: as by default |  | 15.00 % |\n| 10 images: to the source's sum |  | 0.65 ± 0.15 |\n" in text
    assert "| 300 images: as by default |  | 90.0 ± 2.0 |\n| 300 images: to the source's sum |  |  |\n" in text
