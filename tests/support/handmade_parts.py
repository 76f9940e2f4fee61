"""Parts made by hand for the tests of the store: nothing here uses the graph or the surgery."""

import json
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from model_lego.digest import digest_of_bytes
from model_lego.parts.assembly import Assembly, Head
from model_lego.parts.component import Component
from model_lego.parts.join_record import HeadState, JoinRecord, Outsiders
from model_lego.parts.origin import Builder, Cost, Origin
from model_lego.parts.preprocessing import Preprocessing

KEPT = (0, 2, 5, 6, 7)


class Tiny(nn.Module):
    """Eight channels and four classes, with everything that makes saving hard.

    An aliased layer, a tied weight, a plain tensor attribute, a buffer outside of the state dict, an auxiliary layer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.mix = nn.Conv2d(8, 8, 1)
        self.again = self.mix
        self.tied = nn.Conv2d(8, 8, 1)
        self.tied.weight = self.mix.weight
        self.norm = nn.LayerNorm(8)
        self.gain = torch.ones(8)
        self.register_buffer("offset", torch.zeros(8), persistent=False)
        self.aux = nn.Linear(8, 4)
        self.use_aux = True
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn(self.conv(x)))
        x = self.tied(self.again(self.mix(x)))
        return self.head(self.norm(x.mean((2, 3)) * self.gain + self.offset))


def cut_tiny(*, seed: int = 0) -> nn.Module:
    """Give a Tiny cut to five channels and two classes, all values random, without its auxiliary layer."""
    module, generator = Tiny(), torch.Generator().manual_seed(seed)

    def values(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) + 0.1

    def parameter(*shape: int) -> nn.Parameter:
        return nn.Parameter(values(*shape))

    module.conv.weight, module.conv.bias = parameter(5, 3, 3, 3), parameter(5)  # a repair may add the bias
    module.bn.weight, module.bn.bias = parameter(5), parameter(5)
    module.bn.running_mean, module.bn.running_var = values(5), values(5)
    module.bn.num_batches_tracked = torch.tensor(7)
    module.mix.weight, module.mix.bias = parameter(5, 5, 1, 1), parameter(5)
    module.tied.weight, module.tied.bias = module.mix.weight, parameter(5)
    module.norm.weight, module.norm.bias, module.norm.normalized_shape = parameter(5), parameter(5), (5,)
    module.gain, module.offset = values(5), values(5)
    module.aux, module.use_aux = None, False
    module.head.weight, module.head.bias = parameter(2, 5), parameter(2)
    for layer in (module.conv, module.mix, module.tied):
        layer.out_channels = 5
    module.mix.in_channels = module.tied.in_channels = 5
    module.bn.num_features = module.head.in_features = 5
    module.head.out_features = 2
    return module


def origin(*, builder: Builder | None = None, attributes=None, settings=None) -> Origin:
    """Give an origin with a value in every field."""
    return Origin(
        builder=builder,
        source_digest="ab" * 32,
        source_classes=("ant", "bee", "cat", "dog"),
        input_shape=(3, 8, 9),
        kept_outputs={"conv": KEPT, "head": (1, 3)},
        kept_inputs={"conv": (0, 1, 2), "head": KEPT},
        attributes=attributes or {},
        settings=settings or {},
        cost_before=Cost(parameters=500, macs=40_000, bytes=2_000),
        cost_after=Cost(parameters=200, macs=10_000, bytes=800),
    )


def tiny_origin() -> Origin:
    """Give the origin that belongs to `cut_tiny`."""
    attributes = {
        "conv": {"out_channels": 5},
        "bn": {"num_features": 5},
        "mix": {"in_channels": 5, "out_channels": 5},
        "tied": {"in_channels": 5, "out_channels": 5},
        "norm": {"normalized_shape": 5},
        "head": {"in_features": 5, "out_features": 2},
        "": {"use_aux": False},
    }
    settings = {"dropped_modules": ["aux"], "alpha": 0.3, "seed": 3, "sampling": "confident", "repair": None}
    return origin(attributes=attributes, settings=settings)


def tiny_component(*, seed: int = 0, classes=("bee", "dog")) -> Component:
    """Give a component around `cut_tiny`, with preprocessing, in eval mode."""
    preprocessing = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0), size=(8, 9))
    component = Component(
        cut_tiny(seed=seed), classes=classes, labels=(1, 3), origin=tiny_origin(), preprocessing=preprocessing
    )
    return component.eval()


def tiny_assembly() -> Assembly:
    """Give a parallel assembly of two tiny components with a fitted head."""
    parts = [tiny_component(seed=1), tiny_component(seed=2, classes=("elk", "fox"))]
    generator = torch.Generator().manual_seed(5)
    head = Head("ridge", torch.randn(4, 4, generator=generator), torch.randn(4, generator=generator))
    classes = ("bee", "dog", "elk", "fox")
    record = JoinRecord(HeadState.FITTED, scaling="layer", seed=7)
    return Assembly(parts, layout="parallel", classes=classes, head=head, record=record).eval()


def reading_assembly() -> Assembly:
    """Give the same parts with a head on features, and with a class for what is none of these."""
    whole = tiny_assembly()
    generator = torch.Generator().manual_seed(6)
    head = Head(
        "lda", torch.randn(5, 10, generator=generator), torch.randn(5, generator=generator), reads=[["head"], ["head"]]
    )
    record = JoinRecord(HeadState.CARRIED, outsiders=Outsiders(0.1, 2.5))
    classes = (*whole.classes, "none of these")
    return Assembly(list(whole.parts), layout="parallel", classes=classes, head=head, record=record).eval()


def images(*, dtype: torch.dtype = torch.float32) -> Tensor:
    """Give three random images of 3 x 8 x 9."""
    return torch.rand(3, 3, 8, 9, generator=torch.Generator().manual_seed(9)).to(dtype)


def read_json(folder: Path) -> dict:
    """Read the manifest of a saved folder."""
    return json.loads((folder / "manifest.json").read_text())


def write_json(folder: Path, manifest: dict) -> None:
    """Write a manifest back."""
    (folder / "manifest.json").write_text(json.dumps(manifest))


def reseal(folder: Path, tensors: dict[str, Tensor], *, describe: bool = True) -> None:
    """Replace the weights and make size and sha256 agree, and with `describe` the tensors' records: a clever forger."""
    data = safetensors.torch.save(tensors)
    (folder / "model.safetensors").write_bytes(data)
    manifest = read_json(folder)
    manifest["weights"] |= {"bytes": len(data), "sha256": digest_of_bytes(data)}
    if manifest["assembly"] is None:
        manifest["parts"][0]["digest"] = digest_of_bytes(data)
    if describe:
        manifest["tensors"] = {
            name: {"dtype": str(one.dtype).removeprefix("torch."), "shape": list(one.shape)}
            for name, one in tensors.items()
        }
    write_json(folder, manifest)
