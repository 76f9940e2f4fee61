"""model-lego plan and model-lego disassemble."""

from typing import Annotated

import typer

from model_lego.attribution import ContributionStats
from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, share, show, show_json, show_table
from model_lego.cli.sources import Source, check_out, chosen, named, open_source
from model_lego.cli.team import speaks, team
from model_lego.component import Component
from model_lego.contenders import Contender


def plan_command(
    model: o.Model, data: o.Data, classes: o.Classes, weights: o.Weights = None, argument: o.Arguments = None,
    source_classes: o.SourceClasses = None, mean: o.Mean = None, std: o.Std = None, size: o.Size = None,
    alpha: o.Alpha = 0.3, beta: o.Beta = 0.2, linear_alpha: o.LinearAlpha = 0.4, linear_beta: o.LinearBeta = 0.3,
    sampling: o.SamplingOpt = "confident", per_class: o.PerClass = None, stats: o.Stats = None,
    multiple: o.Multiple = 1, seed: o.Seed = 0, batch_size: o.BatchSize = 128, json: o.Json = False,
) -> None:  # fmt: skip
    """Show which channels a component would keep, without cutting anything."""
    from model_lego import Thresholds, cut, plan

    source = open_source(
        model, data=data, weights=weights, arguments=argument, source_classes=source_classes, mean=mean, std=std,
        size=size, batch_size=batch_size,
    )  # fmt: skip
    with team() as group:
        planned = plan(
            source.model, source.train, classes=named(chosen(classes), source.class_names),
            class_names=source.class_names, thresholds=Thresholds(alpha, beta, linear_alpha, linear_beta),
            sampling=sampling, per_class=per_class, multiple=multiple, seed=seed,  # type: ignore[arg-type]
            preprocessing=source.preprocessing, graph=source.graph, stats=_statistics(stats), progress=Bar(),
            group=group,
        )  # fmt: skip
    origin = cut(source.model, planned).origin
    rows = planned.rows()
    if json:
        columns = ("layer", "op", "kept_in", "in", "kept_out", "out")
        cost = {"parameters": origin.cost_after.parameters, "macs": origin.cost_after.macs}
        show_json(
            {"classes": planned.classes, "layers": [dict(zip(columns, row, strict=True)) for row in rows], **cost}
        )
        return
    show_table(
        f"Plan for {', '.join(planned.classes)}",
        ("layer", "operator", "inputs kept", "outputs kept"),
        [(name, op, f"{ki} of {i}", f"{ko} of {k}") for name, op, ki, i, ko, k in rows],
    )
    for freeze in planned.graph.freezes:
        show(f"kept whole: {freeze.reason} (layer '{freeze.where}')")
    before, after = origin.cost_before, origin.cost_after
    show(f"parameters {share(after.parameters, before.parameters)}, multiply-adds {share(after.macs, before.macs)}")


def disassemble_command(
    model: o.Model, data: o.Data, classes: o.Classes, out: o.Out, weights: o.Weights = None,
    argument: o.Arguments = None, source_classes: o.SourceClasses = None, mean: o.Mean = None, std: o.Std = None,
    size: o.Size = None, alpha: o.Alpha = 0.3, beta: o.Beta = 0.2, linear_alpha: o.LinearAlpha = 0.4,
    linear_beta: o.LinearBeta = 0.3, sampling: o.SamplingOpt = "confident", per_class: o.PerClass = None,
    stats: o.Stats = None, multiple: o.Multiple = 1,
    repair: Annotated[str, typer.Option(help="ridge, mean, bn or none")] = "ridge",
    baselines: Annotated[bool, typer.Option("--baselines", help="measure beside the source and other cuts")] = False,
    seed: o.Seed = 0, batch_size: o.BatchSize = 128, overwrite: o.Overwrite = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Take the component for some classes out of a trained network."""
    from model_lego import RepairSettings, Thresholds, disassemble, evaluate, save

    check_out(out, overwrite=overwrite)
    source = open_source(
        model, data=data, weights=weights, arguments=argument, source_classes=source_classes, mean=mean, std=std,
        size=size, batch_size=batch_size,
    )  # fmt: skip
    with team() as group:
        component = disassemble(
            source.model, source.train, classes=named(chosen(classes), source.class_names),
            class_names=source.class_names, thresholds=Thresholds(alpha, beta, linear_alpha, linear_beta),
            sampling=sampling, per_class=per_class, multiple=multiple, seed=seed,  # type: ignore[arg-type]
            repair=RepairSettings(method=repair, seed=seed), preprocessing=source.preprocessing,  # type: ignore[arg-type]
            builder=source.builder, graph=source.graph, stats=_statistics(stats), progress=Bar(), group=group,
        )  # fmt: skip
        report = evaluate(
            component, source.test, class_names=source.class_names,
            baselines=_baselines(component, source) if baselines else (), progress=Bar(), group=group,
        )  # fmt: skip
        if speaks():
            save(component, out, overwrite=overwrite)
    if json:
        show_json({"folder": out, "classes": component.classes, **report.to_dict()})
        return
    before, after = component.origin.cost_before, component.origin.cost_after
    show(str(report))
    show(f"parameters {share(after.parameters, before.parameters)}, multiply-adds {share(after.macs, before.macs)}")
    say(f"written to {out}")


def _statistics(folder: str | None) -> ContributionStats | None:
    from model_lego import load_statistics

    return None if folder is None else load_statistics(folder)


def _baselines(component: Component, source: Source) -> tuple[Contender, ...]:
    """The uncut source, the cut without repair, and cuts of the same size."""
    from model_lego import baselines

    return baselines(component, source.model, calibration=source.train, graph=source.graph, progress=Bar())
