"""What a part remembers of the command that made it: the names of its data, beside what is known of its source."""

from dataclasses import replace
from pathlib import Path

from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.parts.provenance import UNSAID, Provenance, together


def signed(part: Component | Assembly, *data: str | None, source: Provenance = UNSAID) -> Component | Assembly:
    """The part with its source's licence and the names of its data behind what it remembers already."""
    now = Provenance(data=tuple(name_of(each) for each in data if each))
    if isinstance(part, Assembly):
        return part.with_record(replace(part.record, provenance=together([part.record.provenance, source, now])))
    part.origin = replace(part.origin, provenance=together([part.origin.provenance, source, now]))
    return part


def name_of(word: str) -> str:
    """A word; of the path of something that is there its last name, as other machines have other folders."""
    try:
        return Path(word).resolve().name if Path(word).exists() else word
    except (OSError, ValueError):  # no path: too long, a NUL
        return word
