"""Files of a repository on the Hugging Face Hub: out of its cache, and from the net where they are not in it."""

import importlib
from pathlib import Path
from typing import Any

from model_lego.errors import BadConfig

#: Seconds that the Hub has for its first answer.
PATIENCE = 10.0


def check_installed() -> None:
    """Raises BadConfig where the package, which is an extra, is not there."""
    try:
        importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise BadConfig("networks of the Hub need the extra: pip install model-lego[hf]") from error


def cached(repository: str, file: str, revision: str | None = None) -> Path:
    """A file that is in the cache; raises EntryNotFoundError, an OSError, where it is not."""
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repository, file, revision=revision, local_files_only=True))


def fetched(repository: str, file: str, revision: str | None = None) -> Path:
    """A file out of the cache or else from the net; raises as huggingface_hub does, at once where there is no net."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return cached(repository, file, revision)
    except EntryNotFoundError:
        where: Any = hf_hub_url(repository, file, revision=revision)
        get_hf_file_metadata(where, timeout=PATIENCE)  # a download would try five times, and log each
        return Path(hf_hub_download(repository, file, revision=revision))


def cache() -> str:
    """The folder of the cache."""
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)
