"""The files of a saved folder: how they are written, and read only where they should be and no larger than they say."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model_lego.digest import digest_of_bytes
from model_lego.errors import CorruptComponent
from model_lego.store.manifest import ITEM_BYTES, TensorRecord, WeightsRecord
from model_lego.store.tensors import dtype_name

WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"
CARD = "README.md"
#: How the part was made, where a command made it; and how each that we write begins.
RECIPE, RECIPE_MARK = (
    "recipe.yaml",
    "# How model-lego made the part in this folder: `model-lego make` makes it again.\n",
)
#: What manifests need: those of the deepest networks have some 10,000 lists and objects, one of 50 such parts 2 MB.
MAX_MANIFEST_BYTES, MAX_LISTS = 32 * 2**20, 150_000


def write_weights(tensors: Mapping[str, Tensor], path: Path) -> bytes:
    """Write tensors as safetensors, row-major, each with its own storage; give the bytes of the file.

    Raises:
        ValueError: a tensor is sparse or of a data type that the format has not.
    """
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or dtype_name(tensor) not in ITEM_BYTES:
            raise ValueError(
                f"tensor '{name}' is {tensor.dtype}, {tensor.layout}: only dense tensors of the types "
                f"{', '.join(ITEM_BYTES)} have a place in the file"
            )
    data = weights_bytes(tensors)
    path.write_bytes(data)
    return data


def weights_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as a file of weights has them: row-major, each with its own storage."""
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return safetensors.torch.save(own, metadata={"format": "pt"})


def stream_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write row-major tensors on the CPU as safetensors, without a copy of them in memory."""
    safetensors.torch.save_file(dict(tensors), path, metadata={"format": "pt"})
    path.chmod(path.parent.stat().st_mode & 0o666)  # it comes readable for its owner alone


def record_of(path: Path) -> dict[str, Any]:
    """What a manifest says of a file: its name, size and sha256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}


def map_weights(folder: Path, record: WeightsRecord) -> dict[str, Tensor]:
    """Map the tensors of a file of a saved folder into memory, where they are read when they are used.

    Raises:
        CorruptComponent: size or sha256 differ from the manifest's, it is no safetensors file, or holds NaN.
    """
    path = _plain_file(folder / record.file)
    _check_size(path, record)
    if record_of(path)["sha256"] != record.sha256:
        raise CorruptComponent(f"{path} is not the file that was saved (sha256 differs): copy the folder again")
    try:
        with safe_open(path, "pt", backend="pread") as opened:  # read one by one: mapped pages would stay in memory
            for name in opened.keys():  # noqa: SIM118  # it is no mapping
                if not bool(torch.isfinite(opened.get_tensor(name)).all()):
                    raise CorruptComponent(f"{path}: tensor '{name}' contains NaN or infinite values")
        return safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise CorruptComponent(f"{path} is not a safetensors file: {error}") from None


def read_manifest(folder: Path, sha256: str | None = None) -> bytes:
    """Read the manifest of a saved folder, unparsed.

    Raises:
        CorruptComponent: there is none, it is larger than any that a part needs, or it has not this sha256.
    """
    if not folder.is_dir():
        raise CorruptComponent(f"'{folder}' is not a folder: give one that this library saved")
    path = _plain_file(folder / MANIFEST)
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise CorruptComponent(f"{path} is larger than {MAX_MANIFEST_BYTES:,} bytes: no part of ours needs as many")
    data = _read(path)
    if data.count(b"[") + data.count(b"{") > MAX_LISTS:  # each takes many times its bytes as it is read
        raise CorruptComponent(f"{path} has more than {MAX_LISTS:,} lists and objects: no part of ours needs as many")
    if sha256 is not None and (found := digest_of_bytes(data)) != sha256.lower():
        raise CorruptComponent(f"{path} has sha256 {found}, not {sha256}: it is not the part that is meant")
    return data


def read_weights(folder: Path, record: WeightsRecord, tensors: Mapping[str, TensorRecord]) -> dict[str, Tensor]:
    """Read the weights of a saved folder and hold them against its manifest.

    Raises:
        CorruptComponent: size, sha256, names, shapes or data types differ from the manifest's.
    """
    data = read_verified(folder, record)
    try:
        found = safetensors.torch.load(data)
    except (SafetensorError, AssertionError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise CorruptComponent(f"{folder / record.file} is not a safetensors file: {error}") from None
    refuse_differences(folder, have=found, expected=tensors, holder="manifest", file=record.file)
    for name, tensor in found.items():
        saved, said = (dtype_name(tensor), tuple(tensor.shape)), (tensors[name].dtype, tensors[name].shape)
        if saved != said:
            raise CorruptComponent(f"{folder / record.file}: tensor '{name}' is {saved}, but the manifest says {said}")
    return found


def read_verified(folder: Path, record: WeightsRecord) -> bytes:
    """Read the weights file of a saved folder, checking its size and its sha256 only."""
    path = _plain_file(folder / record.file)
    _check_size(path, record)
    data = _read(path)
    if digest_of_bytes(data) != record.sha256:
        raise CorruptComponent(f"{path} is not the file that was saved (sha256 differs): copy the folder again")
    return data


def _check_size(path: Path, record: WeightsRecord) -> None:
    if path.stat().st_size != record.bytes:
        raise CorruptComponent(
            f"{path} has {path.stat().st_size:,} bytes, but the manifest says {record.bytes:,}: copy the folder again"
        )


def refuse_differences(
    folder: Path, *, have: Mapping[str, object], expected: Mapping[str, object], holder: str, file: str = WEIGHTS
) -> None:
    """Refuse a weights file whose tensor names `have` are not those that its `holder` expects."""
    missing, unexpected = sorted(expected.keys() - have.keys()), sorted(have.keys() - expected.keys())
    if missing or unexpected:
        raise CorruptComponent(
            f"{folder / file} does not fit its {holder}: missing tensors {_some(missing)}, "
            f"unexpected tensors {_some(unexpected)}"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{names[:5]}{more}" if names else "none"


def is_recipe(path: Path) -> bool:
    """Whether there is a recipe that we wrote."""
    if not is_plain_file(path):
        return False
    with path.open("rb") as file:
        return file.read(len(RECIPE_MARK)) == RECIPE_MARK.encode()


def is_plain_file(path: Path) -> bool:
    """Whether there is an ordinary file at exactly this place: no link, folder or pipe."""
    return path.is_file() and not path.is_symlink()


def _plain_file(path: Path) -> Path:
    """Refuse what is not an ordinary file at exactly this place."""
    if path.is_symlink():
        raise CorruptComponent(f"{path} is a symbolic link: a saved folder holds its own files")
    if not path.is_file():
        raise CorruptComponent(f"{path} is missing: a saved folder holds {MANIFEST} and {WEIGHTS}")
    return path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptComponent(f"{path} cannot be read: {error.strerror}") from error
