"""model-lego assemble: build one classifier from saved components."""

from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.cli.sources import check_out, data_for, open_component
from model_lego.digest import SEEN
from model_lego.parts.assembly import NONE_OF_THESE, Assembly


def assemble_command(
    parts: Annotated[list[str], typer.Argument(help="folders of saved components")],
    out: o.Out,
    data: Annotated[str | None, typer.Option("--data", "-d", help="where calibration images come from")] = None,
    calibration_per_class: o.CalibrationPerClass = 50,
    layout: Annotated[str, typer.Option(help="parallel or padded")] = "parallel",
    scaling: Annotated[str | None, typer.Option(help="logit (as published) or layer (equation 9)")] = None,
    head: o.HeadOpt = "auto",
    on_clash: Annotated[str, typer.Option(help="a class in two parts: error, prefer or average")] = "error",
    labels: Annotated[
        str, typer.Option(help="what the data's classes are: classes, or parts (named 0, 1 … in the order given)")
    ] = "classes",
    outsiders: Annotated[
        float | None, typer.Option(help="share of images that may be 'none of these', for instance 0.05")
    ] = None,
    seed: o.Seed = 0, batch_size: o.BatchSize = 128, overwrite: o.Overwrite = False, json: o.Json = False,
) -> None:  # fmt: skip
    """Build one classifier from components, without training."""
    from model_lego import assemble, save

    check_out(out, overwrite=overwrite)
    components = [open_component(part) for part in parts]
    names = list(dict.fromkeys(name for component in components for name in component.classes))
    per_class = calibration_per_class
    if labels == "parts":
        names = [str(number) for number in range(len(components))]
        per_class *= max(len(component.classes) for component in components)
    calibration = None
    if data is not None:
        calibration = data_for(components, data, names, batch_size, train=True, per_class=per_class, seed=seed)
    assembly = assemble(
        components, calibration=calibration, layout=layout, scaling=scaling, head=head,  # type: ignore[arg-type]
        on_clash=on_clash, labels=labels, outsiders=outsiders, seed=seed, progress=Bar(),  # type: ignore[arg-type]
    )  # fmt: skip
    folder = save(assembly, out, overwrite=overwrite)
    if json:
        settings = {key: value for key, value in assembly.settings.items() if key != SEEN}
        show_json({"folder": str(folder), "classes": assembly.classes, "settings": settings})
        return
    show_assembly(assembly)
    if calibration is None:
        say("calibration images come from --data")
    say(f"written to {folder}")


def show_assembly(assembly: Assembly) -> None:
    """Print the assembly, what its check found, and how its head was chosen."""
    settings = assembly.settings
    check = settings["check"]
    show(str(assembly))
    show(
        f"checked on {check['images']} images: its joined logits are its parts' side by side "
        f"(largest difference {check['difference']:.2g}, largest logit {check['largest_logit']:.3g})"
    )
    if "head_scores" in settings:
        figures = ", ".join(f"{kind} {score:.1f} %" for kind, score in settings["head_scores"].items())
        show(
            f"cross-validated on {settings['calibration_images']} calibration images: {figures}; "
            f"head {assembly.head.kind}"
        )
    if "outsiders" in settings:
        show(f"'{NONE_OF_THESE}' where no logit reaches {settings['outsiders']['threshold']:.3g}")
    if "advice" in settings:
        say(f"note: {settings['advice']}")
