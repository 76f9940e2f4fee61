"""Rows about how components are joined: padding, scaling and heads, all else being equal."""

from typing import Any

from model_lego.assembly.assembling import assemble
from model_lego.data import batches
from model_lego.evaluation.evaluating import evaluate
from model_lego.parts.origin import total
from model_lego.tables import cuts
from model_lego.tables.assembling import Assembling, opened, some
from model_lego.tables.bench import TESTED, Bench
from model_lego.tables.cells import of
from model_lego.tables.recipe import Column, Kind

#: Ways of joining: the title of each, and what it is for `assemble`.
WAYS: dict[str, dict[str, Any]] = {
    "side by side": {"head": "concat"},
    "padded": {"head": "concat", "layout": "padded"},
    "logit scaling": {"head": "concat", "scaling": "logit"},
    "layer scaling": {"head": "concat", "scaling": "layer"},
    "affine head": {"head": "affine"},
    "ridge head": {"head": "ridge"},
}


class Joining(Assembling):
    """An assembly of components that are cut as published, repaired or not, joined in several ways."""

    repair: str = "none"

    @property
    def id(self) -> str:
        """The parts and their repair."""
        return f"{super().id}/{'cut' if self.repair == 'none' else self.repair}"


def measure(bench: Bench, row: Joining, seed: int) -> dict[str, Any]:
    """Measure one row with one seed."""
    sources, tasks, data = opened(bench, row.parts, seed, test=row.test)
    parts = [
        cuts.published(source, labels, seed, repair=row.repair) for source, labels in zip(sources, tasks, strict=True)
    ]
    calibration = some(data, row.calibration, seed)
    made = {name: assemble(parts, calibration=calibration, seed=seed, **how) for name, how in WAYS.items()}
    first = next(iter(made.values()))
    beside = [cuts.entrant(name, assembly) for name, assembly in made.items()]
    report = evaluate(first, batches(data.test, batch_size=TESTED), baselines=beside)
    return cuts.figures(report, total(part.origin.cost_before for part in parts))


KIND = Kind(
    row=Joining,
    measure=measure,
    columns=(
        *(Column(name, of(name, "by class")) for name in WAYS),
        Column("% of parameters, side by side", of("side by side", "parameters")),
        Column("padded", of("padded", "parameters")),
    ),
)
