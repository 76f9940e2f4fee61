"""Parts of a bin by what is known of them; their weights are not read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from model_lego.errors import BadConfig
from model_lego.names.bin_names import existing_bin
from model_lego.parts_bin.binned import BinnedPart, has_class, is_from
from model_lego.parts_bin.index import indexed
from model_lego.progress import Progress, quiet

#: What a part can be limited by.
SIZES = ("parameters", "macs", "bytes")


def bin_search(
    text: str = "",
    *,
    classes: Sequence[str] = (),
    source: str = "",
    licence: str = "",
    within: Mapping[str, float] | None = None,
    accuracy: float | None = None,
    folder: str | Path | None = None,
    progress: Progress = quiet,
) -> tuple[BinnedPart, ...]:
    """The parts of the bin that fit all that is asked, by name and digest; all parts where nothing is.

    Args:
        text: is in the name of the part, of one of its classes or of a source.
        classes: the part tells all of these; case does not count, `*` and `?` stand for any letters and for one.
        source: is in the name of one of its sources, or begins the digest of one.
        licence: is in the licence that its card names.
        within: the most of "parameters", "macs" (multiply-adds) and "bytes" that it has.
        accuracy: the least that its verdict has, in %.
        folder: of the bin; by default what MODEL_LEGO_PARTS names, or one in the user's data directory.
        progress: is told of folders that are new and have to be read.

    Raises:
        BadConfig: the folder is no bin, or `within` names something else.
    """
    limits = dict(within or {})
    if wrong := [name for name in limits if name not in SIZES]:
        raise BadConfig(f"'{wrong[0]}' is no size of a part; use {', '.join(SIZES)}")
    found = list(indexed(existing_bin(folder), progress=progress))
    if text:
        found = [part for part in found if _mentions(part, text)]
    if classes:
        found = [part for part in found if all(has_class(part, name) for name in classes)]
    if source:
        found = [part for part in found if is_from(part, source)]
    if licence:
        found = [part for part in found if licence.casefold() in part.licence.casefold()]
    if limits:
        found = [part for part in found if all(getattr(part, name) <= most for name, most in limits.items())]
    if accuracy is not None:
        found = [part for part in found if part.accuracy is not None and part.accuracy >= accuracy]
    asked = bool(classes or source or licence or limits or accuracy is not None)
    return tuple(part for part in found if not (asked and part.broken))  # of which nothing is known


def _mentions(part: BinnedPart, text: str) -> bool:
    told = (f"{part.name}@{part.digest}", *part.classes, *part.members, *part.sources)
    return any(text.casefold() in words.casefold() for words in told)
