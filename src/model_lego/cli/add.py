"""model-lego add and replace: a saved part with one more component, or with another one in a part's place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.recipe.recording import save_made
from model_lego.cli.remove import show_part
from model_lego.cli.render import Bar
from model_lego.cli.sources import data_for, names_in, open_part
from model_lego.data.sets import Batched
from model_lego.errors import BadConfig
from model_lego.parts.assembly import Assembly, told_classes
from model_lego.parts.component import Component
from model_lego.store.outputs import bytes_of, check_room
from model_lego.store.replacing import check_out

ClashOpt = Annotated[
    str | None, typer.Option("--on-clash", help="a class that is there already: error, prefer or average")
]
AllImages = typer.Option("--data", "-d", help="where calibration images of all classes come from")


@dataclass(frozen=True, slots=True)
class JoiningOptions(o.CalibrationOptions):
    """How parts are joined."""

    data: Annotated[str | None, AllImages] = None
    class_map: o.ClassMap = None
    calibration_per_class: o.CalibrationPerClass = 50
    head: o.HeadOpt = "auto"
    on_clash: ClashOpt = None


def add_command(
    *,
    part: Annotated[str, typer.Argument(help="folder of a saved component or assembly")],
    component: Annotated[str, typer.Argument(help="folder of the component, or assembly, that brings the new classes")],
    out: o.Out,
    joining: JoiningOptions,
    outsiders: o.Outsiders = None,
    loading: o.LoadingOptions,
    run: o.RunOptions,
) -> None:
    """Join a component to a saved component or assembly, without training."""
    from model_lego import add_classes

    check_out(out, overwrite=run.overwrite)
    opened, new = open_part(part, loading), open_part(component, loading)
    check_room(out, bytes_of(opened, new))
    names = _names((opened, new), joining)
    made = add_classes(
        opened,
        new,
        calibration=_images((opened, new), names, joining, run),
        class_names=names,
        outsiders=outsiders,
        seed=run.seed,
        progress=Bar(),
        head=joining.head,  # type: ignore[arg-type]
        on_clash=joining.on_clash,  # type: ignore[arg-type]
    )
    folder = save_made(made, out, joining.data, overwrite=run.overwrite)
    show_part(made, str(folder), joining.data is not None, json=run.json)


def replace_command(
    *,
    assembly: Annotated[str, typer.Argument(help="folder of a saved assembly")],
    old: Annotated[str, typer.Argument(help="the part: a class that only it has, or its number, from 1")],
    new: Annotated[str, typer.Argument(help="folder of the component, or assembly, that takes its place")],
    out: o.Out,
    joining: JoiningOptions,
    loading: o.LoadingOptions,
    run: o.RunOptions,
) -> None:
    """Put another component in the place of a part of a saved assembly, without training."""
    from model_lego import replace_part

    check_out(out, overwrite=run.overwrite)
    opened, component = open_part(assembly, loading), open_part(new, loading)
    check_room(out, bytes_of(opened, component))
    if not isinstance(opened, Assembly):
        raise BadConfig(f"'{assembly}' holds a component; parts are exchanged in assemblies")
    place = _position(old, len(opened.owned())) if old.isdecimal() and old not in opened.classes else old
    names = _names((opened, component), joining)
    made = replace_part(
        opened,
        place,
        component,
        calibration=_images((opened, component), names, joining, run),
        class_names=names,
        seed=run.seed,
        progress=Bar(),
        head=joining.head,  # type: ignore[arg-type]
        on_clash=joining.on_clash,  # type: ignore[arg-type]
    )
    folder = save_made(made, out, joining.data, overwrite=run.overwrite)
    show_part(made, str(folder), joining.data is not None, json=run.json)


def _position(number: str, parts: int) -> int:
    """The position of a part whose number, from 1, was typed; raises BadConfig."""
    if not 1 <= int(number) <= parts:
        raise BadConfig(f"there is no part {number}; the assembly has {parts}, counted from 1")
    return int(number) - 1


def _names(parts: Sequence[Component | Assembly], joining: JoiningOptions) -> list[str]:
    """The classes that images can have, each once."""
    return list(dict.fromkeys(name for part in parts for name in _own(part, joining)))


def _own(part: Component | Assembly, joining: JoiningOptions) -> Sequence[str]:
    return told_classes(part) if joining.images is None else names_in(part, joining.images, joining.class_map)


def _images(
    parts: Sequence[Component | Assembly], names: list[str], joining: JoiningOptions, run: o.RunOptions
) -> Batched | None:
    """Calibration images of some classes; labels are their positions."""
    if joining.images is None:
        return None
    train, _ = data_for(
        parts,
        joining.images,
        names,
        run.batch_size,
        class_map=joining.class_map,
        per_class=joining.calibration_per_class,
        seed=run.seed,
    )
    return train
