"""Saved parts: whether a fresh process and a second reader give their logits, and how long files and commands take.

`python -m benchmarks.saving`, recorded in `benchmarks/results/saving.json`. Networks have random weights; twenty
components of torchvision, timm and transformers and five assemblies are saved here and loaded where nothing else is.
"""

import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

import model_lego as ml
from benchmarks.common import ROOT, record
from model_lego.models import build
from model_lego.parts.answers import answer_of
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.store import inspect
from model_lego.store.asking import answered_otherwise
from model_lego.store.bounded import outline
from model_lego.store.probe import image_of, other_answer, probe_of, shape_for
from model_lego.store.rebuild import rebuild
from model_lego.store.swapping import all_to_disk
from model_lego.store.tensors import named_tensors
from model_lego.store.weights import read_weights, write_weights
from tests.support import fresh_process, hub_folders
from tests.support.components import cut_part

CLASSES, SIDE, ROUNDS = 8, 64, 5
LIBRARIES = {
    "torchvision": (
        *("resnet18", "mobilenet_v2", "vgg11_bn", "regnet_x_400mf", "efficientnet_b0", "shufflenet_v2_x1_0"),
        *("googlenet", "densenet121", "mobilenet_v3_small"),
    ),
    "timm": (
        *("resnet26d", "skresnet18", "ghostnet_100", "mobilenetv3_small_100", "efficientnet_lite0", "repvgg_a0"),
        "convnextv2_atto",
    ),
}
#: A command with an argument, an option and a switch, as `inspect` and `parts list` have some.
NOTHING = """
import os, typer
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "1"
def command(folder: str, name: str | None = None, json: bool = False): ...
app = typer.Typer(add_completion=False)
app.command()(command)
app()
"""
#: Kinds of networks of transformers.
HUB = tuple(hub_folders.NETWORKS)


def half(model: nn.Module, builder: Builder, *, side: int = SIDE, names: str = "abcd") -> Component:
    """Half of the channels of a network, and as many of its logits as there are names."""
    graph = ml.trace(model.eval(), torch.rand(2, 3, side, side))
    return cut_part(model, graph, logits=range(len(names)), names=names, builder=builder)


def named(name: str, **how: Any) -> Component:
    """Half of a network by its name."""
    torch.manual_seed(0)
    arguments = {"num_classes": CLASSES} | ({"init_weights": False} if name == "torchvision:googlenet" else {})
    return half(build(name, **arguments), Builder(name, arguments), **how)


def of_hub(kind: str) -> Component:
    """Half of a network of transformers."""
    with tempfile.TemporaryDirectory() as folder:
        hub_folders.write(kind, folder)  # type: ignore[no-untyped-call]
        opened = ml.open_network(f"hf:{folder}")
    return half(opened.model, opened.builder, side=hub_folders.SIDE, names="abc")


def assemblies() -> dict[str, ml.Assembly]:
    """Assemblies with a head of each form, an assembly inside, and a padded one."""
    first, second = (
        named(f"torchvision:{name}", names=names) for name, names in (("resnet18", "ab"), ("alexnet", "cd"))
    )
    twins = [named("torchvision:resnet18", names=names) for names in ("ab", "cd")]
    images = torch.rand(40, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    given = [(images, torch.arange(40) % 4)]
    blended = ml.assemble([first, second], calibration=given, head="blend", outsiders=0.1)
    return {
        "side-by-side": ml.assemble([first, second]),
        "blend-none-of-these": blended,
        "groups": ml.assemble(
            [first, second], calibration=given, head="affine", class_names=list("abcd"), groups={"pet": ["b", "c"]}
        ),
        "nested": ml.assemble([blended, named("timm:resnet26d", names="ef")]),
        "padded": ml.assemble(twins, layout="padded"),
    }


def agreement(folder: Path) -> dict[str, Any]:
    """Save all parts, and compare what this process, a fresh one and the second reader give."""
    makers: dict[str, Callable[[], Component]] = {f"transformers-{kind}": partial(of_hub, kind) for kind in HUB}
    for library, names in LIBRARIES.items():
        makers |= {f"{library}-{name}": partial(named, f"{library}:{name}") for name in names}
    images, logits = {}, {}
    components: Iterator[tuple[str, Component | ml.Assembly]] = ((name, make()) for name, make in makers.items())
    for name, part in chain(components, assemblies().items()):
        ml.save(part, folder / name)
        images[name] = torch.rand(4, *shape_for(part), generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            logits[name] = part(images[name])
    result: dict[str, Any] = {"components": len(makers), "assemblies": len(logits) - len(makers)}
    for reader in fresh_process.READERS:
        found, _ = fresh_process.logits_of(folder, images, reader)
        result[f"same logits, bit for bit, {reader}"] = sum(torch.equal(found[name], logits[name]) for name in logits)
    return result


def timed(folder: Path) -> dict[str, Any]:
    """Seconds to save and load half of a ResNet-50, what they are made of, and those of safetensors and one SHA-256."""
    part = named("torchvision:resnet50", side=224)
    tensors = {name: tensor.detach() for name, tensor in named_tensors(part).items()}
    plain, ours = folder / "plain.safetensors", folder / "part"

    def digest() -> None:
        hashlib.sha256(plain.read_bytes()).hexdigest()

    def save_plain() -> None:
        safetensors.torch.save_file(tensors, plain)
        digest()

    def load_plain() -> None:
        safetensors.torch.load_file(plain)
        digest()

    seconds = {
        "save": least(lambda: ml.save(part, ours, overwrite=True)),
        "safetensors and SHA-256, save": least(save_plain),
        "load": least(lambda: ml.load(ours)),
        "safetensors and SHA-256, load": least(load_plain),
    }
    manifest = inspect(ours)
    read = partial(read_weights, ours, manifest.weights, manifest.tensors)
    made = partial(rebuild, ours, manifest, read(), None)
    again, shape = made(), manifest.probe.shape if manifest.probe else shape_for(part)
    seconds |= {
        "of both: the network is built, and the tensors are put in": least(made),
        "of both: it answers the seeded image": least(lambda: other_answer(again, manifest.probe)),
        "of both: torch alone builds the network without memory": least(
            lambda: outline(lambda: build("torchvision:resnet50"), len(tensors))
        ),
        "of both: torch alone answers the seeded image": least(lambda: answer_of(part, image_of(shape, part))),
        "of save: a small image is found that tells as much, and answered": least(lambda: probe_of(part)),
        "of load: it answers the seeded image, and is weighed": least(
            lambda: answered_otherwise(ours, again, manifest)
        ),
        "of load: the manifest is read and checked": least(lambda: inspect(ours)),
        "of load: the weights are read, hashed and checked": least(read),
        "of save: the weights are written and hashed": least(lambda: write_weights(tensors, folder / "weights")),
        "of save: files are brought to the disk, on the clock": least(lambda: all_to_disk(ours), time.perf_counter),
    }
    return {"MB": round(plain.stat().st_size / 1e6, 1)} | {name: round(each, 3) for name, each in seconds.items()}


def processor() -> float:
    """Seconds of the processor that this process and those that it ran have taken."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def least(run: Callable[[], Any], clock: Callable[[], float] = processor) -> float:
    """The seconds of the fastest of some rounds; of the processor, as other work on the machine does not count."""
    found = []
    for _ in range(ROUNDS):
        started = clock()
        run()
        found.append(clock() - started)
    return min(found)


def commands(part: Path, folder: Path) -> dict[str, float]:
    """Seconds of commands that read no weights, the least of rounds, and of what typer and manifests import."""
    ml.bin_add(part, folder=folder)
    python, ours = [sys.executable, "-c"], [sys.executable, "-m", "model_lego"]
    asked = {
        "python itself": [*python, "pass"],
        "python, typer": [*python, "import typer.main"],
        "python, typer and pydantic": [*python, "import typer.main, pydantic.main, pydantic.types"],
        "a command of typer that does nothing": [*python, NOTHING, "a folder"],
        "--version": [*ours, "--version"],
        "--help": [*ours, "--help"],
        "inspect": [*ours, "inspect", str(part)],
        "inspect --tree": [*ours, "inspect", str(part), "--tree"],
        "parts list": [*ours, "parts", "list", "--bin", str(folder)],
    }
    # As where it is installed, nothing is compiled again.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder.with_name("compiled"))}
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **compiled}
    run = partial(subprocess.run, env=variables, capture_output=True, check=True)
    return {name: round(least(partial(run, words)), 3) for name, words in asked.items()}


def main() -> None:
    """Measure and record."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        result = {"fresh process": agreement(folder), "half of a ResNet-50, seconds of the processor": timed(folder)}
        record("saving", result | {"commands, seconds of the processor": commands(folder / "part", folder / "bin")})


if __name__ == "__main__":
    main()
