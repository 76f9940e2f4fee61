"""The networks to try: every classifier of torchvision, and the smallest of each kind in timm's convolutional families.

`python -m benchmarks.coverage.networks` writes the list anew from the registries; it is kept in networks.json, so that
a newer timm does not change what a result means.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

LIST = Path(__file__).with_name("networks.json")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Families (modules of timm) in which tokens, not channels of maps, carry the features, or most of them.
NOT_CONVOLUTIONAL = _words(
    "beit cait coat convit cpubone crossvit csatv2 davit deepseek_vit deit edgenext efficientformer efficientformer_v2 "
    "efficientvim efficientvit_mit efficientvit_msra eva gcvit gemma4_vit hiera hieradet_sam2 iformer levit lowformer "
    "maxxvit mlp_mixer mobilenetv5 mobilevit mvitv2 naflexvit nest nextvit pit pvt_v2 qwen3_vit sequencer shvit "
    "swiftformer swin_transformer swin_transformer_v2 swin_transformer_v2_cr tiny_vit tnt twins visformer "
    "vision_transformer vision_transformer_hybrid vision_transformer_relpos vision_transformer_sam vitamin volo "
    "xcit"
)
#: The same in torchvision, each with its smallest network.
TRANSFORMERS = {"vit": "vit_b_32", "swin": "swin_t", "maxvit": "maxvit_t"}
#: Words of a name that tell a size, a training run or an input size, not another kind of network.
SIZES = _words(
    "atto base em es femto huge kobe l la large m ma max medium mega micro mini miil ml nano o pico plus ri s sa short "
    "small t tall tiny wide x xe xl xlarge xs xx xxl xxlarge xxs zepto tv clip gap gluon legacy pruned ssld in ft k tf "
    "teacher distilled bit bitm"
)


def networks() -> dict[str, str]:
    """Convolutional networks: "timm:resnet18" -> its family."""
    found: dict[str, str] = json.loads(LIST.read_text())["convolutional"]
    return found


def transformers() -> dict[str, str]:
    """The smallest network of each family that works on tokens, or on both: what can be cut there is counted apart."""
    found: dict[str, str] = json.loads(LIST.read_text())["tokens"]
    return found


def from_registries() -> dict[str, dict[str, str]]:
    """Make both lists from what is installed."""
    convolutional, tokens = dict(_torchvision()), {f"torchvision:{name}": kind for kind, name in TRANSFORMERS.items()}
    import timm
    from timm.models._registry import _model_to_module

    kinds: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name in timm.list_models():
        family = _model_to_module[name]
        if not name.startswith("test_") and not name.endswith("_enc"):
            kind = () if family in NOT_CONVOLUTIONAL else _kind(name)
            kinds.setdefault((family, kind), []).append(name)
    for (family, kind), names in sorted(kinds.items()):
        (convolutional if kind or family not in NOT_CONVOLUTIONAL else tokens)[f"timm:{min(names, key=_size)}"] = family
    return {"convolutional": convolutional, "tokens": tokens}


def _torchvision() -> Iterator[tuple[str, str]]:
    import torchvision

    for name in sorted(torchvision.models.list_models(module=torchvision.models)):
        if not name.startswith(tuple(TRANSFORMERS)):
            maker = torchvision.models.get_model_builder(name)
            yield f"torchvision:{name}", str(maker.__module__).rpartition(".")[2]


def _kind(name: str) -> tuple[str, ...]:
    """A name without its numbers and sizes: "efficientnetv2_rw_t" and "efficientnetv2_rw_m" are of one kind."""
    words = [re.sub(r"\d+", "#", word) for word in name.split("_")]
    return tuple(word for word in words if word.strip("#") and word.replace("#", "") not in SIZES)


def _size(name: str) -> int:
    """Number of parameters."""
    import timm
    import torch

    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False)
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    LIST.write_text(json.dumps(from_registries(), indent=1) + "\n")
    print(f"{len(networks())} convolutional networks and {len(transformers())} others in {LIST}")
