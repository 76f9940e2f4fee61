"""Build a saved network again: the uncut one, less what was dropped, with the saved attributes and tensors."""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from model_lego.cutting.canonizing import PlainLayer
from model_lego.errors import BadConfig, CorruptComponent
from model_lego.graph.held_numbers import attribute_of, number_at, put_number
from model_lego.graph.modules import find_tensor
from model_lego.graph.spare import Absent
from model_lego.parts.assembly import Assembly, Head, Part, leaves, own_classes
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.store.bounded import outline
from model_lego.store.manifest import AssemblyRecord, Manifest, OriginRecord, PartRecord
from model_lego.store.records import component_from
from model_lego.store.tensors import named_tensors, to_channels_last
from model_lego.store.weights import refuse_differences

Factory = Callable[[], nn.Module]

#: The key of `Origin.settings` that lists the modules (or parameters) which were taken out.
DROPPED = "dropped_modules"
#: The key that tells which layers compute no weight any more, and how to build them.
PLAIN = "plain_layers"


def rebuild(
    folder: Path,
    manifest: Manifest,
    tensors: Mapping[str, Tensor],
    factory: Factory | Mapping[str, Factory] | None,
) -> Component | Assembly:
    """Build the component or assembly of a manifest and put the saved tensors in, in eval mode on the CPU.

    What a builder makes has no memory of its own before the tensors are in: the file says how large it may be.

    Raises:
        BadConfig: a part needs a factory and there is none.
        CorruptComponent: the manifest and the tensors do not make a network.
    """
    names = [*manifest.tensors, *manifest.aliases]
    parts = [
        _component(folder, part, key, factory, tensors=sum(name.startswith(prefix) for name in names))
        for key, prefix, part in zip(part_keys(manifest), manifest.prefixes(), manifest.parts, strict=True)
    ]
    root = parts[0] if manifest.assembly is None else _assembly(folder, manifest.assembly, parts)
    root.eval()
    _install(folder, root, _laid_out(manifest, tensors), manifest.aliases)
    for each in root.modules():
        if isinstance(each, Assembly):
            _refuse_head(folder, each)
    return root


def part_keys(manifest: Manifest) -> tuple[str, ...]:
    """Name the parts as a mapping of factories does: "component", "padded", or "0", "1.0", "1.padded" and so on."""
    return tuple(prefix.rstrip(".").replace("parts.", "") or "component" for prefix in manifest.prefixes())


def _component(
    folder: Path, record: PartRecord, key: str, factory: Factory | Mapping[str, Factory] | None, *, tensors: int
) -> Component:
    """Build a part with the uncut network's tensors still in it, but for those that were dropped.

    In its file are so many `tensors`.
    """
    chosen = factory.get(key) if isinstance(factory, Mapping) else factory
    module = _uncut(folder, record.origin, key, chosen, tensors)
    where = f"{folder}: part '{key}'"
    _make_plain(module, record.origin.settings.get(PLAIN, {}), where)
    for path in _dropped(record.origin, where):
        _drop(module, path, where)
    _set_attributes(module, record.origin.attributes, where)
    try:
        return component_from(record, module)
    except BadConfig as error:
        raise CorruptComponent(f"{where}: {error}") from None


def _uncut(folder: Path, record: OriginRecord, key: str, factory: Factory | None, tensors: int) -> nn.Module:
    """Build the uncut network without touching the global random state; its initial values are all replaced."""
    builder = record.built_by()
    build = factory
    if build is None and builder is not None and not builder.is_own_code:
        build = partial(_built, folder, builder, tensors)
    if build is None:
        raise BadConfig(f"{folder}: part '{key}' {_unknown(builder)}")
    if isinstance(build, nn.Module) or not callable(build):
        raise BadConfig(
            f"the factory of part '{key}' is a {type(build).__name__}; give a function without arguments that builds "
            "the uncut network, for instance factory=lambda: Net()"
        )
    # A default device that the user has set elsewhere would put half of the network there.
    with torch.random.fork_rng(devices=_cuda_in_use()), torch.device("cpu"):
        module = build()
    if not isinstance(module, nn.Module):
        raise BadConfig(f"the factory of part '{key}' gave {type(module).__name__}, not a torch.nn.Module")
    return module


def _unknown(builder: Builder | None) -> str:
    """What to do where a file alone cannot build a network again."""
    ways = "pass factory=, a function without arguments that builds the uncut network, or model="
    if builder is None:
        return f"was cut from a network that is not from torchvision, timm or our zoo: {ways}NAME"
    runs = "code that does not run because a file names it; if you trust it"
    return f"was cut from {builder}, {runs}, {ways}{builder.name}"


def _built(folder: Path, builder: Builder, tensors: int) -> nn.Module:
    from model_lego.models.registry import build_from

    try:
        return outline(partial(build_from, builder), tensors)
    except ImportError as error:
        raise BadConfig(f"{folder}: {builder.name} cannot be built here: {error}") from error
    except Exception as error:  # builders of three libraries fail in every possible way on arguments they do not know
        arguments = reprlib.repr(dict(builder.arguments))
        raise CorruptComponent(f"{folder}: {builder.name} cannot be built with {arguments}: {error}") from error


def _cuda_in_use() -> range:
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)


def _make_plain(module: nn.Module, layers: object, where: str) -> None:
    """Put ordinary layers where `canonize` did."""
    if not isinstance(layers, dict):
        raise CorruptComponent(f"{where}: {PLAIN} is not a mapping of module paths")
    owners = dict(module.named_modules(remove_duplicate=False))
    for path, given in layers.items():
        parent, _, name = path.rpartition(".")
        if parent not in owners or name not in owners[parent]._modules:
            raise CorruptComponent(f"{where}: {PLAIN} names '{path}', which the uncut network has not")
        try:
            with torch.device("meta"):
                layer = PlainLayer(given["kind"], given["arguments"]).build()
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise CorruptComponent(f"{where}: layer '{path}' cannot be made plain: {error!r}") from None
        old = owners[parent]._modules[name]
        weight = None if old is None else next(old.parameters(), None)
        setattr(owners[parent], name, layer if weight is None else layer.to(weight.dtype))


def _dropped(record: OriginRecord, where: str) -> list[str]:
    paths = record.settings.get(DROPPED, [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise CorruptComponent(f"{where}: {DROPPED} is not a list of module paths")
    return [str(path) for path in paths]


def _drop(module: nn.Module, path: str, where: str) -> None:
    """Replace a submodule by one that gives nothing, a parameter or buffer by None."""
    parent, _, name = path.rpartition(".")
    owner = dict(module.named_modules(remove_duplicate=False)).get(parent)
    if owner is None or not any(name in slots for slots in (owner._modules, owner._parameters, owner._buffers)):
        raise CorruptComponent(f"{where}: {DROPPED} names '{path}', which the uncut network has not")
    setattr(owner, name, Absent() if name in owner._modules else None)


def _set_attributes(module: nn.Module, attributes: Mapping[str, Mapping[str, int]], where: str) -> None:
    """Give layers the channel counts that they had after the cut."""
    owners = dict(module.named_modules(remove_duplicate=False))
    for path, values in attributes.items():
        for name, value in values.items():
            current = vars(owners[path]).get(attribute_of(name)) if path in owners else None
            if current is None:
                raise CorruptComponent(f"{where}: layer '{path}' of the uncut network has no attribute '{name}'")
            if type(current) is bool and value in (0, 1):
                setattr(owners[path], name, bool(value))
            elif number_at(owners[path], name) is not None:
                put_number(owners[path], name, value)
            else:
                about = f"{where}: attribute '{path}.{name}'"
                raise CorruptComponent(f"{about} is {current!r} in the uncut network, which {value} cannot replace")


def _assembly(folder: Path, record: AssemblyRecord, components: Sequence[Component]) -> Assembly:
    """The assembly of a record, and those inside, of the components that it gives the numbers of."""
    parts: list[Part] = [
        components[inner] if isinstance(inner, int) else _assembly(folder, inner, components)
        for inner in record.made_of
    ]
    _refuse_reads(folder, record.head_reads, parts)
    return Assembly(
        parts,
        layout=record.layout,
        classes=record.classes,
        head=Head(record.head, torch.empty(0), torch.empty(0), reads=record.head_reads),
        terms=record.terms,
        groups=record.groups,
        padded=next(leaves(*parts)) if record.layout == "padded" else None,
        record=record.joined,
    )


def _refuse_reads(folder: Path, reads: Sequence[Sequence[str]], parts: Sequence[Part]) -> None:
    """Refuse a head that reads other than, of each part, some layers that have a weight, or none at all."""
    if not reads:
        return
    each = zip(parts, reads, strict=False)
    fits = all(
        isinstance(part, Component) and paths and all(_has_weight(part.module, path) for path in paths)
        for part, paths in each
    )
    if len(reads) != len(parts) or not fits:
        raise CorruptComponent(
            f"{folder}: head_reads does not name layers with a weight for each of {len(parts)} parts"
        )


def _has_weight(module: nn.Module, path: str) -> bool:
    layer = dict(module.named_modules(remove_duplicate=False)).get(path)
    weight = None if layer is None else find_tensor(layer, "weight")
    return weight is not None and weight.dim() >= 2


def _laid_out(manifest: Manifest, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put the tensors of channels-last parts in that order."""
    records = zip(manifest.prefixes(), manifest.parts, strict=True)
    swapped = tuple(f"{prefix}module." for prefix, part in records if part.memory_format == "channels_last")
    return {name: to_channels_last(one) if name.startswith(swapped) else one for name, one in tensors.items()}


def _install(folder: Path, root: nn.Module, tensors: Mapping[str, Tensor], aliases: Mapping[str, str]) -> None:
    """Replace every tensor of `root` by the saved one of its name; aliases become one and the same object again."""
    owners = dict(root.named_modules(remove_duplicate=False))
    placed: dict[str, Tensor] = {}
    expected: dict[str, Tensor] = {}
    for name in sorted({*tensors, *aliases}):
        path, _, attribute = name.rpartition(".")
        owner, kept = owners.get(path), aliases.get(name, name)
        if owner is None or not _holds(owner, attribute):
            expected[name] = tensors[kept]  # reported below, with the others
            continue
        expected[name] = placed.setdefault(kept, _as_held(owner, attribute, tensors[kept]))
        try:
            setattr(owner, attribute, expected[name])
        except TypeError as error:
            raise CorruptComponent(f"{folder}: tensor '{name}' cannot be tied to '{kept}': {error}") from None
    have = named_tensors(root)
    refuse_differences(folder, have=expected, expected=have, holder="network")
    if torn := [name for name in have if have[name] is not expected[name]]:
        raise CorruptComponent(f"{folder}: '{torn[0]}' is one tensor with another in the network, but not in the file")


def _holds(owner: nn.Module, name: str) -> bool:
    """Tell whether `owner` has a parameter, buffer or tensor attribute `name`, empty (None) or not."""
    slots = owner._parameters | owner._buffers
    return name in slots or (name in vars(owner) and isinstance(vars(owner)[name], Tensor | None))


def _as_held(owner: nn.Module, name: str, tensor: Tensor) -> Tensor:
    """Make `tensor` a parameter where `owner` has one; whether it takes gradients is as in the uncut network."""
    if name not in owner._parameters:
        return tensor
    held = owner._parameters[name]
    takes_gradients = tensor.is_floating_point() and (held is None or held.requires_grad)
    return nn.Parameter(tensor, requires_grad=takes_gradients)


def _refuse_head(folder: Path, assembly: Assembly) -> None:
    """Refuse a head whose tensors do not fit the assembly's classes and its parts' logits or features."""
    joined, width = sum(len(own_classes(part)) for part in assembly.networks()), len(assembly.terms)
    if assembly.head.reads:
        pairs = zip(leaves(*assembly.networks()), assembly.head.reads, strict=True)
        weights = [find_tensor(part.module, f"{path}.weight") for part, paths in pairs for path in paths]
        joined = sum(weight[0].numel() for weight in weights if weight is not None)
    weight, shift = tuple(assembly.head.weight.shape), tuple(assembly.head.shift.shape)
    fits = weight == (width, joined) or (weight == (width,) and joined == width)
    if not fits or shift != (width,):
        raise CorruptComponent(
            f"{folder}: the head has weight {weight} and shift {shift}, "
            f"which does not fit {joined} {'features' if assembly.head.reads else 'logits'} and {width} classes"
        )
