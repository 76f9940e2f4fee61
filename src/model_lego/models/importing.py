"""Import code that a caller names: with what lies beside it, and a file as a module of its own."""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from model_lego.digest import digest_of_bytes


@contextmanager
def on_path(folder: Path) -> Iterator[None]:
    """A folder first on the path of imports, for a while.

    Modules of its names that were imported from other such folders (two repositories with a `layers.py` each) are set
    aside, so that code gets those that lie beside it.
    """
    where = str(folder.resolve())
    aside = _strangers(where)
    for name in aside:
        del sys.modules[name]
    sys.path.insert(0, where)
    importlib.invalidate_caches()  # for files that were written a moment ago
    try:
        yield
    finally:
        with suppress(ValueError):  # the code may have changed the path as well
            sys.path.remove(where)
        sys.modules.update(aside)


def _strangers(where: str) -> dict[str, ModuleType]:
    """Imported modules that a folder has under the same names, and that are not on the path without it."""
    others = [path for path in sys.path if str(Path(path).resolve()) != where]
    found: dict[str, ModuleType] = {}
    for _, name, _ in pkgutil.iter_modules([where]):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or name in sys.stdlib_module_names or Path(file).is_relative_to(where):
            continue
        spec = PathFinder.find_spec(name, others)
        if spec is None or spec.origin != file:
            found |= {key: held for key, held in sys.modules.items() if key == name or key.startswith(f"{name}.")}
    return found


def import_file(path: Path) -> ModuleType:
    """Run a Python file as a module of its own; the same text at the same place is run once."""
    path, source = path.resolve(), path.read_bytes()
    name = f"{path.stem}_{digest_of_bytes(str(path).encode() + source)[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    assert spec is not None  # its suffix is .py
    module = module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and annotations look for it
    try:
        exec(compile(source, path, "exec"), module.__dict__)  # not a .pyc, which forgets an edit within the same second
    except BaseException:
        del sys.modules[name]
        raise
    return module
