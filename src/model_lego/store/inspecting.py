"""Look at the manifest of a saved part. It is text: torch is needed for the weights alone."""

from functools import partial
from pathlib import Path

from model_lego.store.files import MANIFEST, read_manifest
from model_lego.store.located import located
from model_lego.store.manifest import Manifest
from model_lego.store.manifest_text import parse_manifest
from model_lego.store.swapping import read_whole


def inspect(folder: str | Path, *, check_weights: bool = False) -> Manifest:
    """Read and check the manifest of a saved folder; with `check_weights` also its weights and digests.

    Raises:
        CorruptComponent: the folder is damaged or was tampered with.
        SchemaTooNew: a newer version of this library saved it.
        CannotFetch: what is on the Hub cannot be fetched, and is not in its cache.
    """
    folder = located(folder, weights=check_weights)
    return read_whole(folder, partial(_with_its_weights if check_weights else checked_manifest, folder))


def checked_manifest(folder: Path, sha256: str | None = None) -> Manifest:
    """The manifest in a folder, of this sha256 where one is given; raises CorruptComponent, SchemaTooNew."""
    return parse_manifest(read_manifest(folder, sha256), str(folder / MANIFEST), Manifest)


def _with_its_weights(folder: Path) -> Manifest:
    from model_lego.store.records import check_digests
    from model_lego.store.weights import read_weights

    manifest = checked_manifest(folder)
    check_digests(folder, manifest, read_weights(folder, manifest.weights, manifest.tensors))
    return manifest
