"""model-lego evaluate: measure a saved component or assembly on test images."""

from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.render import Bar, show, show_json
from model_lego.cli.sources import data_for, open_part, open_source
from model_lego.cli.team import team
from model_lego.component import NONE_OF_THESE, Component
from model_lego.data import open_data
from model_lego.errors import BadConfig


def evaluate_command(
    folder: Annotated[str, typer.Argument(help="a saved component or assembly")],
    data: o.Data,
    source: Annotated[str | None, typer.Option(help="the uncut network of a component, for the baselines")] = None,
    weights: o.Weights = None, argument: o.Arguments = None, source_classes: o.SourceClasses = None,
    mean: o.Mean = None, std: o.Std = None, size: o.Size = None, batch_size: o.BatchSize = 128, json: o.Json = False,
) -> None:  # fmt: skip
    """Measure a saved component or assembly on the test images of its classes."""
    from model_lego import baselines, evaluate

    part = open_part(folder)
    names = tuple(name for name in part.classes if name != NONE_OF_THESE)  # which no data has
    if NONE_OF_THESE in part.classes:  # images of all other classes are of that one
        names = (*names, *(name for name in open_data(data).class_names if name not in names))
    contenders: tuple[object, ...] = ()
    test = None
    if isinstance(part, Component) and source is not None:
        opened = open_source(
            source, data=data, weights=weights, arguments=argument, source_classes=source_classes, mean=mean, std=std,
            size=size, batch_size=batch_size,
        )  # fmt: skip
        contenders = baselines(part, opened.model, calibration=opened.train, graph=opened.graph, progress=Bar())
        names, test = opened.class_names, opened.test
    elif source is not None:
        raise BadConfig("--source is for components; compare an assembly with its sources in Python (ml.ensemble)")
    test = test or data_for(data, names, batch_size, train=False)
    with team() as group:
        report = evaluate(
            part, test, class_names=names, baselines=contenders, progress=Bar(), group=group  # type: ignore[arg-type]
        )  # fmt: skip
    if json:
        show_json(report.to_dict())
    else:
        show(str(report))
