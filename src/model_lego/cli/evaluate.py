"""model-lego evaluate: measure a saved component or assembly on test images."""

from typing import Annotated, Any

import typer

from model_lego.cli import options as o
from model_lego.cli.render import Bar, show, show_json
from model_lego.cli.sources import Source, check_measured, names_in, open_part, open_source, part_data
from model_lego.cli.team import team
from model_lego.data import batches
from model_lego.data.sets import Batched
from model_lego.errors import BadConfig
from model_lego.evaluation.baselines import KINDS, TRAINING_FREE, Contender
from model_lego.evaluation.results import Report
from model_lego.parts.assembly import rejects
from model_lego.parts.class_names import label_numbers
from model_lego.parts.component import Component
from model_lego.processes import Group

SourceOpt = Annotated[str | None, typer.Option("--source", help="the uncut network of a component, for the baselines")]

Timing = Annotated[bool, typer.Option("--timing", help="with --json, too, say what a photo takes on this machine")]


def evaluate_command(
    *,
    folder: Annotated[str, typer.Argument(help="a saved component or assembly")],
    data: o.DataOptions,
    source: SourceOpt = None,
    opening: o.SourceOptions,
    batch_size: o.BatchSize = 128,
    timing: Timing = False,
    json: o.Json = False,
) -> None:
    """Measure a saved component or assembly on the test images of its classes."""
    from model_lego import evaluate

    part = open_part(folder, opening, source=source)
    test, names, contenders = images_of(part, data, source, opening, batch_size)
    with team() as group:
        report = evaluate(
            part,
            test,
            class_names=names,
            baselines=contenders,
            timing=timing or not json,
            progress=Bar(),
            group=group,
        )
    if json:
        show_json(report.to_dict())
    else:
        show(str(report))


def images_of(
    part: Any, data: o.DataOptions, source: str | None, opening: o.SourceOptions, batch_size: int
) -> tuple[Batched, tuple[str, ...], tuple[Contender, ...]]:
    """Test images for a part, what their labels are called, and its baselines where its source is named.

    Raises BadConfig, and as `open_source`.
    """
    if source is None:
        names = names_in(part, data, opening.class_map)  # images of all other classes are of "none of these"
        split = part_data([part], data, names, opening.class_map, more=rejects(part))
        test = batches(split.test, batch_size=batch_size)
        check_measured(data, test, split.class_names, range(len(names)))
        return test, split.class_names, ()
    if not isinstance(part, Component):
        raise BadConfig("--source is for components; compare an assembly with its sources in Python (ml.ensemble)")
    opened = open_source(source, data, opening, batch_size, like=part.preprocessing)
    check_measured(data, opened.test, opened.class_names, label_numbers(part.classes, opened.class_names))
    return opened.test, opened.class_names, _beside(part, opened)


def measured(component: Component, source: Source, *, baselines: bool, timing: bool, group: Group) -> Report:
    """A component that was just cut on the test images of its source, with all baselines or the restricted source."""
    from model_lego import evaluate

    return evaluate(
        component,
        source.test,
        class_names=source.class_names,
        baselines=_beside(component, source, KINDS if baselines else ("restricted",)),
        timing=timing,
        progress=Bar(),
        group=group,
    )


def _beside(component: Component, source: Source, kinds: tuple[str, ...] = KINDS) -> tuple[Contender, ...]:
    """What it is measured against, and, where it was tuned, what it is without that."""
    from model_lego import baselines

    kinds += (TRAINING_FREE,) if "tuning" in component.origin.settings.get("repair", {}) else ()
    return baselines(component, source.model, calibration=source.train, kinds=kinds, graph=source.graph, progress=Bar())
