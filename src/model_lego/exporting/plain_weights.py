"""A plain state dict (.safetensors): tensors as torch names them, and the recipe that builds their network, as data.

The recipe is the manifest that `save` writes. A component's tensors are named as in the source's own class.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from safetensors import safe_open

from model_lego.errors import BadConfig
from model_lego.exporting.formats import Run
from model_lego.parts.answers import answer_of
from model_lego.parts.assembly import leaves
from model_lego.parts.component import Component
from model_lego.store.files import record_of_bytes
from model_lego.store.manifest import Manifest
from model_lego.store.manifest_text import parse_manifest, to_json
from model_lego.store.rebuild import rebuild
from model_lego.store.records import manifest_of
from model_lego.store.tensors import named_tensors, split_aliases

if TYPE_CHECKING:
    from model_lego.exporting.taken import Exportable

#: The name of the recipe among the texts of the file.
RECIPE = "model_lego.recipe"
#: What a component's own names begin with.
PREFIX = "module."


def write(given: "Exportable", file: Path) -> None:
    """Write the file; raises BadConfig for what no recipe without code can build."""
    for leaf in leaves(given.part):
        if leaf.origin.builder is None or leaf.origin.builder.is_own_code:
            source = "a network that no library builds" if leaf.origin.builder is None else leaf.origin.builder.name
            raise BadConfig(
                f"the part was cut from {source}, which no recipe without code can build: export it to onnx or pt2, or "
                "save it"
            )
    tensors, aliases = split_aliases(named_tensors(given.part))
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        weights = record_of_bytes(safetensors.torch.save(own, {"format": "pt"}))
        recipe = to_json(manifest_of(given.part, tensors, aliases, weights))
    except ValueError as error:
        raise BadConfig(f"the part cannot be written as a recipe: {error}") from None
    prefix = PREFIX if isinstance(given.part, Component) else ""
    named = {name.removeprefix(prefix): tensor for name, tensor in own.items()}
    safetensors.torch.save_file(named, file, {"format": "pt", RECIPE: recipe, **given.notes})


def opened(file: Path, threads: int | None = None) -> Run:
    """Build the part by the recipe, and run it, with so many threads or as many as torch takes."""
    if threads is not None:
        torch.set_num_threads(threads)
    with safe_open(file, "pt") as read:
        recipe = read.metadata()[RECIPE]
        tensors = {name: read.get_tensor(name) for name in read.keys()}  # noqa: SIM118  # it is no mapping
    manifest = parse_manifest(recipe.encode(), str(file), Manifest)
    prefix = PREFIX if json.loads(recipe)["kind"] == "component" else ""
    part = rebuild(file, manifest, {prefix + name: tensor for name, tensor in tensors.items()}, None)
    return lambda batch: answer_of(part, torch.from_numpy(batch)).numpy()
