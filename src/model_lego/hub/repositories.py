"""Repositories on the Hugging Face Hub: their files, out of its cache, and from the net where they are not in it."""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_lego.errors import BadConfig, LegoError
from model_lego.names.hub_names import MAIN, HubName

#: Seconds that the Hub has for its first answer.
PATIENCE = 10.0
#: What helps those who may not read or write.
NO_TOKEN = "no token that may read it is there"
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


def is_cached(repository: str, file: str, revision: str | None = None) -> bool:
    """Whether a file is in the cache; not where the package is not there."""
    try:
        check_installed()
        cached(repository, file, revision)
    except (OSError, ValueError):  # BadConfig, where the package is not there, is a ValueError
        return False
    return True


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


def made(name: HubName, *, private: bool) -> bool:
    """Make a repository, or a branch of one, where it is not there yet, and tell whether; raises as huggingface_hub."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        listed(name)
        return False
    except RevisionNotFoundError:
        HfApi().create_branch(name.repository, branch=name.revision, exist_ok=True)
        return False
    except RepositoryNotFoundError:
        HfApi().create_repo(name.repository, private=private or None, exist_ok=True)
        if name.revision != MAIN:
            HfApi().create_branch(name.repository, branch=name.revision, exist_ok=True)
        return True


def committed(name: HubName, files: Mapping[str, Path | bytes | None], message: str, parent: str) -> str:
    """Put files on a branch, None where one goes, all or nothing and only behind its commit `parent`; the new commit.

    Where nothing changes it is the one that is there. Raises as huggingface_hub does.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    changes: list[Any] = [
        CommitOperationDelete(file) if data is None else CommitOperationAdd(file, data) for file, data in files.items()
    ]
    sent = HfApi().create_commit(
        name.repository, changes, commit_message=message, revision=name.revision, parent_commit=parent
    )
    return str(sent.oid)


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
        with redirect_stdout(sys.stderr), _bars():
            yield
    except (LegoError, Warning):  # a warning, where the caller wants errors of them
        raise
    except Exception as error:  # the net, the disk and the Hub fail in every possible way
        raise refusal(_words(error, name)) from error


@contextmanager
def _bars() -> Iterator[None]:
    """Let its package draw progress on a terminal, and nowhere else."""
    utils: Any = importlib.import_module("huggingface_hub.utils")
    if sys.stderr.isatty() or utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()


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
    """What went wrong, and what helps."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        return _words(error.__cause__, name)  # of one of the threads that send
    errors = _errors()
    refusals = {
        errors.GatedRepoError: f"its owner lets only those in whom they know: ask on its page, and {LOG_IN}",
        errors.RepositoryNotFoundError: f"there is no such repository, or it is private, and {NO_TOKEN}: {LOG_IN}",
        errors.RevisionNotFoundError: f"it has no branch, tag or commit '{name.revision}'",
        errors.OfflineModeIsEnabled: "HF_HUB_OFFLINE is set, so that nothing connects",
    }
    for kind, words in refusals.items():
        if isinstance(error, kind):
            return words
    if isinstance(error, errors.HfHubHTTPError):
        return _status(error)
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
