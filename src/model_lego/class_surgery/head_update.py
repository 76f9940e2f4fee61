"""An assembly with other parts: its head fitted again to calibration images, or carried over where there are none."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from model_lego.assembly.assembling import CHECKED, LACKS, finished, self_check, shared_sources
from model_lego.assembly.calibration import noise, read_calibration
from model_lego.data.batching import Batches
from model_lego.digest import SEEN
from model_lego.heads.carrying import Carried, carry
from model_lego.heads.choosing import Plain
from model_lego.heads.fitting import fit_head, kinds_of, settle
from model_lego.parts.assembly import NONE_OF_THESE, Assembly, Head
from model_lego.parts.component import Component, Origin
from model_lego.parts.layer_inputs import pooled, run_and_hear
from model_lego.progress import Progress

#: What an assembly says of a head that was fitted for other parts than it has now.
CARRIED = (
    "a head that was fitted before its parts changed: classes that stayed are judged as they were, new ones by their "
    "own logits; calibration images of all classes would fit it again"
)


def is_fitted(assembly: Assembly) -> bool:
    """Whether the head was fitted to calibration images, so that it would be lost by putting logits side by side."""
    return assembly.settings.get("lacks") != LACKS


def fitted_again(
    assembly: Assembly,
    networks: Sequence[Component],
    calibration: Batches,
    *,
    class_names: Sequence[str],
    head: str,
    outsiders: float | None,
    seed: int,
    progress: Progress,
) -> Assembly:
    """The assembly with these networks in place of its own, and a head fitted to images of their classes.

    Raises what `assemble` raises of calibration images and heads.
    """
    scaling = assembly.settings.get("scaling")
    made = _with_networks(assembly, networks, seed)
    images, places, digests = read_calibration(
        networks, calibration, classes=made.classes, labels="classes", class_names=class_names, progress=progress
    )
    _, pick = settle(made.owned(), assembly.settings["on_clash"])
    made.settings["check"] = self_check(made, networks, images[:CHECKED])
    made.settings |= {"calibration_images": len(images), "calibration_labels": "classes", SEEN: digests}
    fit_head(made, images, places, pick=pick, kinds=kinds_of(head, scaling), scaling=scaling, outsiders=outsiders)
    return finished(made, images)


def carried_over(
    assembly: Assembly,
    networks: Sequence[Component],
    columns: Sequence[Tensor | None],
    *,
    on_clash: str,
    outsiders: bool = True,
    reads: Sequence[Sequence[str]] = (),
) -> Assembly:
    """The assembly with these networks in place of its own, and its head as far as it goes.

    `columns` are the inputs of the old head that each network gives, None for a new part, and `reads` the layers of
    each that a head on features reads; without `outsiders` the class "none of these" goes. Raises ClassClash.
    """
    made = _with_networks(assembly, networks, assembly.settings["seed"])
    owned = made.owned() if made.padded is None else [tuple(name for part in made.owned() for name in part)]
    parts = [Carried(classes, inputs) for classes, inputs in zip(owned, columns, strict=True)]
    made.classes, head = carry(assembly.head, assembly.classes, parts, on_clash=on_clash, outsiders=outsiders)
    made.head = Head(head.kind, head.weight, head.shift, reads=reads)
    example = noise(networks)
    made.settings |= {"check": self_check(made, networks, example), "on_clash": on_clash}
    made.settings |= {SEEN: assembly.settings[SEEN]} if SEEN in assembly.settings else {}
    made.settings["lacks"] = CARRIED if is_fitted(assembly) else LACKS
    if NONE_OF_THESE in made.classes:
        made.settings["outsiders"] = assembly.settings["outsiders"]
    return finished(made, example)


def share_of_outsiders(assembly: Assembly) -> float | None:
    """The share of images that may be taken for "none of these", where the assembly has that class."""
    return assembly.settings["outsiders"]["share"] if NONE_OF_THESE in assembly.classes else None


def head_inputs(assembly: Assembly) -> list[Tensor]:
    """The numbers of the head's inputs that each network of an assembly gives."""
    widths = [sum(_widths(assembly, number)) for number in range(len(assembly.networks()))]
    return list(torch.arange(sum(widths)).split(widths))


def inputs_left(assembly: Assembly, number: int, rest: Sequence[int], inner: Origin) -> Tensor:
    """Which of its inputs of the head a network still gives when it was narrowed to some of its classes.

    `inner` is the origin of the narrower network, told from the network on.
    """
    mine = head_inputs(assembly)[number]
    if not assembly.head.reads:
        return mine[list(rest)]
    left, network = [], assembly.networks()[number]
    paths, widths = assembly.head.reads[number], _widths(assembly, number)
    for path, inputs in zip(paths, mine.split(widths), strict=True):
        weight: Any = network.module.get_submodule(path).weight
        kept = inputs.reshape(weight.shape[1], -1)[list(inner.kept_inputs[path])]  # some give several numbers a channel
        left.append(kept.reshape(-1))
    return torch.cat(left)


@torch.no_grad()
def _widths(assembly: Assembly, number: int) -> list[int]:
    """How many inputs of the head a network gives, layer by layer that is read; all its logits where none is."""
    network = assembly.networks()[number]
    if not assembly.head.reads:
        return [len(network.classes)]
    paths = [f"module.{path}" for path in assembly.head.reads[number]]
    _, heard = run_and_hear(network, paths, noise(assembly.networks()))
    return [pooled(x, network.get_submodule(path)).shape[1] for path, x in heard.items()]


def _with_networks(assembly: Assembly, networks: Sequence[Component], seed: int) -> Assembly:
    """The bare assembly of other networks, in the same layout; its logits are side by side."""
    settings = {key: assembly.settings[key] for key in ("layout", "scaling", "on_clash")} | {"seed": seed}
    settings |= shared_sources(networks)
    made = Assembly(
        networks,
        layout=assembly.layout,
        classes=(),
        head=Head.identity(0),
        padded=networks[0] if assembly.padded is not None else None,
        settings=settings,
    ).eval()
    made.classes, pick = settle(made.owned(), "prefer")
    made.head = Plain(pick).unscaled(sum(len(network.classes) for network in networks))
    return made
