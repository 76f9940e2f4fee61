"""A saved part on one screen, told from its manifest alone."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from model_lego.cli.render import share
from model_lego.cli.wording import in_options
from model_lego.parts.verdict import Verdict
from model_lego.store.manifest import AssemblyRecord, Manifest, OriginRecord, PartRecord, PreprocessingRecord
from model_lego.text.amounts import in_words

#: Items of a list that are shown, letters of a line, and parts of an assembly that are told of in full.
ITEMS, WIDTH, FULL = 10, 80, 3

Row = tuple[str, str]


def summary(manifest: Manifest, *, checked: bool = False) -> str:
    """What a part is, where it comes from, how it was cut and repaired, and what is noted about it.

    `checked`: its weights were held against its manifest.
    """
    parts, assembly = manifest.parts, manifest.assembly
    rows = list(_component(parts[0])) if assembly is None else [*_assembly(assembly), *_inside(assembly)]
    blocks = [_block(f"{manifest.kind.capitalize()} for {few(_classes(manifest))}", rows)]
    for number, part in zip(manifest.numbers(), parts, strict=True) if assembly is not None else ():
        title = f"part {number} for {few(part.classes)}" if number else "padded network"
        size = ("size", f"{_size(part.origin, 'parameters')} parameters, {_size(part.origin, 'macs')} multiply-adds")
        blocks.append(_block(title, [size, *(_history(part) if len(parts) <= FULL else ())]))
    return "\n\n".join([*blocks, _block("", _file(manifest, checked=checked))])


def _block(title: str, rows: Iterable[Row]) -> str:
    """A title and rows of names and texts, the texts below each other."""
    lines = [title] if title else []
    for name, text in rows:
        filled = textwrap.wrap(text, WIDTH - 16, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [f"  {name if place == 0 else '':<14}{line}" for place, line in enumerate(filled)]
    return "\n".join(lines)


def few(items: Sequence[str], most: int = ITEMS, between: str = ", ") -> str:
    """The first items of a list, and how many there are where that is not all of them."""
    more = f"{between}… {len(items)} in all" if len(items) > most else ""
    return between.join(items[:most]) + more


def _classes(manifest: Manifest) -> Sequence[str]:
    return manifest.parts[0].classes if manifest.assembly is None else manifest.assembly.classes


def _inside(assembly: AssemblyRecord, number: str = "") -> Iterator[Row]:
    """The assemblies among the parts of an assembly, and among theirs."""
    for place, inner in enumerate(assembly.made_of, 1):
        if not isinstance(inner, int):
            mine = f"{number}.{place}" if number else str(place)
            yield f"part {mine}", f"an assembly for {few(inner.classes)}, head {inner.head}"
            yield from _inside(inner, mine)


def _assembly(assembly: AssemblyRecord) -> list[Row]:
    joined, tried = assembly.joined, assembly.joined.cross_validation
    rows = [("layout", assembly.layout), ("head", f"{assembly.head}, {joined.head_state.value}")]
    rows += [(f"group {name}", few(members)) for name, members in assembly.groups.items()]
    if joined.calibration is not None:
        rows.append(("calibrated", f"on {joined.calibration.images:,} images"))
    if tried is not None:
        scores = ", ".join(f"{kind} {score:.1f} %" for kind, score in tried.scores.items())
        rows.append(("accuracy", f"{scores} (cross-validated in {tried.folds} folds of the calibration images)"))
    if joined.outsiders is not None:
        rows.append(("none of these", f"where no logit reaches {joined.outsiders.threshold:.3g}"))
    rows += _verdict(joined.verdict)
    rows += [("lacks", joined.lacks)] if joined.lacks else []
    rows += [("note", in_options(joined.advice, {}))] if joined.advice else []
    return [*rows, *_trained({"finetuned": joined.finetuned, "distilled": joined.distilled})]


def _component(part: PartRecord) -> Iterator[Row]:
    origin = part.origin
    for what, field in (("parameters", "parameters"), ("multiply-adds", "macs"), ("bytes", "bytes")):
        yield what, f"{_size(origin, field)}; the source has {getattr(origin.cost_before, field):,}"
    yield from _history(part)


def _size(origin: OriginRecord, field: str) -> str:
    return share(getattr(origin.cost_after, field), getattr(origin.cost_before, field))


def _history(part: PartRecord) -> Iterator[Row]:
    """Where a component comes from, and what was done to it."""
    origin = part.origin
    settings: Mapping[str, Any] = origin.settings
    source = "a network of the user's own" if origin.builder is None else str(origin.built_by())
    yield "source", f"{source}, for {few(origin.source_classes)}"
    yield "images", _images(origin, part.preprocessing)
    yield "cut", "; ".join(_cut(settings)) if origin.kept_outputs else "no: its parts stand side by side in it"
    yield "repaired", "; ".join(_repaired(settings.get("repair")))
    yield from _verdict(part.verdict)
    yield from ([("accuracy", _accuracy(settings))] if _accuracy(settings) else [])
    yield from (("time", line) for line in times_in_words(settings))
    yield from _noted(settings)
    yield from _trained(settings)


def _verdict(verdict: Verdict | None) -> list[Row]:
    """How it does beside what it was made of, and what is doubtful about it."""
    if verdict is None:
        return []
    return [("verdict", str(verdict)), *(("", f"{concern.what}") for concern in verdict.concerns)]


def _images(origin: OriginRecord, preprocessing: PreprocessingRecord | None) -> str:
    shape = " x ".join(map(str, origin.input_shape))
    if preprocessing is None:
        return f"{shape}, as the network takes them"
    return f"{shape}, {preprocessing.noun()}"


def _cut(settings: Mapping[str, Any]) -> Iterator[str]:
    """How channels were chosen."""
    if "united" in settings:
        yield f"united from {len(settings['united'])} components of the source: each channel that one of them kept"
    if crossing := settings.get("union", {}).get("crossing"):
        yield f"{crossing:,} parameters are new, between channels that no part has together"
    if "cut_from" in settings:
        yield f"from the component or network for {few(settings['cut_from']['classes'])}"
    if "budget" in settings:
        budget = settings["budget"]
        asked = ", ".join(f"{name} {in_words(value)}" for name, value in budget["asked"].items())
        yield f"within {asked} by {budget['criterion']}"
    elif "thresholds" in settings:
        at = settings["thresholds"]
        yield (
            f"by relevance, alpha {at['conv_alpha']:g} and beta {at['conv_beta']:g} "
            f"(linear layers {at['linear_alpha']:g} and {at['linear_beta']:g})"
        )
    elif not {"united", "cut_from"} & settings.keys():
        yield "nothing: it has all channels of its source"
    yield from _samples(settings)


def _samples(settings: Mapping[str, Any]) -> Iterator[str]:
    """Of which samples the statistics were."""
    if samples := settings.get("samples"):
        low, high = min(samples), max(samples)
        yield f"{low if low == high else f'{low} to {high}'} {settings.get('sampling', '')} samples a class"
    if fallbacks := settings.get("fallbacks"):
        yield f"no sample was labelled correctly of classes number {', '.join(map(str, fallbacks))}"


def _repaired(repair: Mapping[str, Any] | None) -> Iterator[str]:
    if repair is None or repair["method"] == "none":
        yield "no"
        return
    yield f"{repair['method']}, on {repair['images']:,} images"
    if tuning := repair.get("tuning"):
        yield (
            f"{tuning['steps']:,} steps in {tuning['seconds']:g} seconds, divergence from the source on "
            f"{tuning['held_out_images']:,} held-out images {tuning['divergence_before']:.3g} before, "
            f"{tuning['divergence']:.3g} after" + ("" if tuning["gained"] else ": not kept, as nothing was gained")
        )
    for key, words in (("left_alone", "left alone"), ("given_biases", "given a bias")):
        if layers := repair.get(key):
            yield f"{words}: {few(layers, 4)}"


def _accuracy(settings: Mapping[str, Any]) -> str:
    """What was measured on held-out images while it was cut, empty where nothing was."""
    reached = settings.get("budget", {}).get("reached", {})
    if "accuracy" not in reached:
        return ""
    return (
        f"{reached['accuracy']:.2f} %, the source {reached['restricted']:.2f} % "
        f"(on {reached['held_out_images']:,} held-out images, while it was cut)"
    )


def times_in_words(settings: Mapping[str, Any]) -> Iterator[str]:
    """A line for each batch of the device of a component, none where no device was named."""
    told = settings.get("latency")
    if told is None:
        return
    threads = f"{told['threads']} thread{'s' if told['threads'] > 1 else ''}"
    for place, batch in enumerate(told["batches"]):
        line = f"in {told['runtime']} {told['version']}, {threads}, batch {batch}: predicted "
        line += _time(told, "predicted", place)
        if "measured" in told:
            line += f", measured {_time(told, 'measured', place)}, {100 * told['error'][place]:+.0f} % off"
        else:
            line += f", by times of {told['processor']}"
        yield line


def _time(told: Mapping[str, Any], which: str, place: int) -> str:
    return f"{told[which][place]:.3g} ms ({told[f'{which}_share'][place]:.3f} of the source's)"


def _noted(settings: Mapping[str, Any]) -> Iterator[Row]:
    """What the cut left out or could not touch."""
    for key, name in (("dropped_modules", "dropped"), ("plain_layers", "made plain"), ("kept_whole", "kept whole")):
        if found := settings.get(key):
            yield name, few(list(dict.fromkeys(map(str, found))), 5, "; ")
    if forgotten := settings.get("forgotten"):
        words = forgotten.get("why_not")
        told = f"not: {words}" if words else f"classes that are gone, by {forgotten['images']:,} images of them"
        yield "forgotten", told


def _trained(settings: Mapping[str, Any]) -> Iterator[Row]:
    for key, name in (("finetuned", "fine-tuned"), ("distilled", "distilled")):
        for training in settings.get(key, ()):
            yield name, f"{training['epochs']} epochs on {training['images']:,} images"


def _file(manifest: Manifest, *, checked: bool) -> Iterator[Row]:
    weights = manifest.weights
    yield (
        "file",
        f"{weights.file}, {weights.bytes:,} bytes, sha256 {weights.sha256[:12]}…{' (checked)' if checked else ''}",
    )
    versions = ", ".join(f"{name} {number}" for name, number in sorted(manifest.versions.items()))
    said = "all but the file" if checked else "all"
    yield "written with", f"{versions}; {said} as its maker says"
