"""Building classifiers from components: assemble."""

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from model_lego.assembly.calibration import noise, read_calibration
from model_lego.assembly.padding import place
from model_lego.cutting.verification import TOLERANCE
from model_lego.data.batching import Batches
from model_lego.digest import SEEN
from model_lego.errors import BadConfig, ClassClash, CutMismatch, IncompatibleComponents
from model_lego.graph.cost import cost_of
from model_lego.heads.choosing import Plain
from model_lego.heads.fitting import Clash, HeadKind, check_needs, fit_head, kinds_of, settle
from model_lego.heads.scaling import scale_layers
from model_lego.parts.assembly import NONE_OF_THESE, Assembly
from model_lego.parts.component import Component, Origin, total
from model_lego.parts.image_shapes import taken_by
from model_lego.progress import Progress, quiet

Layout = Literal["parallel", "padded"]
Scaling = Literal["logit", "layer"]
Labels = Literal["classes", "parts"]

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
            closed form on what the parts' last layers read; "blend" is the mean of "affine" and "ridge"; "auto" is the
            blend ("affine" where there is none), unless cross-validation on the calibration images finds another kind
            clearly better.
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
    kinds = kinds_of(head, scaling)
    _check_options(layout, scaling, on_clash, labels)
    check_needs(calibration, scaling, head, outsiders)
    classes, pick = settle([part.classes for part in parts], on_clash)
    if outsiders is not None and NONE_OF_THESE in classes:
        raise ClassClash(f"a part has a class '{NONE_OF_THESE}' already; leave outsiders out, or that class")
    settings: dict[str, Any] = shared_sources(parts)
    settings |= {"layout": layout, "scaling": scaling, "on_clash": on_clash, "seed": seed}
    parts = [copy.deepcopy(part).eval() for part in parts]
    images, places, digests = None, None, ""
    if calibration is not None:
        images, places, digests = read_calibration(
            parts, calibration, classes=classes, labels=labels, class_names=class_names, progress=progress
        )
    example = images[:CHECKED] if images is not None else noise(parts)
    if scaling == "layer":
        parts = _layer_scaled(parts, example if images is None else images)
    padded = _padded(parts, example) if layout == "padded" else None
    assembly = Assembly(
        parts,
        layout=layout,
        classes=classes,
        head=Plain(pick).unscaled(sum(len(part.classes) for part in parts)),
        padded=padded,
        settings=settings,
    ).eval()
    assembly.settings["check"] = self_check(assembly, parts, example)
    if images is not None and places is not None:
        assembly.settings |= {"calibration_images": len(images), "calibration_labels": labels, SEEN: digests}
        fit_head(assembly, images, places, pick=pick, kinds=kinds, scaling=scaling, outsiders=outsiders)
    else:
        assembly.settings["lacks"] = LACKS
    return finished(assembly, example)


def finished(assembly: Assembly, example: Tensor) -> Assembly:
    """The assembly with what its head is in its settings, in the data type of an example."""
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
    shapes = {shape for part in parts if None not in (shape := taken_by(part))}
    colours = {part.origin.input_shape[0] for part in parts}
    if len(colours) > 1:
        raise IncompatibleComponents(
            f"the parts take images of {' and '.join(map(str, sorted(colours)))} channels; join parts of one kind"
        )
    if len(shapes) > 1:
        raise IncompatibleComponents(
            f"the parts take images of different shapes {sorted(shapes)}; give them a preprocessing with a size"
        )


def shared_sources(parts: Sequence[Component]) -> dict[str, Any]:
    """What an assembly notes where parts are of one source: what they share is there once for each of them."""
    numbers: dict[str, list[str]] = {}
    for number, part in enumerate(parts, 1):
        numbers.setdefault(part.origin.source_digest, []).append(str(number))
    several = [" and ".join(mine) for digest, mine in numbers.items() if digest and len(mine) > 1]
    if not several:
        return {}
    advice = f"parts {'; parts '.join(several)} are of one source: `unite` puts them together, what they share once"
    return {"advice": advice}


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
        cost_before=total(part.origin.cost_before for part in parts),
        cost_after=cost_of(placed.module, placed.program),
    )
    names = [f"{number}.{name}" for number, part in enumerate(parts, 1) for name in part.classes]
    return Component(
        placed.module, classes=names, labels=range(len(names)), origin=joint, preprocessing=preprocessing
    ).eval()


def self_check(assembly: Assembly, parts: Sequence[Component], images: Tensor) -> dict[str, Any]:
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
