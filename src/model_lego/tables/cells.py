"""Cells of the page: which of a row's figures they show."""

from collections.abc import Callable

from model_lego.tables.recipe import Column, Figures

Cell = Callable[[Figures], float]


def right(name: str) -> Cell:
    """How often a network is right in %; for a single class the AUROC of its logit (times 100)."""
    return lambda figures: float(figures[name]["auroc" if figures["classes"] == 1 else "accuracy"])


def of(name: str, what: str) -> Cell:
    """One figure of one network."""
    return lambda figures: float(figures[name][what])


def less(one: Cell, other: Cell) -> Cell:
    """A difference."""
    return lambda figures: one(figures) - other(figures)


def sized(title: str, name: str) -> tuple[Column, Column]:
    """Two columns: how often a network is right, and its parameters in % of what is uncut."""
    return (Column(title, right(name)), Column("% of parameters", of(name, "parameters")))
