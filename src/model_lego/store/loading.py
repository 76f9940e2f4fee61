"""Load a saved component or assembly, or look at its manifest only; whatever is wrong is refused in words."""

from collections.abc import Mapping
from pathlib import Path

from model_lego.errors import CorruptComponent
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.store.files import MANIFEST, read_manifest, read_verified, read_weights
from model_lego.store.manifest import Manifest, parse_manifest
from model_lego.store.probe import other_answer
from model_lego.store.rebuild import Factory, rebuild


def load(folder: str | Path, *, factory: Factory | Mapping[str, Factory] | None = None) -> Component | Assembly:
    """Load a saved component or assembly, on the CPU and in eval mode; the global random state is left alone.

    Args:
        folder: what `save` wrote.
        factory: builds the uncut network, for sources that are not from torchvision, timm or our zoo; it wins over a
            builder. For an assembly a mapping gives each part its own: by "0", "1" and so on, or "padded"; a part
            that is not named is built by its builder.

    The loaded part has to answer a seeded image as the saved one did, which tells its network from any other.

    Raises:
        CorruptComponent: the folder is damaged, was tampered with, or the factory builds another network.
        SchemaTooNew: a newer version of this library saved it.
        BadConfig: a part needs a factory and there is none.
    """
    folder = Path(folder)
    manifest = inspect(folder)
    tensors = read_weights(folder, manifest.weights, manifest.tensors)
    part = rebuild(folder, manifest, tensors, factory)
    if apart := other_answer(part, manifest.probe):
        raise CorruptComponent(
            f"{folder}: the network that was built is not the one that was saved: {apart}; a factory has to build the "
            "same uncut network, and a builder the same as the one whose component this is"
        )
    return part


def inspect(folder: str | Path, *, check_weights: bool = False) -> Manifest:
    """Read and check the manifest of a saved folder; with `check_weights` also the sha256 of its weights.

    Raises:
        CorruptComponent: the folder is damaged or was tampered with.
        SchemaTooNew: a newer version of this library saved it.
    """
    folder = Path(folder)
    manifest = parse_manifest(read_manifest(folder), str(folder / MANIFEST), Manifest)
    if check_weights:
        read_verified(folder, manifest.weights)
    return manifest
