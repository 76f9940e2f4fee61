"""export: a part as a file of another runtime, which is there only where it gives what the part gives."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor, nn

from model_lego.errors import BadConfig, ExportFailed, OutputExists
from model_lego.exporting.comparing import Compared, checked_images, compared, seeded_images
from model_lego.exporting.formats import Format, format_of
from model_lego.exporting.notes import notes_of, taken_in_words
from model_lego.exporting.results import BLOCK, Exported
from model_lego.exporting.taken import Exportable, wrapped
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.progress import Progress, quiet
from model_lego.store.outputs import bytes_of, check_file, check_room, writing
from model_lego.store.replacing import refuse_in_part

#: How much more than its tensors a file may take.
ROOM = 1.25


def export(
    part: Component | Assembly,
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002  # what it is called everywhere
    with_preprocessing: bool = False,
    images: Tensor | None = None,
    opset: int | None = None,
    overwrite: bool = False,
    progress: Progress = quiet,
) -> Exported:
    """Write a part as a file of another runtime, and prove that it gives what the part gives; the part stays as it is.

    The file takes any number of images, as the part does: floats N x C x H x W, in 0..1 where it has a preprocessing,
    in the size that it brings them to; and gives logits. It holds all of the part: normalisation, both sides of an
    assembly, its head, "none of these". Names of the classes, preprocessing and provenance stand beside the network.

    Args:
        part: what to export.
        path: the file; its ending tells the format.
        format: "onnx", "pt2", "executorch" or "safetensors"; by default that of the ending.
        with_preprocessing: take bytes, N x H x W x C, of any size as `predict` does, and give probabilities.
        images: N x C x H x W as the part takes them (floats in 0..1, or uint8), with preprocessing of any size, on
            which file and part are compared; by default seeded patterns.
        opset: version of ONNX's operators; by default what the exporter takes.
        overwrite: replace a file that is there.
        progress: called as the work goes on.

    Raises:
        BadConfig: the format, its ending or the opset, or a package is missing.
        CannotWrite: the place does not allow it, or its disk is full.
        OutputExists: the file is there, or the file of its weights.
        TraceFailed, RefusedError: torch.export cannot follow the part, or it takes no images.
        ExportFailed: the format has no words for it, or the file gives something else than the part; it is not kept.
        ShapeMismatch, BadBatches: the images.
    """
    kind, path = format_of(path, format), Path(path)
    if opset is not None and kind.name != "onnx":
        raise BadConfig(f"opset={opset} is about ONNX, and the format is {kind.name}: leave it out")
    given = exportable(part, path, kind, with_preprocessing=with_preprocessing, opset=opset, overwrite=overwrite)
    real = images is not None
    seen = seeded_images(part) if images is None else checked_images(part, images, pixels=with_preprocessing)
    with beside(path) as fresh:
        found = proven(given, kind, fresh, path, seen, progress)
        files = placed(fresh, path, overwrite=overwrite)
    progress("comparing", 2, 2)
    widths = [module.out_channels for module in part.modules() if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    return Exported(
        format=kind.name,
        files=files,
        bytes=sum(file.stat().st_size for file in files),
        takes=taken_in_words(given.example, pixels=with_preprocessing),
        gives=given.gives,
        runtime=kind.version,
        images=found.images,
        real=real,
        difference=found.difference,
        largest=found.largest,
        agreeing=found.agreeing,
        convolutions=len(widths),
        odd=sum(width > BLOCK and width % BLOCK > 0 for width in widths),
    )


def exportable(
    part: Component | Assembly,
    path: Path,
    kind: Format,
    *,
    with_preprocessing: bool,
    opset: int | None = None,
    overwrite: bool = False,
) -> Exportable:
    """What is written of a part, once all is known to be well with the part, the format and the place.

    Raises BadConfig, CannotWrite, OutputExists, RefusedError.
    """
    _check(part, kind, with_preprocessing=with_preprocessing)
    check_export(path, kind, overwrite=overwrite)
    check_room(path, int(ROOM * bytes_of(part)))
    module, example = wrapped(part, pixels=with_preprocessing)
    return Exportable(module, example, notes_of(part, example, pixels=with_preprocessing), opset, part=part)


def proven(
    given: Exportable, kind: Format, fresh: Path, path: Path, images: Tensor, progress: Progress = quiet
) -> Compared:
    """Write a file that is to be placed at `path`, and compare it with its part; raises ExportFailed, CannotWrite."""
    progress("writing", 0, 2)
    with writing(path, RuntimeError):
        kind.code.write(given, fresh)
    progress("comparing", 1, 2)
    found = compared(given, kind, fresh, images)
    _refuse_differences(path, found, given)
    return found


def check_export(path: str | Path, kind: Format, *, overwrite: bool) -> None:
    """Refuse a file that cannot be written, or would replace what it may not, and a format that cannot be written here.

    Raises CannotWrite, OutputExists, BadConfig.
    """
    check_file(path)
    refuse_in_part(path)
    if Path(path).exists() and not overwrite:
        raise OutputExists(f"'{path}' exists already: choose another file, or pass overwrite=True")
    kind.check_installed()


def _check(part: object, kind: Format, *, with_preprocessing: bool) -> None:
    if not isinstance(part, Component | Assembly):
        raise BadConfig(
            f"a Component or an Assembly can be exported, not a {type(part).__name__}: disassemble it first"
        )
    if with_preprocessing and not kind.pixels:
        raise BadConfig(f"format {kind.name} takes no pictures of any size: leave with_preprocessing out")


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """The same name in a folder of its own beside, which goes with all that was not placed."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        holder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        fresh = holder / "new"  # with ordinary permissions; the temporary one is its owner's alone
        fresh.mkdir()
        yield fresh / path.name
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _refuse_differences(path: Path, found: Compared, given: Exportable) -> None:
    if not found.same:
        raise ExportFailed(
            f"'{path}' is not written: it gives other {given.gives} than the part, by {found.difference:.3g} at most "
            f"where {found.allowed:.3g} is rounding, and the same class for {found.agreeing} of {found.images} images; "
            "try another opset, or another format"
        )


def placed(fresh: Path, path: Path, *, overwrite: bool) -> tuple[Path, ...]:
    """Move what was written to its place: first what the file refers to, which never replaces anything."""
    others = sorted(file for file in fresh.parent.iterdir() if file != fresh)
    for other in others:
        if (path.parent / other.name).exists():
            raise OutputExists(
                f"'{path.parent / other.name}' exists already, and may hold the weights of another file: move it away"
            )
    if path.exists() and not overwrite:
        raise OutputExists(f"'{path}' was written by someone else meanwhile: choose another file")
    with writing(path):
        for file in (*others, fresh):
            file.chmod(fresh.parent.stat().st_mode & 0o666)
            file.replace(path.parent / file.name)
    return (path, *(path.parent / other.name for other in others))
