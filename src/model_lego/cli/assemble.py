"""model-lego assemble: build one classifier from saved components."""

from collections.abc import Sequence
from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.recipe.recording import save_made
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import data_for, open_part, read_data, told_in
from model_lego.cli.verdict import as_json, show_concerns
from model_lego.cli.wording import in_options
from model_lego.digest import SEEN
from model_lego.errors import BadConfig
from model_lego.parts.assembly import NONE_OF_THESE, Assembly, aliases_of, own_classes
from model_lego.parts.class_names import groups_of, spelled
from model_lego.parts.grouping import grouped
from model_lego.store.outputs import bytes_of, check_room
from model_lego.store.replacing import check_out


def assemble_command(
    *,
    parts: Annotated[list[str], typer.Argument(help="folders of saved components, or of assemblies")],
    out: o.Out,
    calibrating: o.CalibrationOptions,
    class_map: o.ClassMap = None,
    calibration_per_class: o.CalibrationPerClass = 50,
    layout: Annotated[str, typer.Option(help="parallel or padded")] = "parallel",
    scaling: Annotated[str | None, typer.Option(help="logit (as published) or layer (equation 9)")] = None,
    head: o.HeadOpt = "auto",
    on_clash: Annotated[str, typer.Option(help="a class in two parts: error, prefer or average")] = "error",
    labels: Annotated[
        str, typer.Option(help="what the data's classes are: classes, or parts (named 1, 2 … in the order given)")
    ] = "classes",
    outsiders: o.Outsiders = None,
    order: Annotated[
        list[str] | None, typer.Option(help="all classes in the order of the logits, separated by commas")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help='classes as one: "dog=Pug,Beagle"; several times for several groups')
    ] = None,
    loading: o.LoadingOptions,
    run: o.RunOptions,
) -> None:
    """Build one classifier from components, without training."""
    from model_lego import assemble

    data = calibrating.images
    check_out(out, overwrite=run.overwrite)
    components = [open_part(part, loading) for part in parts]
    check_room(out, bytes_of(*components))
    terms = list(dict.fromkeys(name for component in components for name in own_classes(component)))
    groups = groups_of(parse_groups(group or [], terms), terms)
    classes = grouped(terms, groups)[0]
    names = list(classes)
    if data is not None and labels != "parts":
        names = told_in(data, components, classes, aliases_of(components, terms, groups), class_map)
    per_class = calibration_per_class
    if labels == "parts":
        names = _numbers(len(components), data)
        per_class *= max(len(component.classes) for component in components)
    calibration = None
    if data is not None:
        calibration, _ = data_for(
            components,
            data,
            names,
            run.batch_size,
            class_map=class_map,
            per_class=per_class,
            seed=run.seed,
        )
    assembly = assemble(
        components,
        calibration=calibration,
        layout=layout,  # type: ignore[arg-type]
        scaling=scaling,  # type: ignore[arg-type]
        head=head,  # type: ignore[arg-type]
        on_clash=on_clash,  # type: ignore[arg-type]
        labels=labels,  # type: ignore[arg-type]
        class_names=None if labels == "parts" else names,
        outsiders=outsiders,
        order=spelled(order, classes) if order else None,
        groups=groups,
        seed=run.seed,
        progress=Bar(),
    )
    folder = save_made(assembly, out, calibrating.data, overwrite=run.overwrite)
    if run.json:
        settings = {key: value for key, value in assembly.settings.items() if key != SEEN}
        verdict = as_json(assembly.verdict)
        show_json({"folder": str(folder), "classes": assembly.classes, "settings": settings, "verdict": verdict})
        return
    show_assembly(assembly)
    if calibration is None:
        say("calibration images come from --data")
    say(f"written to {folder}")


def parse_groups(texts: Sequence[str], classes: Sequence[str]) -> dict[str, list[str | int]]:
    """Groups as they are written, name=classes; raises BadConfig."""
    groups: dict[str, list[str | int]] = {}
    for text in texts:
        name, _, members = text.partition("=")
        missing = [what for what, given in (("name", name), ("classes", members)) if not given.strip(" ,")]
        if missing:
            raise BadConfig(
                f"--group '{text}' is no group, without {' and '.join(missing)}; write both, with = between them: "
                '"dog=Pug,Beagle"'
            )
        groups.setdefault(name.strip(), []).extend(spelled([members], classes))
    return groups


def _numbers(parts: int, data: o.DataOptions | None) -> list[str]:
    """What the data calls the parts: their numbers, from 1; raises BadConfig where it counts from 0."""
    if data is not None and "0" in read_data(data).class_names:
        raise BadConfig(
            "with --labels parts the data's classes are the numbers of the parts, from 1; it has a class '0'"
        )
    return [str(number) for number in range(1, parts + 1)]


def show_assembly(assembly: Assembly) -> None:
    """Print the assembly, what its check found, and how its head was chosen."""
    record = assembly.record
    show(str(assembly))
    if record.check is not None:
        show(
            f"checked on {record.check.images} images: its joined logits are its parts' side by side "
            f"(largest difference {record.check.difference:.2g}, largest logit {record.check.largest_logit:.3g})"
        )
    if record.cross_validation is not None and record.calibration is not None:
        figures = ", ".join(f"{kind} {score:.1f} %" for kind, score in record.cross_validation.scores.items())
        show(f"cross-validated on {record.calibration.images} calibration images: {figures}; head {assembly.head.kind}")
    if record.outsiders is not None:
        show(f"'{NONE_OF_THESE}' where no logit reaches {record.outsiders.threshold:.3g}")
    for number, part in enumerate(assembly.networks(), 1) if assembly.padded is None else ():
        if part.verdict is not None:
            show(f"part {number}: {part.verdict}")
    show_concerns(assembly.verdict)
    if record.advice:
        say(f"note: {in_options(record.advice, {})}")
