"""The figures as a page of the documentation."""

# ruff: noqa: E501  # the lines are those of the page

import json
from typing import Any

from benchmarks.common import RESULTS, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `make bench-attribution` (random weights and images, seed 0, 2 threads; recorded in
`benchmarks/results/attribution.json`). Times are ratios within one run: the pieces of work take turns, seven rounds, and
the median over the rounds of the ratio counts. Seconds are of one noisy machine with two cores.

"""


def last() -> dict[str, Any]:
    """The figures of the last run."""
    path = RESULTS / "attribution.json"
    return json.loads(path.read_text())["parts"] if path.exists() else {}


def write(found: dict[str, Any]) -> None:
    """Write the page, of the parts that were measured."""
    parts = [section(found) for section in (_forward, _textbook, _compiled, _classes, _scale, _repair, _reading)]
    PAGE.write_text(HEAD + "\n".join(part for part in parts if part))


def _forward(found: dict[str, Any]) -> str:
    rows = [row for name, row in found.items() if name.startswith("forward ")]
    lines = [
        "## Attribution beside a plain forward",
        "",
        'Ten classes in shuffled order, every image used (`sampling="all"`), tracing excluded. On a CPU attribution runs a',
        "batch in portions that stay in cache, channels-last, which a plain forward could do as well: the second",
        "ratio is against that. Peak memory is the network's weights and what each took beyond them, without the images.",
        "",
        "| network | images | at once | attribute / forward | bar | attribute / forward run alike | peak MiB, forward | attribute |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        memory = row["peak_mib"]
        lines.append(
            f"| {row['network']}, {row['side']} x {row['side']} | {row['images']} | {row['batch']} "
            f"| {row['attribute / forward']:.2f} | {row['bar']:.2f} "
            f"| {row['attribute / forward run alike']:.2f} "
            f"| {memory['forward']:.0f} | {memory['attribution']:.0f} |"
        )
    return "\n".join([*lines, ""]) if rows else ""


def _textbook(found: dict[str, Any]) -> str:
    row = found.get("textbook")
    return (
        ""
        if row is None
        else (
            "## Beside the textbook form\n\n"
            "Every hidden map is built (unfold, einsum to B x O x I x H x W, float32, the same threads): "
            f"{row['seconds for an image']['textbook'] * 1000:.0f} ms for an image of {row['side']} x {row['side']} on {row['network']}, "
            f"ours {row['seconds for an image']['ours'] * 1000:.1f} ms, both with the forward pass: {row['times faster']:.0f} times "
            f"faster. The textbook form took {row['peak_mib of the textbook form']:.0f} MiB at batch "
            f"{row['batch of the textbook form']}. Both give the same sums, to {row['largest relative difference']:.0e} of the largest.\n"
        )
    )


def _compiled(found: dict[str, Any]) -> str:
    found_here = found.get("compiled")
    if found_here is None:
        return ""
    lines = [
        "## torch.compile",
        "",
        f"The inner block (product, relu, sum over {found_here['samples']} samples of a class) of layers of VGG-16, in parts of the time of",
        "the library calls that it is made of; and what the first call takes, which compiles it. It wins on some layers and",
        "loses on others, costs its start-up for each shape of a layer, and needs a C++ compiler where it runs: not used.",
        "",
        "| inputs, numbers, outputs | library calls, ms | the same, compiled | one expression, compiled | first calls, s |",
        "|---|---|---|---|---|",
    ]
    for row in found_here["layers"]:
        parts, first = row["times the library calls"], row["seconds of the first call"]
        names = ("the same, compiled", "one expression, compiled")
        lines.append(
            f"| {', '.join(map(str, row['inputs, numbers, outputs']))} | {row['ms']['library calls']:.2f} "
            f"| {parts[names[0]]:.2f} | {parts[names[1]]:.2f} | {', '.join(f'{first[name]:.1f}' for name in names)} |"
        )
    return "\n".join([*lines, ""])


def _classes(found: dict[str, Any]) -> str:
    row = found.get("classes")
    return (
        ""
        if row is None
        else (
            "## Classes that nobody asked for\n\n"
            f"{row['network']}, {row['images']} images of ten classes, in parts of the time with a network of ten classes: "
            f"{row['100']:.2f} where it has 100 classes, {row['1000']:.2f} where it has 1,000; twice the images take "
            f"{row['10, twice the images']:.2f}.\n"
        )
    )


def _scale(found: dict[str, Any]) -> str:
    many, place = found.get("a thousand classes"), found.get("location")
    if many is None or place is None:
        return ""
    return (
        "## A thousand classes, and location from a file\n\n"
        f"`collect` over all {many['classes']:,} classes of {many['network']} ({many['images']:,} images of 32 x 32): "
        f"{many['bytes on disk'] / 1e9:.1f} GB of sums in {many['files']} files, at most "
        f"{many['peak_mib of the process'] / 1024:.1f} GiB of memory for the whole process, {many['seconds']:.0f} s; ten classes "
        f"are located from it in {many['seconds to locate ten classes']:.2f} s.\n\n"
        f"Of a file with ten classes of {place['network']}: {place['seconds']['load']:.2f} s to load and check it, "
        f"{place['seconds']['locate']:.2f} s to locate, {place['seconds']['load and locate']:.2f} s together.\n"
    )


def _repair(found: dict[str, Any]) -> str:
    row = found.get("repair")
    if row is None or "skipped" in row:
        return ""
    return (
        "## Repair\n\n"
        f"{row['network']} of the zoo, all five classes, {row['images']:,} calibration images. The forward passes of both networks, "
        f"which it cannot avoid, take {row['seconds']['forwards']:.2f} s; repair {row['seconds']['repair']:.2f} s, of which the "
        f"solves are {row['seconds']['solves']:.2f} s: without them "
        f"{row['repair without solves / forwards of both networks']:.1f} times the forward passes (the bar is 3). "
        f"What is left are the products of the rows (X'X). The whole `disassemble` takes {row['disassemble, seconds']:.1f} s "
        "(the bar is 30).\n"
    )


def _reading(found: dict[str, Any]) -> str:
    row = found.get("reading")
    return (
        ""
        if row is None
        else (
            "## Reading ahead\n\n"
            f"{row['images']} JPEG files of {row['side']} x {row['side']} through ResNet-18, batches of 16: reading "
            f"{row['seconds']['reading']:.1f} s, the network {row['seconds']['network']:.1f} s, one after the other "
            f"{row['seconds']['one after the other']:.1f} s, with {row['batches ahead']} batches read ahead "
            f"{row['seconds']['ahead']:.1f} s.\n"
        )
    )
