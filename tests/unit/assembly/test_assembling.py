"""assemble: the check, what is noted, what is left as it was, which options and parts are refused."""

import pytest
import torch
from torch import nn

from model_lego.assembly import assembling
from model_lego.assembly.assembling import assemble
from model_lego.cutting.tracing import trace
from model_lego.errors import BadConfig, CutMismatch, IncompatibleComponents, UnsupportedOpError
from model_lego.graph import RULES
from tests.support.components import cut_part, pair, random_batch, tiny_part
from tests.support.tiny_models import inputs


def test_the_check_is_noted_with_the_images_it_ran_on():
    images, labels = random_batch(50, seed=0)
    joint = assemble(pair(), calibration=[(images, labels)])
    largest = float(images[:32].abs().max())
    assert joint.settings["check"] == {"images": 32, "difference": 0.0, "largest_logit": largest}
    assert assemble(pair()).settings["check"]["images"] == 2


def test_a_wrong_dense_network_is_noticed(monkeypatch):
    right = assembling.place

    def wrong(modules, example, **options):
        placed = right(modules, example)
        with torch.no_grad():
            placed.module[9].weight[0, -1] += 1e-6
        return placed

    parts = [tiny_part("plain_nobn", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]
    assert assemble(parts, layout="padded").settings["check"]["difference"] < 1e-12
    monkeypatch.setattr(assembling, "place", wrong)
    with pytest.raises(CutMismatch, match=r"beside its parts, logits that differ by .*; use layout='parallel'"):
        assemble(parts, layout="padded")


def state(parts) -> list:
    return [
        [
            {name: one.detach().numpy().tobytes() for name, one in part.state_dict().items()},
            [(id(one), one.requires_grad, one.grad) for one in part.parameters()],
            [(path, module.training, len(module._forward_hooks)) for path, module in part.named_modules()],
            (part.classes, part.labels, part.origin, part.preprocessing),
        ]
        for part in parts
    ]


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_components_are_left_as_they_are(layout):
    parts = [tiny_part("plain", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]
    parts[0].train().module[1].eval()
    parts[1].module[0].weight.requires_grad_(False)
    before, random = state(parts), torch.get_rng_state()
    data = [(inputs("plain", batch=12), torch.arange(12) % 4)]
    joint = assemble(parts, layout=layout, calibration=data, scaling="layer")
    assert state(parts) == before
    assert torch.equal(torch.get_rng_state(), random)
    ours = {one.data_ptr() for part in parts for one in (*part.parameters(), *part.buffers())}
    assert not ours & {one.data_ptr() for one in (*joint.parameters(), *joint.buffers())}


def test_an_assembly_is_in_eval_mode():
    joint = assemble([one.train() for one in pair()], calibration=[random_batch(12, seed=0)])
    assert not any(module.training for module in joint.modules())


def test_components_are_left_as_they_are_where_an_assembly_is_refused():
    parts = [tiny_part(name, seed=1, names=names).train() for name, names in (("plain", "ab"), ("plain_nobn", "cd"))]
    before = state(parts)
    with pytest.raises(IncompatibleComponents):
        assemble(parts, layout="padded")
    assert state(parts) == before


def test_the_head_has_the_data_type_of_the_parts():
    for dtype in (torch.float32, torch.float64):
        parts = [one.to(dtype) for one in pair()]
        images, labels = random_batch(12, seed=0)
        joint = assemble(parts, calibration=[(images, labels)])  # images of another data type are taken too
        assert joint(images.to(dtype)).dtype == joint.head.weight.dtype == dtype


def test_options_and_parts_that_make_no_sense_are_refused():
    for name, value in (
        ("layout", "stacked"),
        ("scaling", "both"),
        ("head", "svm"),
        ("labels", "words"),
        ("on_clash", "last"),
    ):
        with pytest.raises(BadConfig, match=f"{name} '{value}' is unknown; use one of"):
            assemble(pair(), **{name: value})
    with pytest.raises(BadConfig, match="no component to assemble"):
        assemble([])
    with pytest.raises(BadConfig, match="part 2 is a Pixels, not a component"):
        assemble([pair()[0], pair()[1].module])


def test_networks_with_operator_rows_of_their_own_are_padded():
    operator = torch.ops.aten.erfinv.default  # which has no row
    rules = {**RULES, operator: RULES[torch.ops.aten.erf.default]}
    model = nn.Sequential(nn.Conv2d(3, 6, 3), Erfinv(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()
    images = torch.rand(4, 3, 8, 8)
    graph = trace(model, images, rules=rules)
    parts = [cut_part(model, graph, seed=seed, logits=(seed, 0), names=names) for seed, names in ((1, "ab"), (2, "cd"))]
    joint = assemble(parts, layout="padded", rules=rules)
    torch.testing.assert_close(joint(images), torch.cat([part(images) for part in parts], 1))
    with pytest.raises(UnsupportedOpError, match="erfinv"):
        assemble(parts, layout="padded")


class Erfinv(nn.Module):
    def forward(self, x):
        return torch.erfinv(torch.tanh(x) / 2)
