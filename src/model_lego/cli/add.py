"""model-lego add and replace: a saved part with one more component, or with another one in a part's place."""

from collections.abc import Sequence
from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.remove import show_part
from model_lego.cli.render import Bar
from model_lego.cli.sources import check_out, data_for, open_component, open_part
from model_lego.data.sets import Batched
from model_lego.errors import BadConfig
from model_lego.parts.assembly import NONE_OF_THESE, Assembly
from model_lego.parts.component import Component

ClashOpt = Annotated[
    str | None, typer.Option("--on-clash", help="a class that is there already: error, prefer or average")
]
Images = Annotated[
    str | None, typer.Option("--data", "-d", help="where calibration images of all classes come from")
]  # fmt: skip


def add_command(
    part: Annotated[str, typer.Argument(help="folder of a saved component or assembly")],
    component: Annotated[str, typer.Argument(help="folder of the component that brings the new classes")],
    out: o.Out, data: Images = None, calibration_per_class: o.CalibrationPerClass = 50, head: o.HeadOpt = "auto",
    on_clash: ClashOpt = None,
    outsiders: Annotated[
        float | None, typer.Option(help="share of images that may be 'none of these', for instance 0.05")
    ] = None,
    seed: o.Seed = 0, batch_size: o.BatchSize = 128, overwrite: o.Overwrite = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Join a component to a saved component or assembly, without training."""
    from model_lego import add_classes, save

    check_out(out, overwrite=overwrite)
    opened, new = open_part(part), open_component(component)
    names = _names((*opened.classes, *new.classes))
    images = _images((opened, new), data, names, batch_size, calibration_per_class, seed)
    made = add_classes(
        opened, new, calibration=images, class_names=names, outsiders=outsiders, seed=seed, progress=Bar(),
        head=head, on_clash=on_clash,  # type: ignore[arg-type]
    )  # fmt: skip
    show_part(made, str(save(made, out, overwrite=overwrite)), data is not None, json=json)


def replace_command(
    assembly: Annotated[str, typer.Argument(help="folder of a saved assembly")],
    old: Annotated[str, typer.Argument(help="the part: a class that only it has, or its number, from 0")],
    new: Annotated[str, typer.Argument(help="folder of the component that takes its place")],
    out: o.Out, data: Images = None, calibration_per_class: o.CalibrationPerClass = 50, head: o.HeadOpt = "auto",
    on_clash: ClashOpt = None, seed: o.Seed = 0, batch_size: o.BatchSize = 128, overwrite: o.Overwrite = False,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Put another component in the place of a part of a saved assembly, without training."""
    from model_lego import replace_part, save

    check_out(out, overwrite=overwrite)
    opened, component = open_part(assembly), open_component(new)
    if not isinstance(opened, Assembly):
        raise BadConfig(f"'{assembly}' holds a component; parts are exchanged in assemblies")
    place = int(old) if old.isdecimal() and old not in opened.classes else old
    names = _names((*opened.classes, *component.classes))
    images = _images((opened, component), data, names, batch_size, calibration_per_class, seed)
    made = replace_part(
        opened, place, component, calibration=images, class_names=names, seed=seed, progress=Bar(),
        head=head, on_clash=on_clash,  # type: ignore[arg-type]
    )  # fmt: skip
    show_part(made, str(save(made, out, overwrite=overwrite)), data is not None, json=json)


def _names(classes: tuple[str, ...]) -> list[str]:
    """The classes that images can have, each once."""
    return [name for name in dict.fromkeys(classes) if name != NONE_OF_THESE]


def _images(
    parts: Sequence[Component | Assembly], data: str | None, names: list[str], batch_size: int, per_class: int,
    seed: int,
) -> Batched | None:  # fmt: skip
    """Calibration images of some classes; labels are their positions."""
    if data is None:
        return None
    return data_for(parts, data, names, batch_size, train=True, per_class=per_class, seed=seed)
