"""What a file is that holds no state dict, told by how it begins or by what is packed in it."""

import zipfile
from pathlib import Path

#: A zip archive, which torch.save writes, too.
ZIP = b"PK"
#: How other files begin, and what is to be said of them.
BEGINNINGS = (
    (b"version https://git-lfs", "is a pointer of git-lfs, not the file itself; fetch that with 'git lfs pull'"),
    (b"<", "is a web page, not the file that it offers; download it again"),
    (b"\x89HDF", "is an HDF5 file, as Keras writes them; give weights of PyTorch"),
    (b"\x93NUMPY", "is an array of numpy; give a state dict, as torch.save or safetensors write it"),
    (b"\x1f\x8b", "is packed by gzip; unpack it first"),
    (b"BZh", "is packed by bzip2; unpack it first"),
    (b"\xfd7zXZ", "is packed by xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is packed by zstd; unpack it first"),
    (b"7z\xbc\xaf", "is packed by 7-zip; unpack it first"),
    (b"{", "is JSON text; where it is the index of weights in several files, give one file of all of them"),
)
#: What is to be said of an archive that cannot be opened.
DAMAGED = "is cut off or damaged; a download or a copy did not finish, perhaps"
PACKED = "is packed, as torch.save does not write it, or holds things twice; unpack it, and save the state dict anew"
#: Files in other archives than those of torch.save, and what is to be said of these.
ENTRIES = (
    (
        "constants.pkl",
        "is an archive of TorchScript; save the state dict instead, of torch.jit.load(FILE).state_dict()",
    ),
    (
        "archive_format",
        "is an archive of torch.export; save the state dict instead, torch.export.load(FILE).state_dict",
    ),
)
#: Where a tar archive says that it is one.
TAR = (257, b"ustar")


def told(path: Path) -> str | None:
    """What is to be said of a file that holds no state dict; None of one that may hold one."""
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return "is empty; a download or a copy did not begin, perhaps"
    if start[TAR[0] :].startswith(TAR[1]):
        return "is a tar archive; unpack it first"
    if start.startswith(ZIP):
        return _told_of_archive(path)
    bare = start.lstrip()
    return next((what for beginning, what in BEGINNINGS if bare.startswith(beginning)), None)


def _told_of_archive(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except Exception:  # of many kinds where it is damaged: BadZipFile, OSError, UnicodeDecodeError …
        return DAMAGED
    if found := next((what for name, what in ENTRIES if name in names), None):
        return found
    return None if "data.pkl" in names else "is a zip archive without a state dict in it; unpack it first"
