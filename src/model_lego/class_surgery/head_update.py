"""An assembly with other parts: its head fitted again to calibration images, or carried over where there are none."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from model_lego.assembly.assembling import CHECKED, built, record_of, self_check, with_fitted_head
from model_lego.assembly.calibration import noise, read_calibration
from model_lego.data.batching import Batches
from model_lego.errors import ClassClash
from model_lego.heads.carrying import Carried, carry
from model_lego.heads.fitting import settle
from model_lego.heads.settings import HeadKind, JoinSettings
from model_lego.parts.assembly import NONE_OF_THESE, Assembly, Part, own_classes, owned_classes, rejects
from model_lego.parts.class_names import ClassNames
from model_lego.parts.component import Component
from model_lego.parts.grouping import group_of, grouped, left_of
from model_lego.parts.join_record import Clash, HeadState
from model_lego.parts.layer_inputs import pooled, run_and_hear
from model_lego.parts.origin import Origin
from model_lego.progress import Progress


def fitted_again(
    networks: Sequence[Part],
    calibration: Batches,
    settings: JoinSettings,
    progress: Progress,
) -> Assembly:
    """The assembly of networks that have their layout already, and a head fitted to images of their classes.

    Raises what `assemble` raises of calibration images and heads.
    """
    settled = settle(owned_classes(networks, settings.layout), settings)
    labelled = read_calibration(
        networks,
        calibration,
        settled,
        labels="classes",
        class_names=settings.class_names,
        progress=progress,
    )
    check = self_check(networks, networks, labelled.images[:CHECKED])
    record = record_of(HeadState.FITTED, networks, settings, check)
    return with_fitted_head(networks, settled, labelled, settings, record)


def carried_over(
    assembly: Assembly,
    networks: Sequence[Part],
    columns: Sequence[Tensor | None],
    *,
    on_clash: Clash,
    outsiders: bool = True,
    reads: Sequence[Sequence[str]] = (),
) -> Assembly:
    """The assembly with these networks in place of its own, and its head as far as it goes.

    `columns` are the inputs of the old head that each network gives, None for a new part, and `reads` the layers of
    each that a head on features reads; without `outsiders` the class "none of these" goes. Raises ClassClash.
    """
    owned = owned_classes(networks, assembly.layout)
    together = owned if assembly.layout == "parallel" else [tuple(chain.from_iterable(owned))]
    parts = [
        Carried(classes if inputs is None else _rows(assembly, classes), inputs)
        for classes, inputs in zip(together, columns, strict=True)
    ]
    outsiders = outsiders and rejects(assembly)
    terms, head = carry(assembly.head, assembly.terms, parts, on_clash=on_clash, outsiders=outsiders, reads=reads)
    groups = left_of(assembly.groups, [*chain.from_iterable(owned)])
    for name in chain.from_iterable(part.classes for part in parts if part.columns is None):
        if name in groups and name not in groups[name]:
            raise ClassClash(f"class '{name}' has the name of a group; assemble the parts anew, with it in that group")
    old, example = assembly.record, noise(networks)
    state = HeadState.CARRIED if old.was_fitted else HeadState.SIDE_BY_SIDE
    settings = JoinSettings(scaling=old.scaling, on_clash=on_clash, seed=old.seed)
    record = replace(
        record_of(state, networks, settings, self_check(networks, networks, example)),
        calibration_digests=old.calibration_digests,
        outsiders=old.outsiders if outsiders else None,
    )
    return built(
        networks,
        assembly.layout,
        head.to(example),
        record,
        terms=terms,
        classes=order_of(assembly, owned) + ((NONE_OF_THESE,) if outsiders else ()),
        groups=groups,
    )


def _rows(assembly: Assembly, classes: Sequence[str]) -> tuple[str, ...]:
    """The terms of an assembly's head that stand for classes of its parts: a head on features knows groups alone."""
    group = group_of(assembly.groups)
    return tuple(name if name in assembly.terms else group[name] for name in classes)


def order_of(assembly: Assembly, owned: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The classes that an assembly has with parts of these classes: in its own order, if it was given one."""
    classes = grouped(chain.from_iterable(owned), left_of(assembly.groups, [*chain.from_iterable(owned)]))[0]
    as_they_came = grouped(chain.from_iterable(assembly.owned()), assembly.groups)[0]
    if own_classes(assembly) == as_they_came:
        return classes
    old = [name for name in assembly.classes if name in classes]
    return (*old, *(name for name in classes if name not in old))


def settings_like(
    assembly: Assembly,
    owned: Sequence[Sequence[str]],
    *,
    head: HeadKind,
    class_names: ClassNames | None,
    outsiders: float | None,
    seed: int,
    on_clash: Clash | None = None,
) -> JoinSettings:
    """How an assembly was put together, with parts of these classes and another head to fit."""
    return JoinSettings(
        layout=assembly.layout,
        scaling=assembly.record.scaling,
        head=head,
        on_clash=on_clash or assembly.record.on_clash,
        class_names=class_names,
        outsiders=outsiders,
        order=order_of(assembly, owned),
        groups=left_of(assembly.groups, [*chain.from_iterable(owned)]),
        seed=seed,
    )


def share_of_outsiders(assembly: Assembly) -> float | None:
    """The share of images that may be taken for "none of these", where the assembly has that class."""
    return assembly.record.outsiders.share if assembly.record.outsiders else None


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
    assert isinstance(network, Component)  # an assembly has no features that a head reads
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
        return [len(own_classes(network))]
    paths = [f"module.{path}" for path in assembly.head.reads[number]]
    _, heard = run_and_hear(network, paths, noise(assembly.networks()))
    return [pooled(x, network.get_submodule(path)).shape[1] for path, x in heard.items()]
