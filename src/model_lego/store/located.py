"""Where a part is that is named: in a folder, in the bin, or on the Hub."""

from pathlib import Path

from model_lego.names.bin_names import folder_of, is_binned
from model_lego.names.hub_names import is_on_hub


def is_named(part: str | Path) -> bool:
    """Whether a part is named as one of the bin or of the Hub."""
    return is_binned(part) or is_on_hub(part)


def located(part: str | Path, folder: str | Path | None = None, *, weights: bool = True) -> Path:
    """The folder of a part: of `bin:…` in the bin (in `folder`), of `hub:…` in the Hub's cache, else itself.

    What is not in the cache is fetched, without `weights` all but these. Raises as `folder_of` and `snapshot`.
    """
    if is_on_hub(part):
        from model_lego.store.hub_parts import snapshot  # with what asks the Hub, which folders do without

        return snapshot(str(part), weights=weights)
    return folder_of(str(part), folder) if is_binned(part) else Path(part)
