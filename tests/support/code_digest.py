"""What classes and functions do, as text that changes when their code does."""

import sys
import types
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLAIN = (bool, bytes, complex, float, int, str, type(None), type(...))
#: What a class has beside what it was written with.
UNWRITTEN = {"__dict__", "__weakref__", "__doc__", "__abstractmethods__", "_abc_impl"}


class UnknownCode(Exception):
    """What a class or a function does cannot be told."""


def code_text(things):
    """Describe classes and functions, and all that their code names: ours by code, a package's by its version."""
    numbers, lines = {}, []

    def tell(thing):
        if id(thing) in numbers:
            lines.append(f"as {numbers[id(thing)][0]}")
            return
        if isinstance(thing, types.FunctionType | type | dict | list):  # which may hold themselves
            numbers[id(thing)] = len(numbers), thing  # held, so that nothing else gets its id
        text, inner = _told(thing)
        lines.append(f"{text} {len(inner)}")
        for item in inner:
            tell(item)

    tell(list(things))
    return "\n".join(lines)


def _told(thing):
    """One thing as text, and what has to be told with it."""
    if isinstance(thing, PLAIN):
        return repr(thing), []
    if type(thing) in INNER:
        return type(thing).__name__, INNER[type(thing)](thing)
    home = _home(thing)
    if not _is_ours(home):
        return f"{_version(home)} {home} {getattr(thing, '__qualname__', type(thing).__qualname__)}", []
    if isinstance(thing, types.FunctionType):
        return f"def {home}", _function(thing)
    if isinstance(thing, type):
        own = {name: value for name, value in vars(thing).items() if name not in UNWRITTEN}
        return f"class {home}.{thing.__qualname__}", [*thing.__bases__, own]
    raise UnknownCode(f"{thing!r} of {home}")


def _code(code):
    """Bytecode with its lines, since errors and traces name them."""
    place = Path(code.co_filename)
    file = place.relative_to(ROOT) if place.is_relative_to(ROOT) else place
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return [f"{file} {code.co_qualname} {code.co_code.hex()} {names} {list(code.co_lines())}", *code.co_consts]


INNER = {
    cached_property: lambda wrapper: [wrapper.func],
    classmethod: lambda wrapper: [wrapper.__func__],
    dict: lambda things: [item for pair in things.items() for item in pair],
    frozenset: lambda things: sorted(things, key=repr),
    list: list,
    property: lambda wrapper: [wrapper.fget, wrapper.fset, wrapper.fdel],
    set: lambda things: sorted(things, key=repr),
    staticmethod: lambda wrapper: [wrapper.__func__],
    tuple: list,
    types.CodeType: _code,
}


def _function(function):
    closed = [cell.cell_contents for cell in function.__closure__ or ()]
    named = {name: function.__globals__.get(name) for name in sorted(_names(function.__code__))}
    return [function.__code__, function.__defaults__, function.__kwdefaults__, closed, named]


def _names(code):
    return {*code.co_names}.union(*(_names(const) for const in code.co_consts if isinstance(const, types.CodeType)))


def _home(thing):
    """The module that a thing, or else its class, comes from."""
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    home = getattr(thing, "__module__", None)
    return home if isinstance(home, str) else type(thing).__module__


def _is_ours(module):
    """Whether a module belongs to this checkout, in which an environment may lie."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and Path(file).is_relative_to(ROOT) and not Path(file).is_relative_to(sys.prefix)


def _version(module):
    package = module.partition(".")[0]
    if package in sys.stdlib_module_names:
        return sys.version
    known = getattr(sys.modules.get(package), "__version__", None)
    try:
        return known or version(package)
    except PackageNotFoundError as error:
        raise UnknownCode(f"{package} has no version") from error
