"""Components and assemblies as ONNX and as archives of torch.export: whether they give what the parts give.

`python -m benchmarks.exports [NAME …]` goes on where it was stopped; `--again` measures also what is there already.
Components are halves of networks with random weights, at small image sizes; each file is compared with its part on 256
images.
"""

import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks.common import RESULTS, record
from benchmarks.coverage.material import enliven
from benchmarks.coverage.material import images as of_smallest_size
from model_lego.exporting.formats import FORMATS
from model_lego.models import build
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import taken_by
from model_lego.parts.preprocessing import Preprocessing
from tests.support.components import cut_part

FILE = RESULTS / "exports.json"
IMAGES, CLASSES = 256, 8
#: Logits from which on a network is blown up so far that float32 tells nothing of its sums: it is enlivened less then.
FAR = 1e6
NETWORKS = (
    "torchvision:resnet18",
    "torchvision:mobilenet_v2",
    "torchvision:vgg11_bn",
    "torchvision:regnet_x_400mf",
    "torchvision:efficientnet_b0",
    "torchvision:shufflenet_v2_x1_0",
    "torchvision:googlenet",
    "torchvision:densenet121",
    "torchvision:resnet50",
    "torchvision:mobilenet_v3_small",
    "torchvision:mnasnet1_0",
    "torchvision:regnet_y_400mf",
    "torchvision:convnext_tiny",
    "torchvision:resnext50_32x4d",
    "torchvision:alexnet",
    "timm:resnet26d",
    "timm:seresnext26d_32x4d",
    "timm:skresnet18",
    "timm:ghostnet_100",
    "timm:mobilenetv3_small_100",
    "timm:efficientnet_lite0",
    "timm:mixnet_s",
    "timm:dla34",
    "timm:res2net50_14w_8s",
    "timm:repvgg_a0",
    "timm:cspresnet50",
    "timm:rexnet_100",
    "timm:gernet_s",
    "timm:convnextv2_atto",
    "timm:hrnet_w18_small",
)
SMALL = (
    "torchvision:resnet18",
    "torchvision:regnet_x_400mf",
    "torchvision:shufflenet_v2_x0_5",
    "timm:mobilenetv3_small_050",
)


def half(name: str, *, seed: int = 0, names: Sequence[str] = "abcd", size: int | None = None) -> Component:
    """Half of the channels of a network with random weights; with a `size` it resizes its images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options = {"init_weights": False} if name == "torchvision:googlenet" else {}
        model = build(name, num_classes=CLASSES, **options).double().eval()
    example = of_smallest_size(model)
    before = copy.deepcopy(model.state_dict())
    for least in (0.1, 0.01, 1e-3):
        model.load_state_dict(before)
        enliven(model, example, least=least)
        with torch.no_grad():
            if bool((copy.deepcopy(model).float()(example.float()).abs() < FAR).all()):
                break
    preprocessing = None if size is None else Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), size)
    shown = example if size is None else nn.functional.interpolate(example, size=(size, size))
    part = cut_part(
        model, ml.trace(model, shown), seed=seed, logits=range(len(names)), names=names, preprocessing=preprocessing
    )
    return part.float()


def tinted(count: int, *sizes: int) -> Tensor:
    """Images in 0..1, a tint for each of the classes in turn."""
    generator = torch.Generator().manual_seed(7)
    tint = torch.rand(8, sizes[0], *[1] * (len(sizes) - 1), generator=generator)
    noise = torch.rand(count, *sizes, generator=generator)
    return (tint[torch.arange(count) % 8] + noise) / 2


def pair(*sizes: int, first: int = 0) -> list[ml.Component]:
    """Two halves of different networks that resize images to these sizes."""
    return [
        half(SMALL[(first + place) % len(SMALL)], seed=place, names=names, size=size)
        for place, (size, names) in enumerate(zip(sizes, ("abcd", "efgh"), strict=True))
    ]


def joined(parts: Sequence[Any], *, classes: int = 8, **options: Any) -> ml.Assembly:
    """An assembly with a head that is fitted to tinted images of so many classes."""
    labels = torch.arange(64) % classes
    batches = [(tinted(64, 3, 64, 64), labels)]
    return ml.assemble(parts, calibration=batches, **options)


def twins(**options: Any) -> ml.Assembly:
    """One dense network of two of one architecture."""
    parts = [
        half("torchvision:resnet18", seed=seed, names=names, size=64) for seed, names in ((1, "abcd"), (2, "efgh"))
    ]
    return joined(parts, layout="padded", **options)


ASSEMBLIES: dict[str, Callable[[], ml.Assembly]] = {
    "two sizes, logits side by side": lambda: joined(pair(64, 96), head="concat"),
    "two sizes, affine": lambda: joined(pair(96, 64, first=1), head="affine"),
    "two networks, ridge": lambda: joined(pair(64, 64, first=2), head="ridge"),
    "two networks, lda": lambda: joined(pair(64, 64, first=3), head="lda"),
    "two networks, blend, none of these": lambda: joined(pair(64, 64), head="blend", outsiders=0.1),
    "logit scaling": lambda: joined(pair(64, 64, first=1), head="concat", scaling="logit"),
    "groups": lambda: joined(pair(64, 64), classes=6, head="affine", groups={"first": ["a", "b"], "last": ["g", "h"]}),
    "padded": lambda: twins(head="concat"),
    "padded, blend, none of these": lambda: twins(head="blend", outsiders=0.1),
    "an assembly in an assembly": lambda: joined(
        [ml.assemble(pair(64, 64)), half(SMALL[2], seed=5, names=("i", "j"), size=64)], classes=10, head="concat"
    ),
}


def corner(network: nn.Module, *shape: int) -> Component:
    """Half of a network that takes no pictures."""
    model = network.double().eval()
    example = torch.rand(2, *shape, dtype=torch.float64)
    return cut_part(model, ml.trace(model, example), logits=range(3), names="abc").float()


CORNERS: dict[str, Callable[[], Component]] = {
    "signals": lambda: corner(
        nn.Sequential(nn.Conv1d(2, 8, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(3), nn.Flatten(), nn.Linear(24, 4)), 2, 40
    ),
    "vectors": lambda: corner(nn.Sequential(nn.Linear(9, 16), nn.Tanh(), nn.Linear(16, 4)), 9),
    "volumes": lambda: corner(
        nn.Sequential(
            nn.Conv3d(1, 8, 3), nn.BatchNorm3d(8), nn.SiLU(), nn.AdaptiveMaxPool3d(1), nn.Flatten(), nn.Linear(8, 4)
        ),
        1,
        8,
        8,
        8,
    ),
}

CASES: dict[str, Callable[[], Any]] = {
    **{name: partial(half, name) for name in NETWORKS[:6]},
    **CORNERS,
    **ASSEMBLIES,
    **{name: partial(half, name) for name in NETWORKS[6:]},
}


def measured(make: Callable[[], Any]) -> dict[str, Any]:
    """What a case gives, format by format."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            part = make()
        except ml.LegoError as error:
            return {"refused": str(error)}
    shape = tuple(side or 64 for side in taken_by(part))
    images = tinted(IMAGES, *shape)
    return {kind: _exported(part, FORMATS[kind].suffix, images) for kind in ("onnx", "pt2")}


def _exported(part: Any, suffix: str, images: Tensor) -> dict[str, Any]:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = ml.export(part, Path(folder, f"part{suffix}"), images=images)
        except ml.LegoError as error:
            return {"refused": str(error).replace(f"{folder}/", "")}
    return {
        "difference": done.difference,
        "largest": done.largest,
        "agreeing": done.agreeing,
        "images": done.images,
        "bytes": done.bytes,
        "seconds": round(time.perf_counter() - started, 1),
    }


def main(arguments: Sequence[str]) -> int:
    """Measure what is asked for, or what has no result yet."""
    again = "--again" in arguments
    asked = [name for name in arguments if name != "--again"] or list(CASES)
    cases: dict[str, Any] = json.loads(FILE.read_text())["cases"] if FILE.exists() else {}
    for name in asked:
        if name in cases and not again:
            continue
        cases[name] = measured(CASES[name])
        print(name, json.dumps(cases[name]), flush=True)
        cases = {each: cases[each] for each in CASES if each in cases}
        versions = {kind: FORMATS[kind].version for kind in ("onnx", "pt2")}
        record("exports", {"cases": cases, "runtimes": versions}, show=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
