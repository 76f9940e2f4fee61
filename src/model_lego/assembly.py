"""Building classifiers from components: assemble."""

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from model_lego.batches import Batches, checked
from model_lego.component import Assembly, Component, Cost, Head, Origin
from model_lego.errors import BadConfig, ClassClash, CutMismatch, IncompatibleComponents, UnknownClass
from model_lego.graph.cost import cost_of
from model_lego.graph.program import export_program
from model_lego.progress import Progress, quiet, tracked
from model_lego.surgery.heads import affine_map
from model_lego.surgery.placement import place
from model_lego.surgery.scaling import described, logit_factors, scale_layers
from model_lego.surgery.verification import TOLERANCE

Layout = Literal["parallel", "padded"]
Scaling = Literal["logit", "layer"]
HeadKind = Literal["auto", "concat", "affine"]
Clash = Literal["error", "prefer", "average"]

#: Images that the check after an assembly runs on.
CHECKED = 32
#: Images that run at once.
CHUNK = 256


def assemble(
    parts: Sequence[Component],
    *,
    calibration: Batches | None = None,
    layout: Layout = "parallel",
    scaling: Scaling | None = None,
    head: HeadKind = "auto",
    on_clash: Clash = "error",
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Assembly:
    """Build one classifier from components, without training; the components are left as they are.

    Args:
        parts: components, of any architectures for `parallel`.
        calibration: re-iterable of (images, labels) of all parts' classes, as the assembly takes them.
        layout: "parallel" keeps the parts side by side; "padded" makes one dense network of their common class.
        scaling: "logit" (as published: one factor a logit), "layer" (equation 9), or none.
        head: "concat" puts the logits side by side; "affine" maps them by a convex fit on the calibration images;
            "auto" is "affine" where there are calibration images, else "concat".
        on_clash: for a class that several parts have: "error", "prefer" (the first part's logit) or "average".
        class_names: names of the calibration's label numbers; by default these are positions in `.classes`.
        seed: for the folds of the head's cross-validation.
        progress: called with what is being done.

    Returns:
        An Assembly. Its joined logits were checked to equal the parts' (scaled) logits side by side; the difference
        that was found stands in `.settings["check"]`.

    Raises:
        ClassClash, IncompatibleComponents, BadBatches, ShapeMismatch, BadConfig.
    """
    _check_parts(parts)
    _check_options(layout, scaling, head, on_clash, calibration)
    names = [name for part in parts for name in part.classes]
    classes, pick = _joined_classes(parts, names, on_clash)
    images, labels = _calibration(parts, calibration, classes, class_names, progress)
    example = images[:CHECKED] if images is not None else _noise(parts)
    settings: dict[str, Any] = {"layout": layout, "scaling": scaling, "on_clash": on_clash, "seed": seed}
    parts = [copy.deepcopy(part).eval() for part in parts]
    if scaling == "layer":
        parts = _layer_scaled(parts, example if images is None else images)
    padded = _padded(parts, example) if layout == "padded" else None
    width = len(names)
    assembly = Assembly(
        parts, layout=layout, classes=classes, head=_head(pick, width, "concat"), padded=padded, settings=settings
    ).eval()
    assembly.settings["check"] = _self_check(assembly, parts, example)
    if images is not None and labels is not None:
        kind = "affine" if head == "auto" else head
        assembly.settings["calibration_images"] = len(images)
        owners = torch.tensor([classes.index(name) for name in names])
        assembly.head = _fitted_head(assembly, images, labels, parts, owners, pick, kind, assembly.settings)
    assembly.settings["head"] = assembly.head.kind
    assembly.head.to(example)
    return assembly.eval()


def _check_options(layout: str, scaling: str | None, head: str, on_clash: str, calibration: Batches | None) -> None:
    for name, value, allowed in (
        ("layout", layout, ("parallel", "padded")),
        ("scaling", scaling, (None, "logit", "layer")),
        ("head", head, ("auto", "concat", "affine")),
        ("on_clash", on_clash, ("error", "prefer", "average")),
    ):
        if value not in allowed:
            raise BadConfig(f"{name} '{value}' is unknown; use one of {', '.join(map(repr, allowed))}")
    if calibration is None and (scaling is not None or head == "affine"):
        raise BadConfig(f"scaling '{scaling}' and head '{head}' need calibration images; give calibration=")


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


def _calibration(
    parts: Sequence[Component],
    calibration: Batches | None,
    classes: Sequence[str],
    class_names: Sequence[str] | None,
    progress: Progress,
) -> tuple[Tensor | None, Tensor | None]:
    """All calibration images of the assembly's classes, with their positions in `classes`."""
    if calibration is None:
        return None, None
    known = classes if class_names is None else class_names
    missing = [name for name in classes if name not in known]
    if missing:
        raise UnknownClass(f"the calibration images have no class '{missing[0]}'; class_names has to name it")
    position = torch.tensor([classes.index(name) if name in classes else -1 for name in known])
    fixed = [part for part in parts if part.preprocessing is None or part.preprocessing.size is None]
    shape = fixed[0].origin.input_shape if fixed else None
    images, labels = [], []
    reader = checked(calibration, shape=shape, labels=len(known))
    for some, numbers in tracked(reader, "reading calibration images", progress):
        places = position[numbers]
        images.append(some[places >= 0])
        labels.append(places[places >= 0])
    joined = torch.cat(labels)
    absent = [classes[c] for c in range(len(classes)) if not bool((joined == c).any())]
    if absent:
        raise UnknownClass(f"there is no calibration image of class '{absent[0]}'")
    tensor = next(parts[0].parameters())
    return torch.cat(images).to(tensor), joined


def _noise(parts: Sequence[Component]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    fixed = [part for part in parts if part.preprocessing is None or part.preprocessing.size is None]
    shape = (fixed or list(parts))[0].origin.input_shape
    images = torch.rand(2, *shape, generator=generator, dtype=torch.float64)
    return images.to(next(parts[0].parameters()))


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


def _head(pick: Tensor | None, width: int, kind: str, factors: Tensor | None = None) -> Head:
    """Logits side by side, times a factor each, with clashes settled."""
    factors = torch.ones(width, dtype=torch.float64) if factors is None else factors
    weight = factors if pick is None else pick.double() * factors
    return Head(kind, weight, torch.zeros(weight.shape[0], dtype=torch.float64))


@torch.no_grad()
def _fitted_head(
    assembly: Assembly,
    images: Tensor,
    labels: Tensor,
    parts: Sequence[Component],
    owners: Tensor,
    pick: Tensor | None,
    kind: str,
    settings: dict[str, Any],
) -> Head:
    """Scale the logits, or map them by a convex fit, on the calibration images."""
    joined = torch.cat([assembly.joined(some) for some in images.split(CHUNK)]).double().cpu()
    width = joined.shape[1]
    factors = None
    if settings["scaling"] == "logit":
        found = logit_factors(joined, labels, owners, [len(part.classes) for part in parts])
        factors = found.factors
        settings["factors"] = {**described(factors), "guarded": list(found.guarded)}
    plain = _head(pick, width, "logit" if factors is not None else "concat", factors)
    if kind == "concat":
        return plain
    start = plain.weight.double() if plain.weight.dim() == 2 else torch.diag(plain.weight.double())
    weight, bias, strength = affine_map(joined, labels, start, seed=settings["seed"])
    settings["head_strength"] = strength
    return Head("affine", weight, bias)


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
