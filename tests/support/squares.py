"""A tiny world for the command line: four kinds of grey squares of 16 x 16 pixels and small LeNets that know them."""

import contextlib
import copy
import io
import json
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = ("ant", "bee", "cat", "dog")
NETWORK = ("zoo:lenet5", "-a", "image_size=16", "-a", "width=0.5")
ARGUMENTS = {"image_size": 16, "width": 0.5}


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left: its exit code, and what it wrote on stdout and on stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Everything on stdout as one JSON value; NaN and Infinity, which JSON does not have, are refused."""
        return json.loads(self.out, parse_constant=_refuse_constant)


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


class Terminal(io.StringIO):
    """A stream that says it is a terminal, on which progress is drawn."""

    def isatty(self) -> bool:
        return True


def run(*arguments: str | Path, terminal: bool = False) -> Ran:
    """Run the command line in this process, as the console script does; stderr is a terminal if that is asked for."""
    from model_lego.cli import main

    out, err, code = io.StringIO(), Terminal() if terminal else io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)  # shown, as in a process of its own
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    return Ran(code, out.getvalue(), err.getvalue())


def said(text: str) -> str:
    """What was said, without the ends of its lines."""
    return " ".join(text.split())


def refused(ran: Ran) -> str:
    """What a refusal says, after checking that nothing else was said and nothing was given on stdout."""
    assert ran.code == 1, ran
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert ran.err.startswith("error: ")
    return said(ran.err.removeprefix("error: "))


def pictures(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Give `count` squares a class, uint8 N x 16 x 16, and labels; each class is bright in a corner of its own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(CLASSES)).repeat(count)
    images = torch.randint(0, 90, (len(labels), 16, 16), generator=generator)
    for number, label in enumerate(labels.tolist()):
        row, column = 8 * (label // 2), 8 * (label % 2)
        images[number, row : row + 8, column : column + 8] += 120
    return images.to(torch.uint8), labels


def arrays() -> dict[str, Any]:
    """The data set as the arrays of an .npz file: 24 training and 10 test images a class."""
    (x_train, y_train), (x_test, y_test) = pictures(24, seed=0), pictures(10, seed=1)
    return {
        "x_train": x_train.numpy(), "y_train": y_train.numpy(), "x_test": x_test.numpy(), "y_test": y_test.numpy(),
        "class_names": np.array(CLASSES),
    }  # fmt: skip


def write_npz(path: Path, **changes: Any) -> Path:
    """Write the data set with some arrays replaced, or left out where they are None."""
    given = {key: value for key, value in {**arrays(), **changes}.items() if value is not None}
    np.savez(path, **given)
    return path


def trained(*, seed: int, side: int = 16) -> nn.Module:
    """A LeNet that tells the four classes apart, in images of its own size; the same weights at each call."""
    return copy.deepcopy(_trained(seed, side))  # last bits of a training depend on how many threads there are


@cache
def _trained(seed: int, side: int) -> nn.Module:
    from model_lego.models import build

    images, labels = pictures(24, seed=0)
    images = images[:, None].float() / 255
    if side != 16:
        resized = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        images = (resized - 0.3) / 0.2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build("zoo:lenet5", num_classes=len(CLASSES), **ARGUMENTS | {"image_size": side})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(12):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return model.eval()


def write_weights(model: nn.Module, path: Path) -> Path:
    """Save a network's state dict as safetensors, or with torch.save for another suffix."""
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(model.state_dict(), path)
    else:
        torch.save(model.state_dict(), path)
    return path


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file under a folder with its bytes."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
