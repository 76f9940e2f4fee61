"""Parts of all libraries, cut and joined in this process, give the same logits in one that has their files alone.

`python -m benchmarks.saving` does so with twenty networks and five assemblies.
"""

import pytest
import torch

import model_lego as ml
from model_lego.models import build
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.store import save
from tests.support import fresh_process, hub_folders
from tests.support.components import cut_part

SHAPE = (3, 64, 64)


def half(model: torch.nn.Module, builder: Builder, names: str) -> Component:
    """Half of the channels of a network in float32, some of its logits."""
    graph = ml.trace(model.eval(), torch.rand(2, *SHAPE))
    return cut_part(model, graph, names=names, logits=range(len(names)), builder=builder)


def named(name: str, names: str, **arguments: object) -> Component:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(name, **arguments)
    return half(model, Builder(name, arguments), names)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with parts, and images and logits of each."""
    folder = tmp_path_factory.mktemp("parts")
    hub_folders.write("resnet", folder / "hub")
    opened = ml.open_network(f"hf:{folder / 'hub'}")
    parts = {
        "of-torchvision": named("torchvision:squeezenet1_1", "ab", num_classes=4),
        "of-timm": named("timm:test_resnet", "cd", num_classes=4),
        "of-transformers": half(opened.model, opened.builder, "ef"),
        "of-the-zoo": named("zoo:lenet5", "gh", num_classes=4, width=0.5, in_channels=3, image_size=SHAPE[1]),
    }
    calibration = [(torch.rand(32, *SHAPE, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 4)]
    pair = [parts["of-timm"], parts["of-the-zoo"]]
    parts["on-features"] = ml.assemble(pair, calibration=calibration, head="ridge")
    parts["nested"] = ml.assemble([parts["on-features"], parts["of-transformers"]])
    images = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(1))
    for name, part in parts.items():
        save(part, folder / name)
    with torch.no_grad():
        return folder, dict.fromkeys(parts, images), {name: part(images) for name, part in parts.items()}


@pytest.mark.parametrize(("reader", "packages"), [("library", {"model_lego"}), ("second reader", {"tests"})])
def test_a_fresh_process_gives_the_same_logits_bit_for_bit(saved, reader, packages):
    folder, images, logits = saved
    found, imported = fresh_process.logits_of(folder, images, reader)
    assert imported == packages
    assert found.keys() == logits.keys()
    assert [name for name in logits if not torch.equal(found[name], logits[name])] == []
