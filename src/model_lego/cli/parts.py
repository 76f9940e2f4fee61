"""model-lego parts …: the parts bin. What only lists needs no torch, and reads the bin's index."""

from collections.abc import Sequence
from typing import Annotated

import typer

from model_lego.cli.plain_options import Json
from model_lego.cli.render import Bar, say, show, show_json, show_table
from model_lego.errors import BadConfig
from model_lego.names.bin_names import existing_bin, found_in
from model_lego.parts_bin.binned import BinnedPart
from model_lego.parts_bin.index import indexed
from model_lego.parts_bin.searching import bin_search
from model_lego.text.amounts import short

Bin = Annotated[
    str | None,
    typer.Option("--bin", help="the bin; by default MODEL_LEGO_PARTS, or one in the user's data directory"),
]
Named = Annotated[str, typer.Argument(metavar="PART", help="NAME or NAME@DIGEST, of which some digits will do")]
Several = Annotated[list[str], typer.Argument(metavar="PART...", help="NAME@DIGEST; some first digits will do")]
Saved = Annotated[str, typer.Argument(metavar="FOLDER", help="a saved component or assembly")]
Called = Annotated[str | None, typer.Option("--name", help="what it is called in the bin; as its folder by default")]
Licence = Annotated[str | None, typer.Option("--licence", help="written into the card, for instance apache-2.0")]
Text = Annotated[str, typer.Argument(help="text in the name of a part, of a class or of a source")]
HasClasses = Annotated[
    list[str] | None, typer.Option("--class", "-c", help="a class that it tells, also with *; several times: all")
]
OfSource = Annotated[str, typer.Option("--source", help="text in the name of a source, or the start of its digest")]
OfLicence = Annotated[str, typer.Option("--licence", help="text in the licence that its card names")]
Within = Annotated[list[str] | None, typer.Option("--within", help="sizes at most: params=2e6, macs=3e8, bytes=1e7")]
Least = Annotated[float | None, typer.Option("--accuracy", help="in % at least, by its verdict")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would be removed")]

#: What a size is called on the command line, and in `bin_search`.
SIZES = {"params": "parameters", "macs": "macs", "bytes": "bytes"}
#: Classes of a part that are shown in a row.
FEW = 3
COLUMNS = ("part", "classes", "source", "params", "macs", "accuracy", "licence")


def parts_add_command(
    part: Saved, name: Called = None, licence: Licence = None, folder: Bin = None, json: Json = False
) -> None:
    """Copy a saved part into the bin, and check the copy's weights."""
    from model_lego.parts_bin.keeping import bin_add

    added = bin_add(part, name=name, licence=licence, folder=folder)
    if json:
        show_json(added.to_dict())
    else:
        show(added.reference)
        say(f"in {added.folder}")


def parts_list_command(folder: Bin = None, json: Json = False) -> None:
    """List all parts of the bin."""
    _show_parts(bin_search(folder=folder, progress=Bar()), folder, json=json)


def parts_search_command(
    text: Text = "",
    classes: HasClasses = None,
    source: OfSource = "",
    licence: OfLicence = "",
    within: Within = None,
    accuracy: Least = None,
    folder: Bin = None,
    json: Json = False,
) -> None:
    """List the parts of the bin that tell some classes, are small enough, and so on."""
    found = bin_search(
        text,
        classes=classes or (),
        source=source,
        licence=licence,
        within=_sizes(within or ()),
        accuracy=accuracy,
        folder=folder,
        progress=Bar(),
    )
    _show_parts(found, folder, json=json)


def parts_show_command(part: Named, folder: Bin = None, json: Json = False) -> None:
    """Show what is known of a part in the bin without its weights."""
    place = existing_bin(folder)
    there = found_in(place, part)
    found = next(each for each in indexed(place, progress=Bar()) if each.folder == there)
    if json:
        show_json(found.to_dict())
    else:
        show("\n".join([found.reference, *(f"  {name:<14}{text}" for name, text in _rows(found) if text)]))


def parts_verify_command(
    parts: Annotated[list[str] | None, typer.Argument(metavar="[PART]...", help="those of the bin by default")] = None,
    folder: Bin = None,
    json: Json = False,
) -> None:
    """Hash the weights of parts in the bin, and say which are broken."""
    from model_lego.parts_bin.keeping import bin_verify

    checked = bin_verify(*parts or (), folder=folder, progress=Bar())
    broken = [part for part in checked if part.broken]
    if json:
        show_json({"checked": [part.to_dict() for part in checked], "broken": [str(part) for part in broken]})
    else:
        show(f"{len(checked) - len(broken)} of {len(checked)} parts are whole")
        for part in broken:
            show(f"broken: {part}: {part.broken}")
    if broken:
        raise typer.Exit(1)


def parts_remove_command(parts: Several, folder: Bin = None, json: Json = False) -> None:
    """Take parts out of the bin for good."""
    from model_lego.parts_bin.keeping import bin_remove

    place = existing_bin(folder)
    meant = dict.fromkeys(found_in(place, part, exactly=True).name for part in parts)  # all, before any is gone
    removed = [bin_remove(name, folder=folder) for name in meant]
    if json:
        show_json({"removed": [part.to_dict() for part in removed]})
    else:
        show("\n".join(f"removed {part}" for part in removed))


def parts_gc_command(dry_run: DryRun = False, folder: Bin = None, json: Json = False) -> None:
    """Remove what killed processes left in the bin."""
    from model_lego.parts_bin.keeping import bin_gc

    gone = bin_gc(folder=folder, dry_run=dry_run)
    if json:
        show_json({"dry_run": dry_run, "leftovers": gone})
    else:
        did = "would be removed" if dry_run else "removed"
        show("\n".join([f"{len(gone)} leftovers {did}", *(f"  {name}" for name in gone)]))


def _show_parts(parts: Sequence[BinnedPart], folder: str | None, *, json: bool) -> None:
    place = existing_bin(folder)
    if json:
        show_json({"bin": str(place), "parts": [part.to_dict() for part in parts]})
        return
    show_table(f"{len(parts)} parts of {place}", COLUMNS, [_cells(part) for part in parts])
    for part in parts:
        if part.broken:
            say(f"note: {part} is broken: {part.broken}")


def _cells(part: BinnedPart) -> tuple[object, ...]:
    if part.broken:
        return str(part), "broken", *[""] * (len(COLUMNS) - 2)
    return (
        part,
        _few(part.classes),
        _few([source.partition(" ")[0] or "own" for source in part.sources]),
        short(part.parameters),
        short(part.macs),
        _accuracy(part),
        part.licence,
    )


def _rows(part: BinnedPart) -> list[tuple[str, str]]:
    return [
        ("broken", part.broken),
        ("kind", part.kind),
        ("classes", ", ".join(part.classes)),
        ("members", ", ".join(part.members)),
        ("source", ", ".join(filter(None, part.sources)) or ("" if part.broken else "networks of the user's own")),
        ("parameters", f"{part.parameters:,}"),
        ("multiply-adds", f"{part.macs:,}"),
        ("bytes", f"{part.bytes:,}"),
        ("accuracy", _accuracy(part)),
        ("licence", part.licence),
        ("digest", part.digest),
        ("folder", str(part.folder)),
    ]


def _accuracy(part: BinnedPart) -> str:
    return "" if part.accuracy is None else f"{part.accuracy:.1f} %"


def _few(names: Sequence[str]) -> str:
    more = f", … {len(names)} in all" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def _sizes(given: Sequence[str]) -> dict[str, float]:
    """Sizes name=number, separated by commas or given several times; raises BadConfig."""
    sizes: dict[str, float] = {}
    for item in filter(None, (item.strip() for item in ",".join(given).split(","))):
        name, _, number = (word.strip() for word in item.partition("="))
        try:
            sizes[SIZES[name]] = float(number)
            if not sizes[SIZES[name]] >= 0:
                raise ValueError(number)
        except (KeyError, ValueError) as error:
            known = ", ".join(f"{size}=NUMBER" for size in SIZES)
            raise BadConfig(f"--within '{item}' is no size; use {known}") from error
    return sizes
