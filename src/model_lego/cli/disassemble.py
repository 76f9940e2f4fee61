"""model-lego plan and model-lego disassemble."""

from collections.abc import Mapping
from typing import Any

from model_lego.attribution import ContributionStats
from model_lego.cli import options as o
from model_lego.cli.budget import check_curve, curve_of, parse_budget, show_curve
from model_lego.cli.device import DeviceOptions, show_time
from model_lego.cli.evaluate import measured
from model_lego.cli.recipe.recording import save_made
from model_lego.cli.render import Bar, say, share, show, show_json, show_table
from model_lego.cli.sources import check_measured, open_source
from model_lego.cli.team import speaks, team
from model_lego.cli.verdict import as_json, on_test_images, show_size, show_verdict
from model_lego.disassembly.disassembling import Plan
from model_lego.disassembly.size_curve import Curve
from model_lego.evaluation.results import Report
from model_lego.parts.class_names import label_numbers
from model_lego.parts.component import Component
from model_lego.parts.origin import Origin
from model_lego.store.outputs import bytes_of, check_apart, check_room
from model_lego.store.replacing import check_out


def plan_command(
    *,
    model: o.Model,
    data: o.DataOptions,
    classes: o.Classes,
    opening: o.SourceOptions,
    paper: o.Paper = False,
    thresholds: o.ThresholdOptions,
    statistics: o.StatisticsOptions,
    multiple: o.Multiple = 1,
    budget: o.BudgetOpt = None,
    criterion: o.Criterion = None,
    where: DeviceOptions,
    curves: o.CurveOptions,
    seed: o.Seed = 0,
    batch_size: o.BatchSize = 128,
    json: o.Json = False,
) -> None:
    """Show which channels a component would keep, without cutting anything."""
    from model_lego import cut, plan

    limits = parse_budget(budget, paper=paper)
    device = where.given(limits, thresholds=thresholds.thresholds(paper=paper))
    check_curve(curves.curve_out)
    source = open_source(model, data, opening, batch_size)
    wanted = source.asked(classes)
    drawn_curve = None
    with team() as group:
        planned = plan(
            source.model,
            source.train,
            classes=wanted,
            budget=limits,
            criterion=criterion,
            class_names=source.class_names,
            thresholds=thresholds.thresholds(paper=paper),
            sampling=statistics.sampling,  # type: ignore[arg-type]
            per_class=statistics.per_class,
            multiple=multiple,
            **device,
            seed=seed,
            preprocessing=source.preprocessing,
            graph=source.graph,
            stats=_statistics(statistics.stats),
            progress=Bar(),
            group=group,
        )
        if curves.wanted:
            drawn_curve = curve_of(
                source,
                curves.curve_out,
                group=group,
                classes=wanted,
                criterion=criterion or "reconstruction",
                multiple=multiple,
                **device,
                seed=seed,
                stats=planned.stats,
            )
    _show_plan(planned, cut(source.model, planned).origin, drawn_curve, json=json)


def _show_plan(planned: Plan, origin: Origin, drawn_curve: Curve | None, *, json: bool) -> None:
    rows = planned.rows()
    if json:
        columns = ("layer", "op", "kept_in", "in", "kept_out", "out")
        cost = {"parameters": origin.cost_after.parameters, "macs": origin.cost_after.macs}
        layers = [dict(zip(columns, row, strict=True)) for row in rows]
        more = _more(planned.settings, drawn_curve)
        show_json({"classes": planned.classes, "layers": layers, **cost, **more})
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
    show_time(planned.settings)
    show_size(planned.settings, planned.verdict)
    show_curve(drawn_curve)


def _more(settings: Mapping[str, Any], drawn_curve: Curve | None) -> dict[str, Any]:
    """What JSON has besides, where a budget, a device or a curve was asked for."""
    given = {name: settings.get(name) for name in ("budget", "latency")}
    given["curve"] = drawn_curve.to_dict() if drawn_curve else None
    return {name: value for name, value in given.items() if value is not None}


def disassemble_command(
    *,
    model: o.Model,
    data: o.DataOptions,
    classes: o.Classes,
    out: o.Out,
    opening: o.SourceOptions,
    paper: o.Paper = False,
    thresholds: o.ThresholdOptions,
    statistics: o.StatisticsOptions,
    multiple: o.Multiple = 1,
    budget: o.BudgetOpt = None,
    criterion: o.Criterion = None,
    where: DeviceOptions,
    curves: o.CurveOptions,
    repairing: o.RepairOptions,
    baselines: o.Baselines = False,
    licence: o.Licence = None,
    run: o.RunOptions,
) -> None:
    """Take the component for some classes out of a trained network."""
    from model_lego import disassemble

    limits = parse_budget(budget, paper=paper)
    device = where.given(limits, thresholds=thresholds.thresholds(paper=paper))
    check_curve(curves.curve_out)
    check_out(out, overwrite=run.overwrite)
    check_apart(out, curves.curve_out)
    source = open_source(model, data, opening, run.batch_size)
    check_room(out, bytes_of(source.model))
    wanted = source.asked(classes)
    check_measured(data, source.test, source.class_names, label_numbers(wanted, source.class_names))
    settings, drawn_curve, sums = repairing.settings(run.seed), None, _statistics(statistics.stats)
    with team() as group:
        component = disassemble(
            source.model,
            source.train,
            classes=wanted,
            budget=limits,
            criterion=criterion,
            class_names=source.class_names,
            thresholds=thresholds.thresholds(paper=paper),
            sampling=statistics.sampling,  # type: ignore[arg-type]
            per_class=statistics.per_class,
            multiple=multiple,
            **device,
            seed=run.seed,
            repair=settings,
            preprocessing=source.preprocessing,
            builder=source.builder,
            graph=source.graph,
            stats=sums,
            progress=Bar(),
            group=group,
        )
        report = measured(component, source, baselines=baselines, timing=not run.json, group=group)
        if curves.wanted:
            drawn_curve = curve_of(
                source,
                curves.curve_out,
                group=group,
                classes=wanted,
                criterion=criterion or "reconstruction",
                multiple=multiple,
                **device,
                seed=run.seed,
                repair=settings,
                stats=sums,
            )
        if speaks():
            save_made(
                source.as_saved(component), out, data.data, source=source.weights_of(licence), overwrite=run.overwrite
            )
    show_component(component, report, drawn_curve, out, json=run.json)


def show_component(component: Component, report: Report, drawn_curve: Curve | None, out: str, *, json: bool) -> None:
    """Print what a component costs and how well it does, with its curve, if there is one."""
    verdict = on_test_images(component, report)
    if json:
        more = _more(component.origin.settings, drawn_curve) | {"verdict": as_json(verdict)}
        show_json({"folder": out, "classes": component.classes, **report.to_dict(), **more})
        return
    before, after = component.origin.cost_before, component.origin.cost_after
    show(str(report))
    show(f"parameters {share(after.parameters, before.parameters)}, multiply-adds {share(after.macs, before.macs)}")
    show_time(component.origin.settings)
    show_curve(drawn_curve)
    show_size(component.origin.settings, component.verdict)
    show_verdict(verdict)
    say(f"written to {out}")


def _statistics(folder: str | None) -> ContributionStats | None:
    from model_lego import load_statistics

    return None if folder is None else load_statistics(folder)
