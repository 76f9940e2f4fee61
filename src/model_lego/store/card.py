"""The card (README.md) of a saved folder, made of its manifest alone."""

import json
from collections.abc import Iterator

from model_lego.digest import SEEN
from model_lego.hub.card_header import with_header
from model_lego.parts.licences import clashes
from model_lego.parts.provenance import Provenance, together
from model_lego.parts.verdict import Verdict
from model_lego.store.card_metadata import metadata
from model_lego.store.manifest import AssemblyRecord, Manifest, PartRecord
from model_lego.text.inert import in_code, in_markdown

#: What stands in a card for the folder that it is in.
HERE = '"path/to/this/folder"'

_USE = """
## Use

```python
import model_lego as ml

part = ml.load({here}{factory})
logits = part(images)  # batch x {classes}, in the order of part.classes
```
"""


def card(manifest: Manifest) -> str:
    """Write the card as Markdown; the same manifest gives the same text."""
    classes = manifest.assembly.classes if manifest.assembly else manifest.parts[0].classes
    licences = together(part.origin.provenance for part in manifest.parts).licences
    lines = [
        with_header("", metadata(manifest)),
        f"# {manifest.kind.capitalize()}: {in_markdown(', '.join(classes))}",
        "",
    ]
    if manifest.assembly:
        lines += _joined(manifest.assembly)
    builders = [part.origin.built_by() for part in manifest.parts]
    own = any(builder is None or builder.is_own_code for builder in builders)
    factory = ", factory=build_the_uncut_network" if own else ""
    lines += [_USE.format(here=HERE, factory=factory, classes=len(classes)).strip(), ""]
    for clash in clashes(licences):
        lines += [f"Note: {in_markdown(clash)}.", ""]
    for number, part in zip(manifest.numbers(), manifest.parts, strict=True):
        lines += _part(part, f"Part {number}" if len(manifest.parts) > 1 else "Origin")
    if manifest.assembly:
        lines += _settings("Settings of the assembly", manifest.assembly.joined.settings())
    lines += ["Figures are as whoever saved the part tells them; `model-lego evaluate` measures it.", ""]
    lines += ["## File", "", f"`{manifest.weights.file}`: {manifest.weights.bytes:,} bytes, sha256 "]
    lines[-1] += f"`{manifest.weights.sha256}`. Written with "
    lines[-1] += ", ".join(in_markdown(f"{name} {number}") for name, number in sorted(manifest.versions.items())) + "."
    return "\n".join(lines) + "\n"


def _joined(assembly: AssemblyRecord, number: str = "") -> Iterator[str]:
    """How an assembly joins its parts, and then how assemblies among these do."""
    which = f"Part {number}: " if number else ""
    yield from (f"{which}Layout {assembly.layout}, head {in_markdown(assembly.head)}.", "")
    for name, members in assembly.groups.items():
        yield from (f"Class {in_markdown(name)} is any of {in_markdown(', '.join(members))}.", "")
    yield from (*_made(assembly.joined.provenance), "")
    yield from _verdict(assembly.joined.verdict)
    if lacks := assembly.joined.lacks:
        yield from (f"It has {in_markdown(lacks)}.", "")
    if advice := assembly.joined.advice:
        yield from (f"Note: {in_markdown(advice)}.", "")
    for place, inner in enumerate(assembly.made_of, 1):
        if not isinstance(inner, int):
            yield from _joined(inner, f"{number}.{place}" if number else str(place))


def _part(part: PartRecord, title: str) -> Iterator[str]:
    origin = part.origin
    before, after = origin.cost_before, origin.cost_after
    builder = origin.built_by()
    source = "a network of the user's own" if builder is None else f"`{in_code(str(builder))}`"
    yield from (f"## {title}", "")
    yield f"Cut from {source} with {len(origin.source_classes)} classes (digest `{in_code(origin.source_digest)}`);"
    yield f"input {' x '.join(map(str, origin.input_shape))} (channels x height x width)."
    yield from _made(origin.provenance)
    yield from ("", "| class | label in the source |", "|---|---|")
    yield from (f"| {in_markdown(name)} | {label} |" for name, label in zip(part.classes, part.labels, strict=True))
    yield from ("", "| | before | after |", "|---|---|---|")
    yield f"| parameters | {before.parameters:,} | {after.parameters:,} |"
    yield f"| multiply-adds | {before.macs:,} | {after.macs:,} |"
    yield f"| bytes | {before.bytes:,} | {after.bytes:,} |"
    yield ""
    yield from _verdict(part.verdict)
    if part.preprocessing is not None:
        yield from (f"Images: {part.preprocessing.noun()}.", "")
    yield from _settings("Settings of the cut", origin.settings)


def _made(said: Provenance) -> Iterator[str]:
    """Whose weights they are, and what it was made with, as far as that was said."""
    rows = (("Licence", said.licences), ("Revision", said.revisions), ("Data", said.data))
    told = [f"{what} {in_markdown(', '.join(texts))}" for what, texts in rows if texts]
    yield from ([f"{'; '.join(told)}."] if told else [])


def _verdict(verdict: Verdict | None) -> list[str]:
    """How it does beside what it was made of, and what is doubtful about it."""
    if verdict is None:
        return []
    notes = [f"Note: {in_markdown(each.what)}." for each in verdict.concerns]
    return [f"Verdict: {in_markdown(str(verdict))}.", *notes, ""]


def _settings(title: str, settings: object) -> Iterator[str]:
    if settings:
        text = json.dumps(_shortened(settings), indent=2, sort_keys=True, ensure_ascii=True)
        yield from (f"{title}:", "", "```json", text.replace("```", "'''"), "```", "")


def _shortened(settings: object) -> object:
    """Settings without the digests of calibration images, which tell a reader nothing."""
    if isinstance(settings, dict):
        return {key: _shortened(value) for key, value in settings.items() if key != SEEN}
    return [_shortened(value) for value in settings] if isinstance(settings, list) else settings
