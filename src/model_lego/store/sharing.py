"""Parts put on the Hub, and taken from there."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_lego.errors import BadConfig, CannotWrite, CorruptComponent, OutputExists, SchemaTooNew
from model_lego.hub import repositories as hub
from model_lego.names.hub_names import MAIN, PREFIX, HubName, hub_name
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.store.card import HERE, card
from model_lego.store.card_metadata import UNNAMED
from model_lego.store.files import CARD, MANIFEST, RECIPE, WEIGHTS, is_plain_file, is_recipe
from model_lego.store.hub_parts import check_installed, check_manifest
from model_lego.store.inspecting import inspect
from model_lego.store.loading import load
from model_lego.store.located import located
from model_lego.store.manifest import Manifest
from model_lego.store.rebuild import Factory
from model_lego.store.saving import save
from model_lego.version import __version__


def from_hub(
    name: str,
    *,
    revision: str | None = None,
    factory: Factory | Mapping[str, Factory] | None = None,
    model: str | tuple[str, ...] = (),
    arguments: Mapping[str, Any] | None = None,
    sha256: str | None = None,
) -> Component | Assembly:
    """Load a component or assembly of the Hub: `load("hub:USER/NAME@REVISION")`, of which the options are.

    The `revision` is a branch, a tag or a commit, by default what the branch main is now. Raises as `load`.
    """
    wanted = _with_revision(name, revision)
    return load(str(wanted), factory=factory, model=model, arguments=arguments, sha256=sha256)


def push_to_hub(
    part: Component | Assembly | str | Path,
    name: str,
    *,
    revision: str | None = None,
    private: bool = False,
    message: str | None = None,
) -> str:
    """Put a part on the Hub, in one commit: weights, manifest, card, and the recipe where there is one.

    The repository is made where it is not there yet, and so is a branch. A part that is there already becomes an
    earlier commit; a repository with weights that are no part of ours is left alone.

    Args:
        part: a component or assembly, or the folder or the name of a saved one.
        name: "USER/NAME".
        revision: the branch, main by default.
        private: whether a new repository can be seen by its owner alone.
        message: what the commit is called.

    Returns:
        The name by which it is loaded, for ever this part: "hub:USER/NAME@COMMIT".

    Raises:
        CannotWrite: there is no token that may write, or the Hub does not answer, or refuses it.
        OutputExists: the repository holds another network.
        BadConfig: the name is none, it should be private and is not, or the part cannot be saved.
        CorruptComponent: the saved part is damaged.
    """
    target = _with_revision(name, revision)
    if target.pinned:
        raise BadConfig(f"'{target}' is a commit, which stays as it is: name a branch")
    check_installed()
    if hub.offline():
        raise CannotWrite(target, "HF_HUB_OFFLINE is set, so that nothing connects")
    with _copied(part) as folder:
        manifest = inspect(folder, check_weights=True)
        files: dict[str, Path | bytes | None] = {
            CARD: _card(folder, manifest, target).encode(),
            **{file: folder / file for file in (MANIFEST, WEIGHTS, RECIPE) if (folder / file).exists()},
        }
        said = message or f"{manifest.kind.capitalize()} by model-lego {__version__}"
        commit = _pushed(target, files, said, private=private)
    return str(HubName(target.repository, commit))


def _with_revision(name: str, revision: str | None) -> HubName:
    if revision is not None and "@" in name:
        raise BadConfig(f"'{name}' names a revision already: give one, not two")
    return hub_name(name if revision is None else f"{name}@{revision}")


@contextmanager
def _copied(part: Component | Assembly | str | Path) -> Iterator[Path]:
    """A folder that is nobody else's with what a part consists of."""
    with tempfile.TemporaryDirectory(prefix="model-lego-") as holder:
        folder = Path(holder, "part")
        if isinstance(part, Component | Assembly):
            yield save(part, folder)
            return
        source = located(part)
        inspect(source)
        folder.mkdir()
        for file in (MANIFEST, WEIGHTS, CARD, RECIPE):
            if is_plain_file(source / file) and (file != RECIPE or is_recipe(source / file)):
                shutil.copyfile(source / file, folder / file)
        yield folder


def _card(folder: Path, manifest: Manifest, target: HubName) -> str:
    """The card beside a part, or one that is made anew, with the name by which the part is loaded."""
    text = (folder / CARD).read_text(encoding="utf-8") if (folder / CARD).exists() else card(manifest)
    name = f"{PREFIX}{target.repository}" if target.revision == MAIN else str(target)
    called = target.repository.partition("/")[2]
    return text.replace(HERE, f'"{name}"').replace(f"- name: {UNNAMED}\n", f"- name: {called}\n", 1)


def _pushed(target: HubName, files: dict[str, Path | bytes | None], message: str, *, private: bool) -> str:
    """Put files into a repository; the commit."""
    new = False

    def refused(words: str) -> CannotWrite:
        return CannotWrite(target, words + ("; its repository is there now, without the part" if new else ""))

    with hub.asking(target, refused):
        new = hub.made(target, private=private)
        there = hub.listed(target)
        if private and not there.private:
            raise BadConfig(f"'{target}' is public: make it private on its page first, or leave private=True out")
        _refuse_others(HubName(target.repository, there.commit), there.files)
        stale = {file: None for file in (CARD, RECIPE) if file in there.files and file not in files}
        return hub.committed(target, files | stale, message, there.commit)


def _refuse_others(name: HubName, files: Mapping[str, int | None]) -> None:
    """Refuse to put a part over a network that this library did not write; raises OutputExists."""
    there = [file for file in (MANIFEST, WEIGHTS) if file in files]
    if not there:
        return
    try:
        check_manifest(name, files)
        inspect(str(name))
    except (CorruptComponent, SchemaTooNew) as error:
        raise OutputExists(
            f"'{PREFIX}{name.repository}' holds '{there[0]}', and is no saved part, so it is not overwritten: {error}; "
            "choose another repository"
        ) from None
