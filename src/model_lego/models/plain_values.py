"""What people save beside weights and torch's weights-only loader may make: values that do nothing."""

import argparse
import datetime
import pathlib
import types
from collections.abc import Callable
from typing import Any

import numpy as np

#: Modules that paths name as their own, by version of Python.
PATHS = ("pathlib", "pathlib._local")
#: Modules that numpy's numbers name as their own, by version of numpy.
CORES = ("numpy.core.multiarray", "numpy._core.multiarray")


def _emptied(*_: object) -> dict[Any, Any]:
    """A plain dict in place of one with defaults, whatever makes these."""
    return {}


def _reduced(value: Any) -> Callable[..., Any]:
    """The function by which a pickle makes a value."""
    made: Callable[..., Any] = value.__reduce__()[0]
    return made


#: Classes and functions, where these have other names in files together with the name.
PLAIN: tuple[Callable[..., Any] | tuple[Callable[..., Any], str], ...] = (
    *(argparse.Namespace, types.SimpleNamespace, slice, range, frozenset),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone),
    *(np.ndarray, np.dtype),
    *{type(np.dtype(code)) for code in np.typecodes["All"] if code != "O"},
    *((_reduced(np.float64(0)), f"{core}.scalar") for core in CORES),
    *((_reduced(np.empty(0)), f"{core}._reconstruct") for core in CORES),
    *((pathlib.PurePosixPath, f"{home}.{name}") for home in PATHS for name in ("PosixPath", "PurePosixPath")),
    *((pathlib.PureWindowsPath, f"{home}.{name}") for home in PATHS for name in ("WindowsPath", "PureWindowsPath")),
    (_emptied, "collections.defaultdict"),
    *((_emptied, f"builtins.{name}") for name in ("list", "dict", "int", "float", "str")),  # what makes defaults
)
