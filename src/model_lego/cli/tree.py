"""What a saved part is made of, as a tree: its parts, their sources, licences and data, and the recipe beside it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_lego.cli.summary import few
from model_lego.digest import SEEN, unpacked
from model_lego.parts.licences import clashes
from model_lego.parts.provenance import Provenance, together
from model_lego.store.manifest import AssemblyRecord, Manifest, OriginRecord, PartRecord
from model_lego.text.inert import printable

#: Digits of a digest that are shown.
DIGITS = 12


@dataclass(frozen=True, slots=True)
class Node:
    """A line of text, and what hangs on it."""

    text: str
    inside: tuple["Node", ...] = ()


def tree(manifest: Manifest, recipe: Path | None = None) -> str:
    """Draw a saved part: what it is made of, down to the sources, and what of their licences does not go together.

    The `recipe` beside it is named, where there is one.
    """
    parts, numbers = manifest.parts, manifest.numbers()
    named = zip(numbers, parts, strict=True)
    alone = "component" if manifest.assembly is None else "padded network"
    nodes = [_component(f"part {number}" if number else alone, part) for number, part in named]
    root = nodes[0] if manifest.assembly is None else _assembly("assembly", manifest.assembly, nodes)
    licences = together(part.origin.provenance for part in parts).licences
    versions = ", ".join(f"{name} {number}" for name, number in sorted(manifest.versions.items()))
    more = [Node(f"note: {clash}") for clash in clashes(licences)]
    more += [Node(f"made by the commands in {recipe.name}")] if recipe is not None else []
    more += [Node(f"written with {versions}")]
    return "\n".join(_drawn(Node(root.text, (*root.inside, *more))))


def _assembly(called: str, record: AssemblyRecord, nodes: list[Node]) -> Node:
    """An assembly with its parts, which take the next of the nodes."""
    joined, inside = record.joined, []
    for place, inner in enumerate(record.made_of, 1):
        inside.append(nodes.pop(0) if isinstance(inner, int) else _assembly(f"part {place}", inner, nodes))
    seen = {SEEN: joined.calibration_digests} if joined.calibration_digests else {}
    return Node(f"{called} for {few(record.classes)}, head {record.head}", (*inside, *_made(joined.provenance, seen)))


def _component(called: str, part: PartRecord) -> Node:
    origin = part.origin
    digest = f", digest {part.digest[:DIGITS]}" if part.digest else ""
    inside = (_source(origin), *_made(origin.provenance, origin.settings))
    return Node(f"{called} for {few(part.classes)}{digest}", inside)


def _source(origin: OriginRecord) -> Node:
    """The uncut network, whose weights they are, and under which licence."""
    named = "a network of the user's own" if origin.builder is None else str(origin.built_by())
    said = origin.provenance
    rows = [("digest", [origin.source_digest[:DIGITS]]), ("revision", said.revisions), ("licence", said.licences)]
    told = [f"{what} {', '.join(texts)}" for what, texts in rows if any(texts)]
    return Node(", ".join([f"source {named}", *told, *([] if said.licences else ["licence unknown"])]))


def _made(said: Provenance, settings: Mapping[str, Any]) -> Iterator[Node]:
    """The images that it was made with."""
    packed = settings.get(SEEN, "")
    of = f" of {', '.join(said.data)}" if said.data else ""
    if isinstance(packed, str) and packed:
        images, digest = len(unpacked(packed)), hashlib.sha256(packed.encode()).hexdigest()
        yield Node(f"data: {images:,} images{of}, digest {digest[:DIGITS]}")
    elif of:
        yield Node(f"data:{of.removeprefix(' of')}")


def _drawn(node: Node) -> Iterator[str]:
    """The lines of a node, with branches in front of what hangs on it."""
    yield printable(" ".join(node.text.split()))  # a name of a stranger makes no line of its own
    for place, inner in enumerate(node.inside, 1):
        head, below = ("└── ", "    ") if place == len(node.inside) else ("├── ", "│   ")
        first, *rest = _drawn(inner)
        yield f"{head}{first}"
        yield from (f"{below}{line}" for line in rest)
