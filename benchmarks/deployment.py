"""python -m benchmarks.deployment: write docs/deployment.md from what was recorded; measures nothing."""

import json
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from benchmarks.common import RESULTS, ROOT
from benchmarks.exports import CASES, IMAGES

PAGE = ROOT / "docs/deployment.md"


def page() -> str:
    """The page, with a section for each result that is there."""
    sections = {"exports": _exports, "int8": _int8, "latency_budget": _budgets, "together": _together}
    lines = ["# Deployment", "", "Written by `python -m benchmarks.deployment` from what was recorded."]
    for name, section in sections.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            lines += ["", *section(json.loads(file.read_text()))]
    return "\n".join(lines) + "\n"


def _section(title: str, *paragraphs: str) -> Iterator[str]:
    yield from (f"## {title}", "")
    for paragraph in paragraphs:
        yield from (*wrap(paragraph, 118, break_on_hyphens=False), "")


def _exports(result: dict[str, Any]) -> Iterator[str]:
    cases = result["cases"]
    yield from _section(
        "Files that agree",
        "`python -m benchmarks.exports`: halves of networks with random weights, assemblies of such halves, "
        "and networks that take no pictures, as files of [`export`](how-to/export.md). Each file was run in a"
        " fresh process on 256 images (ONNX by ONNX Runtime, `.pt2` by torch), in batches of 1, 3, 7 and 32. "
        "The difference is that of a logit to the part's, at most.",
        f"{len(cases)} of {len(CASES)} cases were run; {_good(cases, 'onnx')} agree as ONNX and "
        f"{_good(cases, 'pt2')} as `.pt2`: within 1e-4 (of the largest logit, or of 1), and on the class "
        "of every image.",
    )
    yield "| case | ONNX: difference | largest logit | same class | `.pt2`: difference | same class |"
    yield "|---|---:|---:|---:|---:|---:|"
    yield from (_case(name, cases[name]) for name in CASES if name in cases)


def _good(cases: dict[str, Any], kind: str) -> int:
    return sum(case.get(kind, {}).get("agreeing") == IMAGES for case in cases.values())


def _case(name: str, case: dict[str, Any]) -> str:
    if "refused" in case:
        return f"| {name} | not cut: {case['refused']} | | | | |"
    onnx, pt2 = case["onnx"], case["pt2"]
    cells = []
    for found, with_largest in ((onnx, True), (pt2, False)):
        if "refused" in found:
            cells += [f"refused: {found['refused']}", *([""] if with_largest else []), ""]
            continue
        cells += [f"{found['difference']:.1e}", *([f"{found['largest']:.3g}"] if with_largest else [])]
        cells += [f"{found['agreeing']} of {found['images']}"]
    return f"| {name} | {' | '.join(cells)} |"


def _int8(result: dict[str, Any]) -> Iterator[str]:
    yield from _section(
        "int8",
        "`python -m benchmarks.int8`: components as files of [`quantize`](how-to/export.md#int8), calibrated "
        "on 256 training images. Accuracy in % on test images (of EfficientNet-Lite0 600 of ImageNet's "
        "validation photographs); how many times as fast as the uncut source in floats, in ONNX Runtime, in "
        "turns in one process, on a processor with AVX-512 VNNI and two cores: floats, int8.",
    )
    sizes = [
        f"{images}, {threads} thread{'s' * (threads > 1)}" for threads in (1, 2) for images in ("1 image", "32 images")
    ]
    columns = ("network and budget", "multiply-adds", "source", "floats", "int8", "MB, floats and int8", *sizes)
    yield f"| {' | '.join(columns)} |"
    yield "|---|" + "---:|" * (len(columns) - 1)
    for name, network in result.items():
        if not isinstance(network, dict):
            continue
        for way, row in network.items():
            if isinstance(row, dict):
                size = row["bytes"]
                speeds = [
                    row[f"times as fast, batch {batch}, {threads} threads"] for threads in (1, 2) for batch in (1, 32)
                ]
                cells = (
                    f"{row['macs_percent']} %",
                    *(f"{value:.1f}" for value in (network["restricted"], row["floats"], row["int8"])),
                    f"{size['floats'] / 1e6:.2f}, {size['int8'] / 1e6:.2f}",
                    *(f"{speed['floats']:.1f}, {speed['int8']:.1f}" for speed in speeds),
                )
                yield f"| {name}: {way} | {' | '.join(cells)} |"


def _budgets(result: dict[str, Any]) -> Iterator[str]:
    yield from _section(
        "Budgets of time",
        "`python -m benchmarks.latency_budget --only budgets`: components of the half-width VGG-16s within a "
        "[share of their source's time](how-to/latency.md) in ONNX Runtime. Of each batch (1, 32) the "
        "share of the source's time, predicted and measured; accuracy in % beside the source over these "
        "classes; times as fast in turns, with 1 and 2 threads. For {bird, cat, deer} the share of 0.23 was "
        "chosen when the test accuracies of the others had been seen; for the other classes it was tried alone.",
    )
    yield "| classes | budget | threads | predicted | measured | accuracy | source | times as fast, batch 1 | 32 |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for key, row in result["budgets"].items():
        time, fast = row["time"], row["times_as_fast"]
        shares = [", ".join(f"{share:.2f}" for share in time[name]) for name in ("predicted_share", "measured_share")]
        speeds = [
            ", ".join(f"{fast[f'batch {batch}, {threads} threads']:.1f}" for threads in (1, 2)) for batch in (1, 32)
        ]
        cells = (str(time["threads"]), *shares, f"{row['accuracy']:.1f}", f"{row['restricted']:.1f}", *speeds)
        yield f"| {key.rpartition(': ')[2]} | `{key.partition(',')[0]}` | {' | '.join(cells)} |"
    for key, row in result["widths"].items():
        yield from (
            "",
            f"{key}: {len(row['predicted, measured'])} random widths, median error {100 * row['median_error']:.1f} %.",
        )


def _together(result: dict[str, Any]) -> Iterator[str]:
    yield from _section(
        "Two parts as one",
        "`python -m benchmarks.together`: halves of two networks of one architecture as an assembly. Time in "
        "parts of that of both parts called one after the other ([why "
        "threads](decisions/parts-run-on-threads.md)).",
    )
    yield "| network | runtime | threads | images | parallel | parallel, parts on threads | padded |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for name, runtimes in result["networks"].items():
        for runtime, by_threads in runtimes.items():
            for threads, by_batch in by_threads.items():
                for batch, row in sorted(by_batch.items(), key=lambda pair: int(pair[0])):
                    parallel = row.get("parallel, in turns", row.get("parallel"))
                    on_threads = row.get("parallel, on threads", "")
                    cells = (
                        runtime,
                        threads,
                        batch,
                        f"{parallel:.2f}",
                        on_threads and f"{on_threads:.2f}",
                        f"{row['padded']:.2f}",
                    )
                    yield f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
