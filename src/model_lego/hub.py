"""Repositories on the Hugging Face Hub: their files, out of its cache, and from the net where they are not in it."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from sys import stderr
from typing import Any

from model_lego.errors import BadConfig, LegoError
from model_lego.hub_names import HubName

#: Seconds that the Hub has for its first answer.
PATIENCE = 10.0
#: What helps those who may not read or write.
LOG_IN = "log in with `hf auth login`, or give a token by HF_TOKEN"


@dataclass(frozen=True, slots=True)
class Listing:
    """What a repository holds at a commit: its files with their bytes, None where the Hub does not say."""

    commit: str
    private: bool
    files: Mapping[str, int | None]


def check_installed(what: str = "networks of the Hub", extra: str = "hf") -> None:
    """Raises BadConfig where the package, which is an extra, is not there."""
    try:
        importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise BadConfig(f"{what} need the extra: pip install model-lego[{extra}]") from error


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


def newest(name: HubName, file: str) -> Path:
    """A file at what a branch is now, from the net where it is not in the cache, which remembers what the branch is."""
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(name.repository, file, revision=name.revision))


def listed(name: HubName) -> Listing:
    """What a repository holds, from the net; raises as huggingface_hub does, at once where there is no net."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(name.repository, revision=name.revision, files_metadata=True, timeout=PATIENCE)
    return Listing(str(info.sha), bool(info.private), {each.rfilename: each.size for each in info.siblings or ()})


def offline() -> bool:
    """Whether the user wants no connection: HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def cache() -> str:
    """The folder of the cache."""
    from huggingface_hub import constants

    return str(constants.HF_HUB_CACHE)


@contextmanager
def asking(name: HubName, refusal: Callable[[str], LegoError]) -> Iterator[None]:
    """Say what the Hub refused, or that it does not answer, as a `refusal` made of these words.

    What its package prints meanwhile goes to stderr, where talk belongs.
    """
    try:
        with redirect_stdout(stderr):
            yield
    except LegoError:
        raise
    except Exception as error:  # the net, the disk and the Hub fail in every possible way
        raise refusal(_words(error, name)) from error


def is_unanswered(error: BaseException) -> bool:
    """Whether the Hub did not answer at all."""
    errors = _errors()
    if isinstance(error, errors.HfHubHTTPError):
        return bool(error.response.status_code >= 500)
    return isinstance(error, errors.HTTPError | ConnectionError | TimeoutError)


def _errors() -> Any:
    """Those of the package; that of connections is called so by it, whatever it connects with."""
    return importlib.import_module("huggingface_hub.errors")


def _words(error: Exception, name: HubName) -> str:
    errors = _errors()
    if isinstance(error, errors.GatedRepoError):
        return f"its owner lets only those in whom they know: ask on its page, and {LOG_IN}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no such repository, or it is private, and no token that may read it is there: {LOG_IN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"it has no branch, tag or commit '{name.revision}'"
    if isinstance(error, errors.HfHubHTTPError):
        return _status(error)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so that nothing connects"
    if isinstance(error, errors.HTTPError | ConnectionError | TimeoutError):
        return f"the Hub does not answer, or not to the end ({_flat(error)}): connect to the net, and try again"
    if isinstance(error, OSError) and error.strerror:
        return f"its cache '{cache()}' cannot be written: {error.strerror}"
    return _flat(error)


def _status(error: Any) -> str:
    code = error.response.status_code
    said = (error.server_message or _flat(error)).splitlines()[0]
    if code in (401, 403):
        return f"the token that is there, if any, may not do that ({said}): {LOG_IN} that may"
    return f"the Hub refuses it ({code}: {said})"


def _flat(error: Exception) -> str:
    """All that an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
