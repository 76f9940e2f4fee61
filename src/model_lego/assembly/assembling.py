"""Building classifiers from components: assemble."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Unpack

import torch
from torch import Tensor, nn

from model_lego.assembly.calibration import noise, read_calibration
from model_lego.assembly.judging import verdict_on
from model_lego.assembly.padding import place
from model_lego.calling.options import refuse_unknown, value_of
from model_lego.data.batching import Batches
from model_lego.errors import BadConfig, ClassClash, CutMismatch, IncompatibleComponents
from model_lego.graph.cost import cost_of
from model_lego.graph.rule import OpRule
from model_lego.heads.fitting import Labelled, Settled, fit_head, settle
from model_lego.heads.scaling import scale_layers
from model_lego.heads.settings import JoinOptions, JoinSettings
from model_lego.parts.answers import difference
from model_lego.parts.assembly import NONE_OF_THESE, Assembly, Head, Part, leaves, own_classes, side_by_side
from model_lego.parts.component import Component
from model_lego.parts.grouping import Groups
from model_lego.parts.image_shapes import taken_by
from model_lego.parts.join_record import Calibration, HeadState, JoinCheck, JoinRecord, Layout
from model_lego.parts.licences import clashes
from model_lego.parts.origin import Origin, total
from model_lego.parts.provenance import together
from model_lego.progress import Progress, quiet
from model_lego.verdicts.judging import warn_of

#: Images that the check after an assembly runs on.
CHECKED = 32


def assemble(
    parts: Sequence[Part],
    *,
    calibration: Batches | None = None,
    progress: Progress = quiet,
    **options: Unpack[JoinOptions],
) -> Assembly:
    """Build one classifier from components, without training; the components are left as they are.

    Args:
        parts: components, of any architectures for `parallel`. There an assembly can be a part, too, with its logits as
            they are but for its "none of these"; one part alone is enough.
        calibration: re-iterable of (images, labels) of all parts' classes, as the assembly takes them.
        progress: called with what is being done.
        options: the keyword arguments below.

    Keyword Args:
        layout: "parallel" keeps the parts side by side; "padded" makes one dense network of their common class.
        scaling: "logit" (as published: one factor a logit), "layer" (equation 9), or none.
        head: "concat" puts the logits side by side; "affine" maps them by a convex fit; "ridge" and "lda" are
            fitted in closed form on what the parts' last layers read; "blend" is the mean of "affine" and "ridge";
            "auto" is the blend ("affine" where there is none), unless cross-validation on the calibration images
            finds another kind clearly better.
        on_clash: for a class that several parts have: "error", "prefer" (the first part's logit) or "average";
            heads on features learn such a class as any other.
        labels: "classes", or "parts": the calibration's labels are positions in `parts`, and each image has the
            class that its part takes it for.
        class_names: names of the calibration's label numbers; by default these are positions in `.classes`.
        outsiders: share of the calibration images, between 0 and 1, that may be taken for outsiders; with it the
            last class is "none of these", whose logit is a constant.
        order: all classes, each once, in the order that the logits are to have; by default that of the parts.
        groups: by the name of each, classes that are merged to one: its probability is the sum of theirs. Images of a
            member count as the group's, as do those of a class with its name.
        seed: for the folds of the cross-validation.
        rules: the table of operators, where a network needs rows of its own to be padded, scaled or read.

    Returns:
        An Assembly. Its joined logits were checked to equal the parts' (scaled) logits side by side. `.record` tells
        how it was put together, and `.settings` the same as JSON values: the difference that the check found
        ("check"), the cross-validated accuracies of heads in % ("head_scores"), and what an assembly without
        calibration images lacks ("lacks"). With calibration images its `verdict` compares it with its parts, each on
        its own classes, by cross-validation, and `DoubtfulResult` warns of what is doubtful.

    Raises:
        ClassClash, IncompatibleComponents, UnknownClass, BadBatches, ShapeMismatch, BadConfig.
    """
    refuse_unknown("assemble", options, JoinOptions)
    return assembled(parts, calibration, value_of(JoinSettings, options), progress)


def assembled(
    parts: Sequence[Part], calibration: Batches | None, settings: JoinSettings, progress: Progress
) -> Assembly:
    """Build one classifier from components, as `assemble` does."""
    _check_parts(parts)
    for clash in clashes(together(part.origin.provenance for part in leaves(*parts)).licences):
        warnings.warn(f"licences of the parts: {clash}", stacklevel=3)
    if calibration is None:
        settings.refuse_unfitted()
    settled = settle([own_classes(part) for part in parts], settings)
    if settings.outsiders is not None and NONE_OF_THESE in settled.terms:
        raise ClassClash(f"a part has a class '{NONE_OF_THESE}' already; leave outsiders out, or that class")
    parts, labelled = [copy.deepcopy(part).eval() for part in parts], None
    if calibration is not None:
        labelled = read_calibration(
            parts,
            calibration,
            settled,
            labels=settings.labels,
            class_names=settings.class_names,
            progress=progress,
        )
    example = noise(parts) if labelled is None else labelled.images[:CHECKED]
    if settings.scaling == "layer":
        seen = example if labelled is None else labelled.images
        parts = _layer_scaled(_components(parts, "scaling 'layer'"), seen, settings.rules)
    networks: Sequence[Part] = parts
    if settings.layout == "padded":
        networks = [_padded(_components(parts, "layout 'padded'"), example, settings.rules)]
    check = self_check(networks, parts, example)
    if labelled is not None:
        record = record_of(HeadState.FITTED, parts, settings, check)
        return with_fitted_head(networks, settled, labelled, settings, record)
    record = record_of(HeadState.SIDE_BY_SIDE, parts, settings, check)
    return built(
        networks,
        settings.layout,
        settled.plain_head().to(example),
        record,
        terms=settled.terms,
        classes=settled.classes,
        groups=settled.groups,
    )


def record_of(head_state: HeadState, parts: Sequence[Part], settings: JoinSettings, check: JoinCheck) -> JoinRecord:
    """What is known of an assembly before it has a head, and what that is to be made for."""
    return JoinRecord(
        head_state,
        scaling=settings.scaling,
        on_clash=settings.on_clash,
        seed=settings.seed,
        one_source=of_one_source(parts),
        rejecting=tuple(number for number, part in enumerate(parts, 1) if own_classes(part) != part.classes),
        check=check,
    )


def with_fitted_head(
    networks: Sequence[Part], settled: Settled, labelled: Labelled, settings: JoinSettings, record: JoinRecord
) -> Assembly:
    """The assembly of these networks with a head that is fitted to calibration images."""
    fitted = fit_head(networks, settled, labelled, settings)
    record = replace(
        record,
        calibration=Calibration(len(labelled.images), labelled.of),
        calibration_digests=labelled.digests,
        cross_validation=fitted.cross_validation,
        factors=fitted.factors,
        outsiders=fitted.outsiders,
        verdict=verdict_on(fitted, settled, labelled),
    )
    warn_of(record.verdict)
    return built(
        networks,
        settings.layout,
        fitted.head.to(labelled.images),
        record,
        terms=fitted.terms,
        classes=settled.classes if fitted.outsiders is None else (*settled.classes, NONE_OF_THESE),
        groups=settled.groups,
    )


def built(
    networks: Sequence[Part],
    layout: Layout,
    head: Head,
    record: JoinRecord,
    *,
    terms: Sequence[str],
    classes: Sequence[str],
    groups: Groups,
) -> Assembly:
    """The assembly of these networks, of the parts or of the one dense network."""
    made = Assembly(
        networks,
        layout=layout,
        classes=classes,
        head=head,
        terms=terms,
        groups=groups,
        padded=next(leaves(*networks)) if layout == "padded" else None,
        record=record,
    )
    return made.eval()


def _check_parts(parts: Sequence[Part]) -> None:
    if not parts:
        raise BadConfig("there is no component to assemble; give at least one")
    for number, part in enumerate(parts):
        if not isinstance(part, Component | Assembly):
            raise BadConfig(
                f"part {number + 1} is a {type(part).__name__}, not a component; assemble takes components and "
                "assemblies"
            )
    inside = list(leaves(*parts))
    with_own = [part.preprocessing is not None for part in inside]
    if any(with_own) and not all(with_own):
        raise IncompatibleComponents(
            "some parts take images scaled to 0..1 and others take them as their source did; "
            "give every component its preprocessing"
        )
    shapes = {shape for part in inside if None not in (shape := taken_by(part))}
    colours = {part.origin.input_shape[0] for part in inside}
    if len(colours) > 1:
        raise IncompatibleComponents(
            f"the parts take images of {' and '.join(map(str, sorted(colours)))} channels; join parts of one kind"
        )
    if len(shapes) > 1:
        raise IncompatibleComponents(
            f"the parts take images of different shapes {sorted(shapes)}; give them a preprocessing with a size"
        )


def of_one_source(parts: Sequence[Part]) -> tuple[tuple[int, ...], ...]:
    """The numbers, from 1, of parts that come from one source: what they share is there once for each of them."""
    numbers: dict[str, list[int]] = {}
    for number, part in enumerate(parts, 1):
        if isinstance(part, Component):
            numbers.setdefault(part.origin.source_digest, []).append(number)
    return tuple(tuple(mine) for digest, mine in numbers.items() if digest and len(mine) > 1)


def _components(parts: Sequence[Part], what: str) -> list[Component]:
    """Parts that have to be components for something; raises IncompatibleComponents."""
    for number, part in enumerate(parts, 1):
        if not isinstance(part, Component):
            raise IncompatibleComponents(
                f"part {number} is an assembly, and {what} takes components; give its parts, or leave {what} out"
            )
    return list(leaves(*parts))


def _layer_scaled(parts: Sequence[Component], images: Tensor, rules: Mapping[object, OpRule]) -> list[Component]:
    if len({type(part.module).__name__ for part in parts}) > 1:
        raise IncompatibleComponents("layer scaling compares the layers of one architecture; use scaling='logit'")
    seen = [part.preprocessing(images) if part.preprocessing is not None else images for part in parts]
    modules = scale_layers([part.module for part in parts], seen, rules=rules)
    return [_with_module(part, module) for part, module in zip(parts, modules, strict=True)]


def _with_module(part: Component, module: nn.Module) -> Component:
    return Component(
        module, classes=part.classes, labels=part.labels, origin=part.origin, preprocessing=part.preprocessing
    )


def _padded(parts: Sequence[Component], images: Tensor, rules: Mapping[object, OpRule]) -> Component:
    """The parts as one dense network."""
    if any(part.preprocessing != parts[0].preprocessing for part in parts):
        raise IncompatibleComponents(
            "the parts normalise images differently, and folding that into a zero-padded convolution is wrong at the "
            "border; use layout='parallel'"
        )
    preprocessing = parts[0].preprocessing
    seen = preprocessing(images) if preprocessing is not None else images
    placed = place([part.module for part in parts], seen, rules=rules)
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
        provenance=together(part.origin.provenance for part in parts),
    )
    names = [f"{number}.{name}" for number, part in enumerate(parts, 1) for name in part.classes]
    return Component(
        placed.module, classes=names, labels=range(len(names)), origin=joint, preprocessing=preprocessing
    ).eval()


def self_check(networks: Sequence[Part], parts: Sequence[Part], images: Tensor) -> JoinCheck:
    """Run the networks of an assembly and its parts on the same images; raises CutMismatch where logits differ."""
    with torch.no_grad():
        expected = side_by_side(parts, images)
        given = side_by_side(networks, images)
    if apart := difference(expected, given):
        raise CutMismatch(f"the assembly gives, beside its parts, {apart}; use layout='parallel'")
    largest = float(expected.abs().max())
    return JoinCheck(len(images), float((given - expected).abs().max()), largest)
