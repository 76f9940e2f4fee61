"""Making a component forget: its logits no longer give the images of removed classes away to a linear probe."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.class_surgery.erasure import ConceptMoments, erased
from model_lego.data.batching import Batches, checked, prepared
from model_lego.errors import IncompatibleComponents
from model_lego.graph.modules import first_parameter, hookless_copy
from model_lego.heads.features import logit_layers
from model_lego.parts.component import Component
from model_lego.parts.layer_inputs import pooled, run_and_hear
from model_lego.progress import Progress, quiet, tracked


@torch.no_grad()
def forget(part: Component, batches: Batches, concepts: int, *, progress: Progress = quiet) -> None:
    """Erase concepts from the logits of a component, in place, and note it in its origin.

    Labels of the batches are 0 for images of its classes, 1 to `concepts` for those of the removed ones. Where there is
    no image of a removed class nothing is done, and where the logits are not a linear map of one layer's inputs the
    origin says why not.
    """
    network, like = hookless_copy(part.module).eval(), first_parameter(part.module)
    feed, seen, path = prepared(batches, part.preprocessing), None, ""
    reader = checked(feed, shape=part.origin.input_shape, labels=concepts + 1)
    for images, labels in tracked(reader, "forgetting", progress):
        images = images.to(like)
        if seen is None:
            path, why_not = _last_layer(network, images)
            if why_not:
                _note(part, {"why_not": why_not})
                return
            seen = ConceptMoments.empty(network.get_submodule(path).weight[0].numel(), concepts)  # type: ignore[index]
        _, heard = run_and_hear(network, [path], images)
        seen.add(pooled(heard[path], network.get_submodule(path)), labels)
    if seen is None or not bool(seen.counts[1:].any()) or not bool(seen.counts[0]):
        return
    layer: Any = part.module.get_submodule(path)
    weight, bias = erased(layer.weight.flatten(1), layer.bias, seen)
    layer.weight.copy_(weight.reshape(layer.weight.shape))
    layer.bias.copy_(bias)
    _note(part, {"layer": path, "images": int(seen.counts[1:].sum()), "others": int(seen.counts[0])})


def _last_layer(network: nn.Module, images: Tensor) -> tuple[str, str]:
    """The layer that gives the logits, as a linear map of its inputs; or why there is none."""
    try:
        paths = logit_layers(network, images[:2])
    except IncompatibleComponents as error:
        return "", str(error)
    if len(paths) != 1:
        return "", f"{len(paths)} layers give the logits"
    layer: Any = network.get_submodule(paths[0])
    if layer.bias is None:
        return "", f"layer '{paths[0]}' has no bias"
    if sum(one is layer.weight for _, one in network.named_parameters(remove_duplicate=False)) > 1:
        return "", f"layer '{paths[0]}' shares its weights"
    logits, heard = run_and_hear(network, list(paths), images[:2])
    expected = pooled(heard[paths[0]], layer) @ layer.weight.flatten(1).T + layer.bias
    if expected.shape != logits.shape or not torch.allclose(expected, logits, rtol=1e-3, atol=1e-4):
        return "", f"the logits are not what layer '{paths[0]}' gives"
    return paths[0], ""


def _note(part: Component, record: dict[str, Any]) -> None:
    part.origin = replace(part.origin, settings={**part.origin.settings, "forgotten": record})
