"""model-lego remove: take classes out of a saved part or of a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from model_lego.cli import options as o
from model_lego.cli.assemble import show_assembly
from model_lego.cli.budget import parse_budget
from model_lego.cli.device import DeviceOptions
from model_lego.cli.recipe.recording import save_made
from model_lego.cli.render import Bar, say, share, show, show_json
from model_lego.cli.sources import names_in, open_part, open_source, part_data
from model_lego.cli.verdict import as_json, show_concerns
from model_lego.data import batches, subset
from model_lego.errors import BadConfig
from model_lego.parts.assembly import Assembly, counted_by, told_classes
from model_lego.parts.class_names import label_numbers, spelled
from model_lego.parts.component import Component
from model_lego.store.located import is_named
from model_lego.store.outputs import bytes_of, check_room
from model_lego.store.replacing import check_out


@dataclass(frozen=True, slots=True)
class _Others(o.CalibrationOptions):
    data: Annotated[str | None, typer.Option("--data", "-d", help="where images of the others come from")] = None


def remove_command(
    *,
    part: Annotated[str, typer.Argument(help="folder of a saved part; or a MODEL, with its weights")],
    classes: Annotated[list[str], typer.Option("--classes", "-c", help="classes to take out: names or numbers")],
    out: o.Out,
    calibrating: _Others,
    calibration_per_class: o.CalibrationPerClass = 250,
    opening: o.SourceOptions,
    thresholds: o.ThresholdOptions,
    budget: o.BudgetOpt = None,
    where: DeviceOptions,
    per_class: o.PerClass = None,
    repairing: o.RepairOptions,
    forget: Annotated[bool, typer.Option("--forget/--no-forget", help="erase what goes from the logits")] = True,
    head: o.HeadOpt = "auto",
    run: o.RunOptions,
) -> None:
    """Take classes out of a component, an assembly or a network; the others stay."""
    from model_lego import remove_classes

    data, limits = calibrating.images, parse_budget(budget)
    how: dict[str, Any] = {
        **where.given(limits, thresholds=thresholds.thresholds()),
        "thresholds": thresholds.thresholds(),
        "budget": limits,
        "per_class": per_class,
        "repair": repairing.settings(run.seed),
        "forget": forget,
        "seed": run.seed,
        "progress": Bar(),
    }
    check_out(out, overwrite=run.overwrite)
    if not opening.trained and (is_named(part) or ":" not in part):
        opened = open_part(part, opening)
        check_room(out, bytes_of(opened))
        made = _from_part(
            opened,
            classes,
            data,
            head,
            how,
            class_map=opening.class_map,
            images_a_class=calibration_per_class,
            batch_size=run.batch_size,
        )
    elif data is None:
        raise BadConfig("a network is cut by what its images say; give --data")
    else:
        source = open_source(part, data, opening, run.batch_size)
        check_room(out, bytes_of(source.model))
        how |= {"preprocessing": source.preprocessing, "builder": source.builder}
        names = source.class_names
        made = remove_classes(source.model, source.asked(classes), source.train, class_names=names, **how)
    folder = save_made(made, out, calibrating.data, overwrite=run.overwrite)
    show_part(made, str(folder), data is not None, json=run.json)


def _from_part(
    part: Component | Assembly,
    classes: Sequence[str],
    data: o.DataOptions | None,
    head: str,
    how: dict[str, Any],
    *,
    class_map: str | None,
    images_a_class: int,
    batch_size: int,
) -> Component | Assembly:
    from model_lego import remove_classes

    gone = label_numbers(spelled(classes, part.classes), part.classes, owner="part")
    left = [name for place, name in enumerate(part.classes) if place not in gone]
    names, feed = [], None
    if data is not None and any(name in told_classes(part) for name in left):
        told = names_in(part, data, class_map)
        split = part_data([part], data, told, class_map, more=True)
        counted = zip(told, counted_by(part, told), strict=True)
        names = [name for name, each in counted if each in left or name in split.present]
        labels = label_numbers(names, split.class_names, owner="data")
        seed, called = how["seed"], split.class_names
        images = subset(split.train, labels, per_class=images_a_class, seed=seed, class_names=called)
        feed = batches(images, batch_size=batch_size)
    return remove_classes(part, gone, feed, class_names=names or None, head=head, **how)  # type: ignore[arg-type]


def show_part(made: Component | Assembly, folder: str, with_images: bool, *, json: bool) -> None:
    """Print what came of a part."""
    if json:
        settings = made.settings if isinstance(made, Assembly) else made.origin.settings
        verdict = as_json(made.verdict)
        show_json({"folder": folder, "classes": made.classes, "settings": settings, "verdict": verdict})
        return
    if isinstance(made, Assembly):
        show_assembly(made)
    else:
        before, after = made.origin.cost_before, made.origin.cost_after
        show(str(made))
        show(f"parameters {share(after.parameters, before.parameters)}, multiply-adds {share(after.macs, before.macs)}")
        show_concerns(made.verdict)
    if not with_images:
        say("images by which more is cut, and the rest is fitted again, come from --data")
    say(f"written to {folder}")
