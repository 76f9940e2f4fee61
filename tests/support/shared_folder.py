"""Real data and trained networks that lie beside the checkout, where there are any: tests pass without them."""

import os
from pathlib import Path

import pytest

from benchmarks.common import shared_folder

#: Names the folder of the shared data.
VARIABLE = "MODEL_LEGO_SHARED"


def shared(*names: str) -> Path:
    """Give the shared folder after making sure that the named files are in it, or skip the test and say what is absent.

    Names are paths in that folder, such as "zoo/network.safetensors".
    """
    folder = shared_folder()
    if not folder.is_dir():
        named = os.environ.get(VARIABLE)
        place = (
            f"{VARIABLE} names no folder" if named else f"there is no folder 'shared' beside the checkout ({VARIABLE})"
        )
        pytest.skip(f"{place}: it would hold {', '.join(names) or 'trained networks and images'}")
    if absent := [name for name in names if not (folder / name).is_file()]:
        pytest.skip(f"the shared folder holds no {', '.join(absent)}")
    return folder
