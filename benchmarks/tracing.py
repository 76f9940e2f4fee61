"""trace + cut at the image size that a network was made for: seconds, and peak memory beside a plain run of two images.

ResNet-50, EfficientNet-B0, a ConvNeXt, two vision transformers, and the networks that took the most memory for their
size in `make coverage`, which uses the smallest images that run. Float32, random weights; each network in a process of
its own.
"""

import multiprocessing
import time
import warnings
from dataclasses import replace
from typing import Any

import model_lego as ml
from benchmarks.common import record
from benchmarks.coverage.memory import Memory
from model_lego.graph import select
from model_lego.models import build, image_shape
from model_lego.parts.origin import Builder

NAMES = (
    *("timm:vit_small_patch16_224", "torchvision:convnext_tiny", "timm:swin_tiny_patch4_window7_224"),
    *("torchvision:resnet50", "torchvision:efficientnet_b0", "torchvision:shufflenet_v2_x0_5"),
    *("torchvision:shufflenet_v2_x1_0", "torchvision:shufflenet_v2_x1_5", "torchvision:shufflenet_v2_x2_0"),
    *("timm:mixnet_s", "timm:nf_ecaresnet26", "timm:skresnet18", "timm:eca_nfnet_l0"),
    *("timm:mobilenetv4_conv_small_035", "timm:mobilenetv3_small_050", "timm:lambda_resnet26t"),
    *("timm:repghostnet_050", "timm:lamhalobotnet50ts_256", "timm:lcnet_035", "timm:halonet_h1"),
)
SEED = 0


def main() -> None:
    """Run the benchmark."""
    context = multiprocessing.get_context("spawn")
    rows = {}
    for name in NAMES:
        with context.Pool(1) as pool:
            try:
                rows[name] = pool.apply(_measured, (name,))
            except ml.LegoError as error:
                rows[name] = {"error": str(error)}
    record("tracing", {"seed": SEED, "networks": rows})


def _measured(name: str) -> dict[str, Any]:
    import scipy.optimize  # noqa: F401  # the libraries' memory is not the network's
    import timm  # noqa: F401
    import torch.export
    import torchvision  # noqa: F401

    warnings.simplefilter("ignore")
    torch.manual_seed(SEED)
    memory = Memory()
    builder = Builder(name, {"num_classes": 10})
    model = build(name, **builder.arguments).eval()
    images = torch.rand(2, *image_shape(builder, model))
    plain = memory.of(lambda: model(images))
    memory.reset()
    started = time.perf_counter()
    graph = ml.trace(model, images)
    traced, peak = time.perf_counter() - started, memory.peak()
    planned = ml.plan(model, [(images, torch.tensor([0, 1]))], classes=[0, 1], graph=graph, sampling="all")
    wanted = torch.rand(graph.width) < 0.5
    half = select(graph, wanted, logits=[0, 1], scores=torch.rand(graph.width, dtype=torch.float64))
    memory.reset()
    started = time.perf_counter()
    ml.cut(model, replace(planned, selection=half))
    return {
        "image": list(images.shape[1:]),
        "seconds": {"trace": traced, "cut": time.perf_counter() - started},
        "memory": max(peak, memory.peak()) / plain,
        "plain_mib": plain / 1024,
    }


if __name__ == "__main__":
    main()
