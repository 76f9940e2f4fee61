"""What reads files of strangers: for each a whole file, the ways to damage it, and how it is read to the end."""

import functools
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from hypothesis import strategies as st

from benchmarks.kills import part
from model_lego import attribute, trace
from model_lego.cli.recipe.reading import read_recipe
from model_lego.data import open_data
from model_lego.data.class_maps import read_class_map
from model_lego.digest import digest_of_bytes
from model_lego.models import build, load_weights
from model_lego.models.weights import infer_classes
from model_lego.store import inspect, load, load_statistics, save, save_statistics
from tests.fuzz.files import damage

LENET = {"width": 0.2, "num_classes": 10}
RECIPE = {
    "common": {"data": "digits", "seed": 1},
    "steps": {
        "one": {
            "command": "disassemble",
            "model": "zoo:lenet5",
            "weights": "x.pt",
            "classes": [1, "3"],
            "budget": {"macs": 0.5},
            "argument": {"width": 0.5},
            "repair": "ridge",
        },
        "both": {"command": "assemble", "parts": ["one", "one"], "group": {"odd": [1, 3]}, "head": "auto"},
        "file": {"command": "export", "part": "both", "to": "x.onnx"},
    },
    "result": "both",
    "made": {"versions": {"torch": "2"}, "files": {"a": "b"}, "result": "0" * 64},
}


Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """Whole files by their names, the ways to damage them, and what reads them from a folder.

    It raises a LegoError, or nothing.
    """

    name: str
    whole: Callable[[], Files]
    damaged: Callable[[Files], st.SearchStrategy[Files]]
    read: Callable[[Path], object]

    def drawn(self):
        """Damaged files."""
        return self.damaged(self.whole())


def in_file(name, damaged):
    """Damage one of several files, or the only one, in some way."""
    return lambda files: damaged(files[name]).map(lambda data: files | {name: data})


@functools.cache
def saved(kind):
    """The files of a saved part, or of statistics."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "saved")
        if kind == "part":
            save(part("a"), folder)
        else:
            images, labels = (
                torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0)),
                torch.arange(20) % 10,
            )
            stats = attribute(
                network(), [(images, labels)], graph=trace(network(), images[:2]), classes=[1, 2], sampling="all"
            )
            save_statistics(stats, folder)
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "README.md"}


@functools.cache
def network():
    """A network whose weights files are read."""
    torch.manual_seed(0)
    return build("zoo:lenet5", **LENET).eval()


@st.composite
def resealed(draw, files):
    """Damaged weights in a folder, and a manifest that has their size and their digest."""
    name = next(each for each in files if each.endswith(".safetensors"))
    data = draw(damage.of_safetensors(files[name]))
    manifest = json.loads(files["manifest.json"])
    record = manifest["weights"] if "weights" in manifest else manifest["files"][0]
    record |= {"bytes": len(data), "sha256": digest_of_bytes(data)}
    return files | {name: data, "manifest.json": json.dumps(manifest).encode()}


def checkpoint():
    """What torch.save wrote of a training: weights under a key, and more beside."""
    whole = io.BytesIO()
    torch.save({"model": network().state_dict(), "epoch": 3, "args": {"lr": 0.1}}, whole)
    return whole.getvalue()


def arrays():
    """Data as an .npz file."""
    whole, pixels = io.BytesIO(), np.arange(4 * 8 * 8, dtype=np.uint8).reshape(4, 8, 8)
    labels = np.array([0, 1, 0, 1])
    names = np.array(["a", "b"])
    np.savez(whole, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels, class_names=names)
    return whole.getvalue()


def read_part(folder):
    """Look at a part, open it, and run it."""
    inspect(folder, check_weights=True)
    opened = load(folder)
    with torch.no_grad():
        opened(torch.zeros(1, 1, 28, 28))


def read_sums(folder):
    """Open statistics, and read all of their sums."""
    stats = load_statistics(folder)
    for layer in stats.layers:
        for label in stats.classes:
            stats.mean(layer, label)


def read_weights(folder):
    """Read a file of weights into a network, as commands do."""
    (file,) = folder.iterdir()
    infer_classes(file)
    load_weights(build("zoo:lenet5", **LENET).eval(), file)


def read_data(folder):
    """Open data, and look at an image of each part."""
    split = open_data(folder / "x.npz")
    for images in (split.train, split.test):
        if len(images):
            images.image(0)


def read_map(folder):
    """Read a class map."""
    (file,) = folder.iterdir()
    read_class_map(file)


def read_steps(folder):
    """Read a recipe, whose files are not here."""
    read_recipe((folder / "r.yaml").read_bytes().decode("utf-8", "replace"), "r.yaml", only_read=True)


def one(name, data):
    """A file that is made when it is wanted."""
    return functools.cache(lambda: {name: data()})


def _target(name, whole, place, damaged, read):
    return Target(name, whole, in_file(place, damaged), read)


def _weights():
    return safetensors.torch.save(network().state_dict())


def _words():
    return json.dumps({"cats": "cat", "dogs": 1, "others": None, "e, f": "e"}, indent=1).encode()


def _rows():
    return b'folder;class\ncats;cat\ndogs;1\n"e;f";e\n'


def _steps():
    return json.dumps(RECIPE, indent=1).encode()


_PART, _SUMS = partial(saved, "part"), partial(saved, "statistics")

TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        _target("manifest", _PART, "manifest.json", damage.of_json_text, read_part),
        Target("weights of a part", _PART, resealed, read_part),
        _target("recipe", one("r.yaml", _steps), "r.yaml", damage.of_json_text, read_steps),
        _target("class map", one("map.yaml", _words), "map.yaml", damage.of_json_text, read_map),
        _target("class map as JSON", one("map.json", _words), "map.json", damage.of_json_text, read_map),
        _target("class map as rows", one("map.csv", _rows), "map.csv", damage.of_bytes, read_map),
        _target("safetensors", one("w.safetensors", _weights), "w.safetensors", damage.of_safetensors, read_weights),
        _target("manifest of statistics", _SUMS, "manifest.json", damage.of_json_text, read_sums),
        Target("statistics", _SUMS, resealed, read_sums),
        _target("checkpoint", one("w.pt", checkpoint), "w.pt", damage.of_archive, read_weights),
        _target("npz", one("x.npz", arrays), "x.npz", damage.of_archive, read_data),
    )
}
