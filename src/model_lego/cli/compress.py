"""model-lego compress: a smaller network for all classes."""

from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.budget import check_curve, curve_of, parse_budget
from model_lego.cli.disassemble import show_component
from model_lego.cli.evaluate import measured
from model_lego.cli.render import Bar
from model_lego.cli.sources import check_out, open_source
from model_lego.cli.team import speaks, team
from model_lego.errors import BadConfig


def compress_command(
    model: o.Model, data: o.Data, out: o.Out, budget: o.BudgetOpt = None, weights: o.Weights = None,
    argument: o.Arguments = None, source_classes: o.SourceClasses = None, mean: o.Mean = None, std: o.Std = None,
    size: o.Size = None, criterion: o.Criterion = None, multiple: o.Multiple = 1,
    repair: Annotated[str, typer.Option(help="ridge, mean, bn or none")] = "ridge",
    curve: o.CurveOpt = False, curve_out: o.CurveOut = None,
    baselines: Annotated[bool, typer.Option("--baselines", help="measure beside the source and other cuts")] = False,
    seed: o.Seed = 0, batch_size: o.BatchSize = 128, overwrite: o.Overwrite = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Make a trained network smaller, within a budget, and keep all of its classes."""
    from model_lego import RepairSettings, compress, save

    limits = parse_budget(budget)
    if limits is None:
        raise BadConfig("how small? give --budget, for instance --budget macs=0.5")
    check_curve(curve_out)
    check_out(out, overwrite=overwrite)
    source = open_source(
        model, data=data, weights=weights, arguments=argument, source_classes=source_classes, mean=mean, std=std,
        size=size, batch_size=batch_size,
    )  # fmt: skip
    settings, drawn_curve = RepairSettings(method=repair, seed=seed), None  # type: ignore[arg-type]
    chosen, limit = criterion or "reconstruction", "macs" if limits.macs is not None else "params"
    with team() as group:
        component = compress(
            source.model, source.train, limits, criterion=chosen, class_names=source.class_names, multiple=multiple,
            repair=settings, seed=seed, preprocessing=source.preprocessing, builder=source.builder, graph=source.graph,
            progress=Bar(), group=group,
        )  # fmt: skip
        report = measured(component, source, baselines=baselines, group=group)
        if curve or curve_out:
            drawn_curve = curve_of(
                source, curve_out, group=group, classes=source.class_names, criterion=chosen, limit=limit,
                multiple=multiple, seed=seed, repair=settings,
            )  # fmt: skip
        if speaks():
            save(component, out, overwrite=overwrite)
    show_component(component, report, drawn_curve, out, json=json)
