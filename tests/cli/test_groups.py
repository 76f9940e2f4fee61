"""Groups of options: a command takes dataclasses, its command line has their fields one by one."""

import inspect
from dataclasses import dataclass, fields
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from model_lego.cli.groups import spread
from model_lego.cli.options import RunOptions, TrainingOptions
from model_lego.training import TrainingSettings


@dataclass(frozen=True)
class Paint:
    colour: Annotated[str, typer.Option("--colour", help="of the wall")] = "white"
    coats: Annotated[int, typer.Option("--coats")] = 2


RED = Paint("red", 3)


@pytest.fixture
def calls():
    return []


@pytest.fixture
def app(calls):
    def wall(*, first: int = 1, paint: Paint, inner: str = "x") -> None:
        """Paint a wall."""
        calls.append((first, paint, inner))

    def door(*, paint: Paint = RED) -> None:
        calls.append(paint)

    app = typer.Typer()
    for command in (wall, door):
        app.command(command.__name__)(spread(command))
    return app


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("wall", (1, Paint("white", 2), "x")),
        ("wall --coats 5 --first 7 --inner y", (7, Paint("white", 5), "y")),
        ("door", Paint("red", 3)),
        ("door --colour blue", Paint("blue", 3)),
    ],
)
def test_a_command_gets_its_groups_with_what_was_said_and_else_its_own_defaults(app, calls, words, expected):
    assert CliRunner().invoke(app, words.split()).exit_code == 0
    assert calls == [expected]


def test_help_has_the_options_of_a_group_in_its_place():
    def wall(*, first: int = 1, paint: Paint, inner: str = "x") -> None:
        """Paint a wall."""

    flat = spread(wall)
    assert list(inspect.signature(flat).parameters) == ["first", "colour", "coats", "inner"]
    assert flat.__doc__ == "Paint a wall."


def test_an_option_that_a_group_needs_is_asked_for():
    @dataclass(frozen=True)
    class Needed:
        name: Annotated[str, typer.Option("--name")]

    def command(*, needed: Needed) -> None:
        """Do nothing."""

    app = typer.Typer()
    app.command()(spread(command))
    assert CliRunner().invoke(app, []).exit_code == 2


@pytest.mark.parametrize(
    "settings",
    [TrainingSettings(), TrainingSettings(epochs=3, learning_rate=0.7, schedule="cosine", clip=2.0, ema=0.9, amp=True)],
)
def test_options_of_a_training_say_what_the_settings_say_that_they_are_like(settings):
    run = RunOptions(seed=settings.seed, batch_size=settings.batch_size)
    assert TrainingOptions.like(settings).settings(run) == settings
    assert {each.name for each in fields(TrainingSettings)} == {
        each.name.removeprefix("random_") for each in fields(TrainingOptions)
    } - {"resume"} | {"seed", "batch_size"}
