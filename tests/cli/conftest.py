from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.squares import NETWORK, run, trained, write_npz, write_weights


@dataclass(frozen=True, slots=True)
class World:
    """Files that all tests of the command line share and none of them changes."""

    data: Path
    weights: Path  # of a network for all four classes
    others: Path  # of another one, as a state dict
    one: Path  # a component for ant and bee
    two: Path  # a component for dog and cat, of the other network
    both: Path  # an assembly of them

    def source(self, weights: Path | None = None, data: Path | None = None) -> list[str]:
        """Arguments that name a network and its data."""
        return [*NETWORK, "--weights", str(weights or self.weights), "--data", str(data or self.data)]


@pytest.fixture(scope="session", autouse=True)
def plain_terminal():
    """No colours and 80 columns, wherever the tests run: the printing libraries ask the environment when imported."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TERMINAL_WIDTH", "TTY_COMPATIBLE"):
            patch.delenv(name, raising=False)
        patch.setenv("COLUMNS", "80")
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Make the shared files with the command line itself."""
    folder = tmp_path_factory.mktemp("world")
    made = World(
        data=write_npz(folder / "animals.npz"),
        weights=write_weights(trained(seed=0), folder / "network.safetensors"),
        others=write_weights(trained(seed=1), folder / "other.pt"),
        one=folder / "one",
        two=folder / "two",
        both=folder / "both",
    )
    for command in (
        ["disassemble", "--paper", *made.source(), "--classes", "ant,bee", "--out", made.one],
        ["disassemble", "--paper", *made.source(made.others), "--classes", "3,2", "--out", made.two],
        ["assemble", made.one, made.two, "--out", made.both, "--data", made.data],
    ):
        ran = run(*command)
        assert ran.code == 0, ran.err
    return made
