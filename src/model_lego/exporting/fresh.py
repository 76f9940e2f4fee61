"""What a fresh process runs: a file on batches, without anything that the process which wrote it has in memory.

Usage: `python -m model_lego.exporting.fresh FORMAT FILE FOLDER`. Each `N.npy` of the folder is a batch, and
`N.answer.npy` what the file gives for it.
"""

import sys
from pathlib import Path

import numpy as np

from model_lego.exporting.formats import FORMATS


def main(name: str, file: str, folder: str) -> None:
    """Run the file of a format on all batches of a folder."""
    run = FORMATS[name].code.opened(Path(file))
    for batch in sorted(Path(folder).glob("*.npy")):
        np.save(batch.with_suffix(".answer.npy"), run(np.load(batch)))


if __name__ == "__main__":
    main(*sys.argv[1:])
