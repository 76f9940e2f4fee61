"""Keep trained weights with the results: `python tools/keep_weights.py build/sources/NAME ...`, in half precision.

What `model-lego bench tables` trained takes an evening to train again; kept weights let every reader measure its rows.
Measure rows from the kept file, with the trained one out of the way: then the figures are those of the rounded weights.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

KEPT = Path(__file__).resolve().parent.parent / "docs" / "results" / "sources"


def main() -> None:
    """Keep each network that is named, under the name of its folder."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for folder in map(Path, sys.argv[1:]):
        tensors = load_file(folder / "model.safetensors")
        halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        if wrong := [name for name, tensor in halved.items() if not bool(torch.isfinite(tensor).all())]:
            sys.exit(f"'{folder}': {wrong[0]} has values that half precision cannot hold")
        save_file(halved, KEPT / f"{folder.name}.safetensors")
        print(KEPT / f"{folder.name}.safetensors")


if __name__ == "__main__":
    main()
