"""What a folder of a bin says of its part; this is where manifests are read and checked."""

from pathlib import Path
from typing import Any

from model_lego.errors import CorruptComponent, LegoError
from model_lego.hub.card_header import header_of, licence_entries, licences_in, with_header
from model_lego.names.bin_names import OTHER, manifest_digest, name_and_digits
from model_lego.parts.verdict import Verdict
from model_lego.parts_bin.binned import BinnedPart
from model_lego.store.files import CARD, is_plain_file
from model_lego.store.inspecting import inspect
from model_lego.store.manifest import Manifest


def read_part(folder: Path, *, check_weights: bool = False) -> BinnedPart:
    """A part in a bin by its folder, `broken` where it cannot be used; with `check_weights` they are hashed, too."""
    name, digits = name_and_digits(folder.name) or (folder.name, "")
    unread = BinnedPart(name, digits, folder)
    try:
        digest = manifest_digest(folder)
        if not digest.startswith(digits):
            raise CorruptComponent(f"{folder} {OTHER}")
        return _told(inspect(folder, check_weights=check_weights), name, digest, folder)
    except (LegoError, OSError) as error:
        return unread.because(str(error))


def _told(manifest: Manifest, name: str, digest: str, folder: Path) -> BinnedPart:
    assembly, parts = manifest.assembly, manifest.parts
    classes = parts[0].classes if assembly is None else assembly.classes
    verdict: Verdict | None = parts[0].verdict if assembly is None else assembly.joined.verdict
    origins = [part.origin for part in parts]
    return BinnedPart(
        name,
        digest,
        folder,
        kind=manifest.kind,
        classes=classes,
        members=() if assembly is None else tuple(term for term in assembly.terms if term not in classes),
        sources=_once([str(origin.built_by() or "") for origin in origins]),
        source_digests=_once([origin.source_digest for origin in origins]),
        parameters=sum(origin.cost_after.parameters for origin in origins),
        macs=sum(origin.cost_after.macs for origin in origins),
        bytes=manifest.weights.bytes,
        accuracy=None if verdict is None else verdict.own,
        licence=licence_of(folder),
    )


def licence_of(folder: Path) -> str:
    """The licence in the header of a card, or several; empty where there is none."""
    return ", ".join(licences_in(header_of(card_text(folder))))


def with_licence(text: str, licence: str) -> str:
    """A card whose header names a licence, in the place of the one that it named."""
    return with_header(text, _without_licence(header_of(text)) | licence_entries((licence,)))


def card_text(folder: Path) -> str:
    """The text of a folder's card; empty where it has none, or one that is no text."""
    path = folder / CARD
    try:
        return path.read_text(encoding="utf-8") if is_plain_file(path) else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _without_licence(header: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key not in ("license_name", "license_link")}


def _once(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
