"""Parts on the Hub: fetched into its cache at one commit, file by file, and nothing but what a part consists of."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from model_lego.errors import CannotFetch, CorruptComponent
from model_lego.hub import repositories as hub
from model_lego.names.hub_names import HubName, hub_name
from model_lego.store.files import CARD, MANIFEST, MAX_MANIFEST_BYTES, RECIPE, WEIGHTS, read_manifest
from model_lego.store.manifest import Manifest
from model_lego.store.manifest_text import parse_manifest
from model_lego.text.inert import printable

#: Bytes that a card and a recipe may have.
MAX_TEXT_BYTES = 2**20
#: What the Hub puts into every repository by itself.
ITS_OWN = (".gitattributes",)
#: Other files that are named.
_SOME = 5


def pinned(name: str) -> HubName:
    """A part on the Hub with the commit that its branch or tag is now; the cache remembers it for when there is no net.

    Raises BadConfig for what is no name, or where the package that speaks with the Hub is not there, and CannotFetch.
    """
    wanted = hub_name(name)
    check_installed()
    if wanted.pinned:
        return wanted
    if hub.offline():
        return _remembered(wanted, "HF_HUB_OFFLINE is set, so that nothing connects")
    with hub.asking(wanted, _refusal(wanted)):
        try:
            check_manifest(wanted, hub.listed(wanted).files)
            return replace(wanted, revision=hub.newest(wanted, MANIFEST).parent.name)
        except Exception as error:
            if not hub.is_unanswered(error):
                raise
            known = _remembered(wanted, "the Hub does not answer")
    warnings.warn(f"the Hub does not answer: {wanted} is taken as it was when it was last fetched", stacklevel=2)
    return known


def in_cache(name: str) -> HubName | None:
    """A part on the Hub with its commit where the cache has it whole; nothing connects. Raises BadConfig."""
    wanted = hub_name(name)
    try:
        check_installed()
        known = wanted if wanted.pinned else _remembered(wanted, "")
        return known if _whole(known) else None
    except (CannotFetch, OSError, ValueError):  # BadConfig, where the package is not there, is a ValueError
        return None


def snapshot(name: str, *, weights: bool = True) -> Path:
    """The folder of the cache with a part on the Hub, fetched where it is not there; without `weights` all but these.

    Raises:
        CannotFetch: there is no such repository or revision, none that one may read, or the Hub does not answer.
        CorruptComponent: it holds no part, or one whose files are larger than they may be.
        BadConfig: that is no name, or the package that speaks with the Hub is not there.
    """
    wanted = pinned(name)
    if there := _whole(wanted):
        return there
    if hub.offline():
        return _without_weights(wanted, needed=weights)
    with hub.asking(wanted, _refusal(wanted)):
        try:
            files = hub.listed(wanted).files
        except Exception as error:
            if weights or not hub.is_unanswered(error):
                raise
            return _without_weights(wanted, needed=False)
        check_manifest(wanted, files)
        folder = _fetched(wanted, MANIFEST).parent
        for text in (CARD, RECIPE):
            if text in files and _within(files[text], MAX_TEXT_BYTES):
                _fetched(wanted, text)
        _say_others(wanted, files)
        if weights:
            _check_weights(wanted, folder, files)
            _fetched(wanted, WEIGHTS)
    return folder


def check_installed() -> None:
    """Raises BadConfig where the package that speaks with the Hub, an extra, is not there."""
    hub.check_installed("parts on the Hub", "hub")


def _refusal(name: HubName) -> Callable[[str], CannotFetch]:
    """The error that says why a part cannot be fetched."""
    return lambda words: CannotFetch(f"'{name}' cannot be fetched: {words}")


def _remembered(name: HubName, why: str) -> HubName:
    """A name with the commit that it was when it was last fetched; raises CannotFetch where the cache has none."""
    try:
        return replace(name, revision=hub.cached(name.repository, MANIFEST, name.revision).parent.name)
    except OSError as error:
        raise CannotFetch(f"'{name}' is not in the cache '{hub.cache()}', and {why}") from error


def _whole(name: HubName) -> Path | None:
    """The folder of the cache with a whole part; its weights are fetched last."""
    with suppress(OSError):
        hub.cached(name.repository, MANIFEST, name.revision)
        return hub.cached(name.repository, WEIGHTS, name.revision).parent
    return None


def _without_weights(name: HubName, *, needed: bool) -> Path:
    """The folder of the cache with a manifest at least; raises CannotFetch."""
    known = _remembered(name, "HF_HUB_OFFLINE is set, so that nothing connects")
    if needed:
        raise CannotFetch(
            f"the weights of '{name}' are not in the cache '{hub.cache()}', and HF_HUB_OFFLINE is set, so that nothing "
            "connects"
        )
    return hub.cached(known.repository, MANIFEST, known.revision).parent


def _fetched(name: HubName, file: str) -> Path:
    return hub.fetched(name.repository, file, name.revision)


def check_manifest(name: HubName, files: Mapping[str, int | None]) -> None:
    """Refuse a repository whose files are not those of a part; raises CorruptComponent."""
    if MANIFEST not in files or WEIGHTS not in files:
        raise CorruptComponent(f"'{name}' is no saved part: it has no {MANIFEST if MANIFEST not in files else WEIGHTS}")
    if not _within(files[MANIFEST], MAX_MANIFEST_BYTES):
        raise CorruptComponent(
            f"the {MANIFEST} of '{name}' is larger than {MAX_MANIFEST_BYTES:,} bytes: no part of ours needs as many"
        )


def _check_weights(name: HubName, folder: Path, files: Mapping[str, int | None]) -> None:
    """Refuse weights that are not as large as the manifest says, before they are fetched, or have no room."""
    from model_lego.store.outputs import check_room

    said = parse_manifest(read_manifest(folder), f"{name}/{MANIFEST}", Manifest).weights.bytes
    if files[WEIGHTS] not in (said, None):
        raise CorruptComponent(
            f"the {WEIGHTS} of '{name}' has {files[WEIGHTS]:,} bytes, but its {MANIFEST} says {said:,}: it was not "
            "pushed whole"
        )
    check_room(folder, said)


def _within(size: int | None, most: int) -> bool:
    """Whether a file is known to be no larger than it may be."""
    return size is not None and size <= most


def _say_others(name: HubName, files: Mapping[str, int | None]) -> None:
    """Warn of files that are of no part, or larger than such files are; they are not fetched."""
    others = [file for file in sorted(files) if file not in (MANIFEST, WEIGHTS, CARD, RECIPE, *ITS_OWN)]
    others += [text for text in (CARD, RECIPE) if text in files and not _within(files[text], MAX_TEXT_BYTES)]
    if others:
        more = f" and {len(others) - _SOME} more" if len(others) > _SOME else ""
        listed = printable(", ".join(others[:_SOME]))
        warnings.warn(f"{name} holds what is of no part and is not fetched: {listed}{more}", stacklevel=3)
