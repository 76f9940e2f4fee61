"""What a part remembers of the command that made it: its words, and the names of its data."""

from dataclasses import replace

from model_lego.cli.running import command, name_of
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.parts.provenance import UNSAID, Provenance, together


def signed(part: Component | Assembly, *data: str | None, source: Provenance = UNSAID) -> Component | Assembly:
    """The part with the running command and the names of its data behind what it remembers already."""
    words = command()
    now = Provenance(data=tuple(name_of(each) for each in data if each), commands=(words,) if words else ())
    if isinstance(part, Assembly):
        return part.with_record(replace(part.record, provenance=together([part.record.provenance, source, now])))
    part.origin = replace(part.origin, provenance=together([part.origin.provenance, source, now]))
    return part
