"""Save a component or assembly as a folder of weights, manifest and card."""

import warnings
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from model_lego.errors import BadConfig, LegoError
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.store.asking import answered_otherwise
from model_lego.store.card import card
from model_lego.store.files import CARD, MANIFEST, RECIPE, RECIPE_MARK, WEIGHTS
from model_lego.store.manifest import Manifest
from model_lego.store.manifest_text import to_json
from model_lego.store.probe import first_difference, other_answer
from model_lego.store.rebuild import rebuild
from model_lego.store.records import manifest_of
from model_lego.store.replacing import replacing
from model_lego.store.tensors import named_tensors, split_aliases
from model_lego.store.weights import write_weights

_INSTEAD = "leave the builder out and give load a factory that builds the network as it was"


def save(part: Component | Assembly, folder: str | Path, *, overwrite: bool = False, recipe: str | None = None) -> Path:
    """Save a component or assembly: `model.safetensors`, `manifest.json` and `README.md`, all or nothing.

    What is cut from code of the user's own is proved when it is loaded, where the caller names the code; a warning says
    where that will not be possible. Saving the same part twice gives the same bytes. Parent folders are made where they
    lack. A `recipe` tells `model-lego make` how the part was made; it is written beside, as `recipe.yaml`.

    Returns:
        The folder.

    Raises:
        CannotWrite: the place does not allow it, or its disk has no room for it.
        OutputExists: the folder is there and `overwrite` is not set, or it holds something else than a saved part.
        BadConfig: something in the part cannot be written, such as a setting that is not a JSON value, or its builder
            makes another network than the one that it was cut from.
    """
    if not isinstance(part, Component | Assembly):
        raise BadConfig(f"a Component or an Assembly can be saved, not a {type(part).__name__}: disassemble it first")
    folder = Path(folder)
    tensors, aliases = split_aliases(named_tensors(part))
    needs = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    with replacing(folder, overwrite=overwrite, needs=needs) as fresh:
        try:
            weights = write_weights(tensors, fresh / WEIGHTS)
            manifest = manifest_of(part, tensors, aliases, weights)
        except ValueError as error:
            raise BadConfig(f"the {type(part).__name__.lower()} cannot be saved: {error}") from None
        _prove(part, manifest, tensors)
        (fresh / MANIFEST).write_text(to_json(manifest), encoding="utf-8", newline="\n")
        (fresh / CARD).write_text(card(manifest), encoding="utf-8", newline="\n")
        if recipe is not None:
            (fresh / RECIPE).write_text(RECIPE_MARK + recipe, encoding="utf-8", newline="\n")
    return folder


def _prove(part: Component | Assembly, manifest: Manifest, tensors: Mapping[str, Tensor]) -> None:
    """Build the part again as `load` will, where its builders are known; raises BadConfig where that is another one."""
    builders = [record.origin.built_by() for record in manifest.parts]
    own_code = [builder.name for builder in builders if builder is not None and builder.is_own_code]
    if own_code and manifest.probe is None:
        warnings.warn(
            f"when the part is loaded, nothing will prove that {own_code[0]} still gives this network: it gives no "
            "finite answer to a random image, by which it would be known again",
            stacklevel=3,
        )
    if own_code or None in builders:  # code runs where a caller names it: `load` proves it
        return
    own = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    try:
        again = rebuild(itself := Path("the part"), manifest, own, None)
        unasked = manifest.probe is None
        apart = answered_otherwise(itself, again, manifest) if unasked else other_answer(again, manifest.probe)
    except LegoError as error:
        raise BadConfig(f"the part cannot be built again by its builder: {error}; {_INSTEAD}") from error
    if apart:
        where = first_difference(part, again)
        raise BadConfig(f"the builder makes another network, {where or 'with another forward'}: {apart}; {_INSTEAD}")
