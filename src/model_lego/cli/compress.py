"""model-lego compress: a smaller network for all classes."""

from model_lego.budgets.settings import PROMISED
from model_lego.cli import options as o
from model_lego.cli.budget import check_curve, curve_of, parse_budget
from model_lego.cli.device import DeviceOptions
from model_lego.cli.disassemble import show_component
from model_lego.cli.evaluate import measured
from model_lego.cli.recipe.recording import save_made
from model_lego.cli.render import Bar
from model_lego.cli.sources import check_measured, open_source
from model_lego.cli.team import speaks, team
from model_lego.store.outputs import bytes_of, check_apart, check_room
from model_lego.store.replacing import check_out


def compress_command(
    *,
    model: o.Model,
    data: o.DataOptions,
    out: o.Out,
    budget: o.BudgetOpt = None,
    opening: o.SourceOptions,
    criterion: o.Criterion = None,
    multiple: o.Multiple = 1,
    where: DeviceOptions,
    repairing: o.RepairOptions,
    curves: o.CurveOptions,
    baselines: o.Baselines = False,
    licence: o.Licence = None,
    run: o.RunOptions,
) -> None:
    """Make a trained network smaller, within a budget, and keep all of its classes."""
    from model_lego import compress

    limits = parse_budget(budget) or PROMISED
    device = where.given(limits)
    check_curve(curves.curve_out)
    check_out(out, overwrite=run.overwrite)
    check_apart(out, curves.curve_out)
    source = open_source(model, data, opening, run.batch_size)
    check_room(out, bytes_of(source.model))
    check_measured(data, source.test, source.class_names)
    settings, drawn_curve = repairing.settings(run.seed), None
    chosen = criterion or "reconstruction"
    limit = next((name for name in ("latency", "macs") if getattr(limits, name) is not None), "params")
    with team() as group:
        component = compress(
            source.model,
            source.train,
            limits,
            criterion=chosen,
            class_names=source.class_names,
            multiple=multiple,
            **device,
            repair=settings,
            seed=run.seed,
            preprocessing=source.preprocessing,
            builder=source.builder,
            graph=source.graph,
            progress=Bar(),
            group=group,
        )
        report = measured(component, source, baselines=baselines, timing=not run.json, group=group)
        if curves.wanted:
            drawn_curve = curve_of(
                source,
                curves.curve_out,
                group=group,
                classes=source.class_names,
                criterion=chosen,
                limit=limit,
                multiple=multiple,
                **device,
                seed=run.seed,
                repair=settings,
            )
        if speaks():
            save_made(
                source.as_saved(component), out, data.data, source=source.weights_of(licence), overwrite=run.overwrite
            )
    show_component(component, report, drawn_curve, out, json=run.json)
