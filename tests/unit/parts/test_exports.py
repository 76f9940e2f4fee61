"""Parts in other runtimes: traced, exported and compiled they give what they give; what can be scripted is said."""

import re

import pytest
import torch
from torch import nn

from model_lego.errors import LegoError
from model_lego.models import build
from model_lego.parts.assembly import Assembly, Head
from model_lego.parts.component import Component
from model_lego.parts.preprocessing import Preprocessing
from tests.support.handmade_parts import images, origin, reading_assembly, tiny_assembly, tiny_component


def bare():
    """A component that takes images as its source did."""
    whole = tiny_component()
    return Component(whole.module, classes=whole.classes, labels=whole.labels, origin=whole.origin).eval()


def side_by_side():
    """An assembly whose logits are its parts'."""
    parts = list(tiny_assembly().parts)
    classes = [name for part in parts for name in part.classes]
    return Assembly(parts, layout="parallel", classes=classes, head=Head.identity(4)).eval()


def padded():
    """An assembly that is one network, with preprocessing."""
    whole = tiny_component(classes=("1.bee", "2.elk"))
    head = Head("affine", torch.tensor([2.0, 0.5]), torch.tensor([0.0, 1.0]))
    return Assembly([], layout="padded", classes=("bee", "elk"), head=head, padded=whole).eval()


PARTS = {
    "component with preprocessing": tiny_component,
    "component without": bare,
    "assembly": side_by_side,
    "assembly with a head": tiny_assembly,
    "assembly with a head on features": reading_assembly,
    "padded assembly": padded,
}
FLOATS = images()
BYTES = (255 * FLOATS).round().to(torch.uint8)
LARGER = torch.rand(5, 3, 16, 12, generator=torch.Generator().manual_seed(3))


@pytest.fixture(params=PARTS)
def part(request):
    return PARTS[request.param]()


def given(part):
    """Images that a part takes: of both kinds where it scales them."""
    return [FLOATS] if isinstance(part, Component) and part.preprocessing is None else [FLOATS, BYTES]


def same(made, part, *batches):
    with torch.no_grad():
        return all(torch.allclose(made(batch), part(batch), atol=1e-6) for batch in batches)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning", "ignore:.torch.jit:FutureWarning")
def test_a_traced_part_gives_its_logits_for_any_number_and_size_of_images(part):
    for example in given(part):
        traced = torch.jit.trace(part, (example,))
        more = LARGER if example.is_floating_point() else (255 * LARGER).to(torch.uint8)
        assert same(traced, part, example, torch.cat([example, example]), more)


def test_an_exported_part_gives_its_logits_for_any_number_of_images(part):
    for example in given(part):
        program = torch.export.export(part, (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
        assert same(program.module(), part, example, torch.cat([example, example]))


def test_a_compiled_part_gives_its_logits_for_any_images(part):
    compiled = torch.compile(part, backend="eager")  # what is captured; a backend's code is no matter of ours
    assert same(compiled, part, *given(part), torch.cat([FLOATS, FLOATS]), LARGER)


@pytest.mark.parametrize("name", ["component with preprocessing", "assembly", "padded assembly"])
def test_a_part_is_not_scripted_and_what_can_be_is_said(name):
    part = PARTS[name]()
    for whole in (part, nn.Sequential(part, nn.Softmax(1))):
        with pytest.raises(
            LegoError, match=re.escape("cannot be scripted; torch.jit.trace it, or script the .module of a component")
        ):
            torch.jit.script(whole)


@pytest.mark.parametrize("name", ["zoo:lenet5", "zoo:resnet20", "torchvision:squeezenet1_1"])
def test_the_module_of_a_part_is_scripted_where_its_source_is(name):
    module = build(name, num_classes=3).eval()
    sizes = {"zoo:lenet5": (1, 28, 28)}
    preprocessing = Preprocessing(mean=0.5, std=0.25)
    part = Component(module, classes="abc", labels=range(3), origin=origin(), preprocessing=preprocessing).eval()
    batch = torch.rand(2, *sizes.get(name, (3, 32, 32)), generator=torch.Generator().manual_seed(0))
    assert same(lambda x: torch.jit.script(part.module)(preprocessing(x)), part, batch)
