"""Building classifiers from components: assemble."""

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from model_lego.batches import Batches
from model_lego.calibrating import noise, read_calibration
from model_lego.component import NONE_OF_THESE, Assembly, Component, Cost, Head, Origin
from model_lego.errors import BadConfig, ClassClash, CutMismatch, IncompatibleComponents
from model_lego.graph.cost import cost_of
from model_lego.graph.program import export_program
from model_lego.progress import Progress, quiet
from model_lego.surgery.heads import LEAST, ON_FEATURES, Factors, Plain, calibrated, choose_head
from model_lego.surgery.outsiders import threshold_of, with_outsiders
from model_lego.surgery.placement import place
from model_lego.surgery.scaling import ScaleFactors, described, logit_factors, scale_layers
from model_lego.surgery.verification import TOLERANCE

Layout = Literal["parallel", "padded"]
Scaling = Literal["logit", "layer"]
HeadKind = Literal["auto", "concat", "affine", "ridge", "lda"]
Labels = Literal["classes", "parts"]
Clash = Literal["error", "prefer", "average"]

#: Images that the check after an assembly runs on.
CHECKED = 32
#: What an assembly without calibration images says of itself.
LACKS = (
    "no calibration images: the parts' logits are not brought to a common level, "
    "each part may be over-confident on the others' classes"
)


def assemble(
    parts: Sequence[Component],
    *,
    calibration: Batches | None = None,
    layout: Layout = "parallel",
    scaling: Scaling | None = None,
    head: HeadKind = "auto",
    on_clash: Clash = "error",
    labels: Labels = "classes",
    class_names: Sequence[str] | None = None,
    outsiders: float | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Assembly:
    """Build one classifier from components, without training; the components are left as they are.

    Args:
        parts: components, of any architectures for `parallel`.
        calibration: re-iterable of (images, labels) of all parts' classes, as the assembly takes them.
        layout: "parallel" keeps the parts side by side; "padded" makes one dense network of their common class.
        scaling: "logit" (as published: one factor a logit), "layer" (equation 9), or none.
        head: "concat" puts the logits side by side; "affine" maps them by a convex fit; "ridge" and "lda" are fitted in
            closed form on what the parts' last layers read; "auto" is the kind of best cross-validated accuracy on the
            calibration images (of equals the simplest), and "concat" where there are none.
        on_clash: for a class that several parts have: "error", "prefer" (the first part's logit) or "average"; heads on
            features learn such a class as any other.
        labels: "classes", or "parts": the calibration's labels are positions in `parts`, and each image has the class
            that its part takes it for.
        class_names: names of the calibration's label numbers; by default these are positions in `.classes`.
        outsiders: share of the calibration images, between 0 and 1, that may be taken for outsiders; with it the last
            class is "none of these", whose logit is a constant.
        seed: for the folds of the cross-validation.
        progress: called with what is being done.

    Returns:
        An Assembly. Its joined logits were checked to equal the parts' (scaled) logits side by side; the difference
        that was found stands in `.settings["check"]`, the cross-validated accuracies of heads (in %) in
        `.settings["head_scores"]`, and what an assembly without calibration images lacks in `.settings["lacks"]`.

    Raises:
        ClassClash, IncompatibleComponents, UnknownClass, BadBatches, ShapeMismatch, BadConfig.
    """
    _check_parts(parts)
    kinds = _kinds(head, scaling)
    _check_options(layout, scaling, on_clash, labels)
    _check_needs(calibration, scaling, head, outsiders)
    names = [name for part in parts for name in part.classes]
    classes, pick = _joined_classes(parts, names, on_clash)
    if outsiders is not None and NONE_OF_THESE in classes:
        raise ClassClash(f"a part has a class '{NONE_OF_THESE}' already; leave outsiders out, or that class")
    settings: dict[str, Any] = {"layout": layout, "scaling": scaling, "on_clash": on_clash, "seed": seed}
    parts = [copy.deepcopy(part).eval() for part in parts]
    images, places = None, None
    if calibration is not None:
        images, places = read_calibration(
            parts, calibration, classes=classes, labels=labels, class_names=class_names, progress=progress
        )
    example = images[:CHECKED] if images is not None else noise(parts)
    if scaling == "layer":
        parts = _layer_scaled(parts, example if images is None else images)
    padded = _padded(parts, example) if layout == "padded" else None
    plain = Plain(pick, _logit_factors(parts, classes) if scaling == "logit" else None)
    assembly = Assembly(
        parts,
        layout=layout,
        classes=classes,
        head=Plain(pick).unscaled(len(names)),
        padded=padded,
        settings=settings,
    ).eval()
    assembly.settings["check"] = _self_check(assembly, parts, example)
    if images is not None and places is not None:
        assembly.settings |= {"calibration_images": len(images), "calibration_labels": labels}
        assembly.head = _fitted(assembly, images, places, plain, kinds, outsiders)
        assembly.classes += () if outsiders is None else (NONE_OF_THESE,)
    else:
        assembly.settings["lacks"] = LACKS
    assembly.settings["head"] = assembly.head.kind
    if assembly.head.reads:
        assembly.settings["head_reads"] = [list(layers) for layers in assembly.head.reads]
    assembly.head.to(example)
    return assembly.eval()


def _check_options(layout: str, scaling: str | None, on_clash: str, labels: str) -> None:
    for name, value, allowed in (
        ("layout", layout, ("parallel", "padded")),
        ("scaling", scaling, (None, "logit", "layer")),
        ("on_clash", on_clash, ("error", "prefer", "average")),
        ("labels", labels, ("classes", "parts")),
    ):
        if value not in allowed:
            raise BadConfig(f"{name} '{value}' is unknown; use one of {', '.join(map(repr, allowed))}")


def _check_needs(calibration: Batches | None, scaling: str | None, head: str, outsiders: float | None) -> None:
    if calibration is None and (scaling is not None or head not in ("auto", "concat")):
        raise BadConfig(f"scaling '{scaling}' and head '{head}' need calibration images; give calibration=")
    if outsiders is not None and not 0 < outsiders < 1:
        raise BadConfig(f"outsiders is a share of the calibration images between 0 and 1, but is {outsiders}")
    if outsiders is not None and calibration is None:
        raise BadConfig("the threshold of outsiders needs calibration images; give calibration=")


def _kinds(head: str, scaling: str | None) -> tuple[str, ...]:
    """The kinds of head that are in question; factors of the logits are of no use to those that read features."""
    usable = tuple(kind for kind in LEAST if scaling != "logit" or kind not in ON_FEATURES)
    if head == "auto":
        return usable
    if head not in LEAST:
        raise BadConfig(f"head '{head}' is unknown; use one of 'auto', {', '.join(map(repr, LEAST))}")
    if head not in usable:
        raise BadConfig(f"scaling 'logit' scales logits, and head '{head}' reads features; leave one of them out")
    return (head,)


def _check_parts(parts: Sequence[Component]) -> None:
    if not parts:
        raise BadConfig("there is no component to assemble; give at least one")
    for number, part in enumerate(parts):
        if not isinstance(part, Component):
            raise BadConfig(f"part {number + 1} is a {type(part).__name__}, not a component; assemble takes components")
    with_own = [part.preprocessing is not None for part in parts]
    if any(with_own) and not all(with_own):
        raise IncompatibleComponents(
            "some parts take images scaled to 0..1 and others take them as their source did; "
            "give every component its preprocessing"
        )
    shapes = {
        part.origin.input_shape for part in parts if part.preprocessing is None or part.preprocessing.size is None
    }
    colours = {part.origin.input_shape[0] for part in parts}
    if len(colours) > 1:
        raise IncompatibleComponents(
            f"the parts take images of {' and '.join(map(str, sorted(colours)))} channels; join parts of one kind"
        )
    if len(shapes) > 1:
        raise IncompatibleComponents(
            f"the parts take images of different shapes {sorted(shapes)}; give them a preprocessing with a size"
        )


def _joined_classes(
    parts: Sequence[Component], names: Sequence[str], on_clash: str
) -> tuple[tuple[str, ...], Tensor | None]:
    """Classes of the assembly and, where parts share some, the matrix (classes x joined) that settles it."""
    classes = tuple(dict.fromkeys(names))
    if len(classes) == len(names):
        return classes, None
    twice = sorted({name for name in names if names.count(name) > 1})
    if on_clash == "error":
        owners = [f"part {number}" for number, part in enumerate(parts, 1) if twice[0] in part.classes]
        raise ClassClash(
            f"class '{twice[0]}' is in {' and '.join(owners)}; leave it out of one, or choose on_clash='prefer' or "
            "'average'"
        )
    pick = torch.zeros(len(classes), len(names), dtype=torch.float64)
    for row, name in enumerate(classes):
        columns = [column for column, other in enumerate(names) if other == name]
        columns = columns[:1] if on_clash == "prefer" else columns
        pick[row, columns] = 1 / len(columns)
    return classes, pick


def _layer_scaled(parts: Sequence[Component], images: Tensor) -> list[Component]:
    if len({type(part.module).__name__ for part in parts}) > 1:
        raise IncompatibleComponents("layer scaling compares the layers of one architecture; use scaling='logit'")
    seen = [part.preprocessing(images) if part.preprocessing is not None else images for part in parts]
    modules = scale_layers([part.module for part in parts], seen)
    return [_with_module(part, module) for part, module in zip(parts, modules, strict=True)]


def _with_module(part: Component, module: nn.Module) -> Component:
    return Component(
        module, classes=part.classes, labels=part.labels, origin=part.origin, preprocessing=part.preprocessing
    )


def _padded(parts: Sequence[Component], images: Tensor) -> Component:
    """The parts as one dense network."""
    if any(part.preprocessing != parts[0].preprocessing for part in parts):
        raise IncompatibleComponents(
            "the parts normalise images differently, and folding that into a zero-padded convolution is wrong at the "
            "border; use layout='parallel'"
        )
    preprocessing = parts[0].preprocessing
    seen = preprocessing(images) if preprocessing is not None else images
    placed = place([part.module for part in parts], seen)
    origin = parts[0].origin
    attributes = {path: dict(values) for path, values in origin.attributes.items()}
    for path, values in placed.attributes.items():
        attributes.setdefault(path, {}).update(values)
    before = [part.origin.cost_before for part in parts]
    joint = Origin(
        builder=origin.builder,
        source_digest=origin.source_digest,
        source_classes=tuple(name for part in parts for name in part.classes),
        input_shape=origin.input_shape,
        kept_outputs={},
        kept_inputs={},
        attributes=attributes,
        settings={"padded": [dict(part.origin.settings) for part in parts]}
        | {key: value for key, value in origin.settings.items() if key in ("dropped_modules", "plain_layers")},
        cost_before=Cost(*(sum(getattr(c, f) for c in before) for f in ("parameters", "macs", "bytes"))),
        cost_after=cost_of(placed.module, export_program(placed.module, seen)),
    )
    names = [f"{number}.{name}" for number, part in enumerate(parts, 1) for name in part.classes]
    return Component(
        placed.module, classes=names, labels=range(len(names)), origin=joint, preprocessing=preprocessing
    ).eval()


def _logit_factors(parts: Sequence[Component], classes: Sequence[str]) -> Factors:
    owners = torch.tensor([classes.index(name) for part in parts for name in part.classes])
    widths = [len(part.classes) for part in parts]

    def factors(logits: Tensor, labels: Tensor) -> ScaleFactors:
        return logit_factors(logits, labels, owners, widths)

    return factors


def _fitted(
    assembly: Assembly, images: Tensor, labels: Tensor, plain: Plain, kinds: Sequence[str], outsiders: float | None
) -> Head:
    """The head that the calibration images ask for; what was found is noted in the assembly's settings."""
    found = calibrated(assembly, images, labels, kinds)
    chosen = choose_head(found, plain, kinds, seed=assembly.settings["seed"])
    assembly.settings.update(chosen.notes)
    if plain.factors is not None:
        scaled = plain.factors(found.joined, labels)
        assembly.settings["factors"] = {**described(scaled.factors), "guarded": list(scaled.guarded)}
    head = chosen.head
    if outsiders is not None:
        threshold = threshold_of(chosen.scores, outsiders)
        head = with_outsiders(head, threshold)
        assembly.settings["outsiders"] = {"share": outsiders, "threshold": threshold}
    return head


def _self_check(assembly: Assembly, parts: Sequence[Component], images: Tensor) -> dict[str, Any]:
    """Run the assembly and its parts on the same images; raises CutMismatch where their logits differ."""
    with torch.no_grad():
        expected = torch.cat([part(images) for part in parts], 1)
        found = assembly.joined(images)
    largest = float(expected.abs().max())
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE.get(expected.dtype, 1e-3) * max(largest, 1e-6):
        raise CutMismatch(
            f"the assembly's logits differ from its parts' by {difference:.3g} (largest logit {largest:.3g}); "
            "use layout='parallel'"
        )
    return {"images": len(images), "difference": difference, "largest_logit": largest}
