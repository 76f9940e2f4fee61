"""What the steps of a folded network are called, and how a name stands below a column."""

from collections.abc import Sequence

#: Letters in a line below a column.
WIDTH = 24


def called(parts: Sequence[Sequence[str]]) -> list[str]:
    """Names of the parts of a network whose layers have these paths; no two are alike.

    A part is called by the modules that hold layers of its own alone, the first and the last of them; a layer by itself
    by its path.
    """
    owners: dict[str, set[int]] = {}
    for number, paths in enumerate(parts):
        for path in paths:
            for module in _modules(path):
                owners.setdefault(module, set()).add(number)
    names = []
    for paths in parts:
        ends = [next((at for at in _modules(path) if len(owners[at]) == 1), path) for path in (paths[0], paths[-1])]
        names.append(paths[0] if len(paths) == 1 else ends[0] if ends[0] == ends[1] else " … ".join(ends))
    return names


def _modules(path: str) -> list[str]:
    """The modules around a layer, from the outermost in, and the layer itself."""
    words = path.split(".")
    return [".".join(words[:depth]) for depth in range(1, len(words) + 1)]


def label_lines(name: str) -> list[str]:
    """A name as it stands below a column: whole, in lines that end at its dots, its two ends in lines of their own."""
    if len(name) <= WIDTH:
        return [name]
    start, dots, end = name.partition(" … ")
    return [*_lines(start), *(_lines(f"… {end}") if dots else [])]


def _lines(text: str) -> list[str]:
    lines = []
    while len(text) > WIDTH:
        at = text.rfind(".", 0, WIDTH) + 1 or WIDTH
        lines.append(text[:at])
        text = text[at:]
    return [*lines, text]
