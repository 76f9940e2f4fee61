"""Measure the structure of the package: `python tools/structure.py [CHECKOUT]`. Standard library only.

Counts working modules at the top of the package, imports between its top-level packages and modules, the longest
parameter list outside `cli/`, `# fmt: skip` and lines of code. `git worktree add ../before REVISION` gives another
checkout to compare with.
"""

import ast
import sys
from pathlib import Path

PACKAGE = "model_lego"


def rooms(package: Path) -> list[str]:
    """Names of the folders and working modules at the top of the package."""
    folders = [path.parent.name for path in package.glob("*/__init__.py")]
    return sorted([*folders, *(path.stem for path in modules_at_the_top(package))])


def modules_at_the_top(package: Path) -> list[Path]:
    """Modules beside the folders, without the package's own two."""
    return [path for path in sorted(package.glob("*.py")) if path.stem not in ("__init__", "__main__")]


def imports(package: Path) -> set[tuple[str, str, str]]:
    """Imports from one room of the package to another: (importing module, importing room, imported room)."""
    known, pairs = set(rooms(package)), set()
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).parts
        here = parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
                inner = node.module.split(".")[1:]
                targets = inner[:1] or [alias.name for alias in node.names]
                pairs |= {("/".join(parts), here, there) for there in targets if there in known and there != here}
    return pairs


def parameters(package: Path) -> tuple[int, str]:
    """The longest parameter list of a function outside `cli/`, and whose it is."""
    longest = (0, "")
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                names = [name for name in names if name.arg not in ("self", "cls")]
                longest = max(longest, (len(names), f"{path.relative_to(package)}:{node.name}"))
    return longest


def main(arguments: list[str]) -> int:
    """Print the figures of a checkout, by default of this one."""
    checkout = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    package = checkout / "src" / PACKAGE
    if not package.is_dir():
        print(f"{package} is no folder; name a checkout of the project", file=sys.stderr)
        return 2
    texts = [path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))]
    pairs, (count, owner) = imports(package), parameters(package)
    print(f"modules at the top of the package   {len(modules_at_the_top(package))}")
    print(f"rooms (folders and modules)         {len(rooms(package))}")
    print(f"pairs of rooms that import          {len({pair[1:] for pair in pairs})}")
    print(f"modules that import another room    {len(pairs)}")
    print(f"longest parameter list              {count} ({owner})")
    print(f"`# fmt: skip`                       {sum(text.count('# fmt: skip') for text in texts)}")
    print(f"lines                               {sum(text.count(chr(10)) for text in texts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
