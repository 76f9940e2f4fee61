"""The weights file of a saved folder: how it is written, and read only where it is what its manifest says."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model_lego.digest import digest_of_bytes
from model_lego.errors import CorruptComponent
from model_lego.store.files import WEIGHTS, plain_file, read_file, record_of
from model_lego.store.manifest import ITEM_BYTES, TensorRecord, WeightsRecord
from model_lego.store.tensors import dtype_name


def write_weights(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """Write tensors as safetensors, row-major, each with its own storage; give what a manifest says of the file.

    Raises:
        ValueError: a tensor is sparse or of a data type that the format has not.
    """
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or dtype_name(tensor) not in ITEM_BYTES:
            raise ValueError(
                f"tensor '{name}' is {tensor.dtype}, {tensor.layout}: only dense tensors of the types "
                f"{', '.join(ITEM_BYTES)} have a place in the file"
            )
    stream_weights(_apart(tensors), path)
    return record_of(path)


def weights_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as a file of weights has them: row-major, each with its own storage."""
    return safetensors.torch.save(_apart(tensors), metadata={"format": "pt"})


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Row-major tensors on the CPU of which none shares its storage; copied are those alone that would."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    storages = Counter(tensor.untyped_storage().data_ptr() for tensor in own.values())
    whole = {name: tensor.untyped_storage().nbytes() == tensor.nbytes for name, tensor in own.items()}
    return {
        name: tensor if whole[name] and storages[tensor.untyped_storage().data_ptr()] == 1 else tensor.clone()
        for name, tensor in own.items()
    }


def stream_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write row-major tensors on the CPU as safetensors, without a copy of them in memory."""
    safetensors.torch.save_file(dict(tensors), path, metadata={"format": "pt"})
    path.chmod(path.parent.stat().st_mode & 0o666)  # it comes readable for its owner alone


def map_weights(folder: Path, record: WeightsRecord) -> dict[str, Tensor]:
    """Map the tensors of a file of a saved folder into memory, where they are read when they are used.

    Raises:
        CorruptComponent: size or sha256 differ from the manifest's, it is no safetensors file, or holds NaN.
    """
    path = plain_file(folder / record.file)
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
    path = plain_file(folder / record.file)
    _check_size(path, record)
    data = read_file(path)
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
