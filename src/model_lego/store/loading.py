"""Load a saved component or assembly; whatever is wrong is refused in words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from model_lego.errors import BadConfig, CorruptComponent, LegoError
from model_lego.names.hub_names import hub_name, is_on_hub
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.parts.provenance import Provenance, together
from model_lego.store.asking import answered_otherwise
from model_lego.store.inspecting import checked_manifest
from model_lego.store.located import located
from model_lego.store.manifest import Manifest
from model_lego.store.named import named_factories
from model_lego.store.probe import other_answer, shape_for
from model_lego.store.rebuild import Factory, rebuild
from model_lego.store.swapping import read_whole
from model_lego.store.weights import read_weights


def load(
    folder: str | Path,
    *,
    factory: Factory | Mapping[str, Factory] | None = None,
    model: str | Sequence[str] = (),
    arguments: Mapping[str, Any] | None = None,
    sha256: str | None = None,
) -> Component | Assembly:
    """Load a saved component or assembly, on the CPU and in eval mode; the global random state is left alone.

    Args:
        folder: what `save` wrote, or the name of a part: "bin:NAME" or "bin:NAME@DIGEST" in the bin, "hub:USER/NAME" or
            "hub:USER/NAME@REVISION" on the Hub, which is fetched into its cache; the part then remembers the commit.
        factory: builds the uncut network, for sources that are not from torchvision, timm or our zoo; it wins over a
            builder. For an assembly a mapping gives each part its own: by "0", "1" and so on, or
            "padded" ("1.0" and "1.padded" in an assembly at "1"); a part that is not named is built by its builder.
        model: the same by a name, for instance "python:net.py:Net", code that then runs (a file that names it does not
            run it); for an assembly of several such networks their names, each for the parts that record it.
        arguments: of that name's callable, in place of those that the file records.
        sha256: of `manifest.json` (`sha256sum` gives it), as its author told it: it names that of the weights, so that
            nothing but that part is loaded.

    The loaded part has to answer a seeded image as the saved one did, which tells its network from any other.

    Raises:
        CorruptComponent: the folder is damaged, was tampered with, has another sha256 than the one given, or the
            factory builds another network.
        SchemaTooNew: a newer version of this library saved it.
        BadConfig: a part needs a factory or a name and there is none, or the code of that name fails.
        CannotFetch: what is on the Hub cannot be fetched, and is not in its cache.
    """
    names = (model,) if isinstance(model, str) or not isinstance(model, Sequence) else tuple(model)
    if not all(isinstance(name, str) for name in names):
        raise BadConfig("a network is named, as 'python:net.py:Net'; one that is there already comes by a factory")
    named, folder = folder, located(folder)
    manifest, tensors = read_whole(folder, partial(_read, folder, sha256))
    if names and factory is not None:
        raise BadConfig("a network is built by factory= or by model=, not by both")
    if arguments and not names:
        raise BadConfig("arguments= are those of the network that model= names; give that as well")
    if names:
        factory = named_factories(folder, manifest, names, arguments or {})
    part = rebuild(folder, manifest, tensors, factory)
    if apart := _apart(folder, part, manifest, of_strangers=factory is None):
        raise CorruptComponent(
            f"{folder}: the network that was built is not the one that was saved: {apart}; a factory or model has to "
            "build the same uncut network, and a builder the same as the one whose component this is"
        )
    return _from_hub(part, str(named), folder) if is_on_hub(named) else part


def _from_hub(part: Component | Assembly, name: str, snapshot: Path) -> Component | Assembly:
    """A part that remembers the commit that it came from."""
    came = Provenance(revisions=(str(replace(hub_name(name), revision=snapshot.name)),))
    if isinstance(part, Assembly):
        return part.with_record(replace(part.record, provenance=together([part.record.provenance, came])))
    part.origin = replace(part.origin, provenance=together([part.origin.provenance, came]))
    return part


def _apart(folder: Path, part: Component | Assembly, manifest: Manifest, *, of_strangers: bool) -> str:
    """How a part answers otherwise than the saved one did, or that it cannot answer, in words; else nothing."""
    try:
        return answered_otherwise(folder, part, manifest) if of_strangers else other_answer(part, manifest.probe)
    except LegoError:
        raise
    except Exception as error:  # networks of three libraries fail in every possible way on tensors of other shapes
        shape = manifest.probe.shape if manifest.probe else shape_for(part)
        return f"it does not run on images of shape {shape}: {error}"


def _read(folder: Path, sha256: str | None) -> tuple[Manifest, dict[str, Tensor]]:
    manifest = checked_manifest(folder, sha256)
    return manifest, read_weights(folder, manifest.weights, manifest.tensors)
