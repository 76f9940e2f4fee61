"""Hooks: a network is read, cut and saved without them, so what it gives must not depend on them."""

from collections.abc import Sequence

from torch import Tensor, nn

from model_lego.errors import RefusedError
from model_lego.graph.modules import copied, first_line, hooks_of, remove_hooks
from model_lego.parts.answers import answer_of, difference


def refuse_deciding_hooks(model: nn.Module, images: Tensor) -> None:
    """Raise RefusedError for a network that gives other logits with its hooks than without.

    The hooks run once, on a copy of the network.
    """
    hooked = [path for path, module in model.named_modules() if hooks_of(module)]
    if not hooked:
        return
    try:
        bare = _without(model, hooked, images)
    except Exception:  # what the images are to blame for is said by whoever runs the network next
        return
    try:
        expected = answer_of(copied(model), images)
    except Exception as error:
        raise RefusedError(
            f"the network does not run with its hooks (of '{hooked[0]}'): {first_line(error)}"
        ) from error
    if not difference(expected, bare):
        return
    deciding = [path for path in hooked if difference(expected, _without(model, [path], images))] or hooked
    owner = model.get_submodule(deciding[0])
    names = ", ".join(sorted({_called(hook) for hook in hooks_of(owner)}))
    more = f" and {len(deciding) - 1} more layers" if len(deciding) > 1 else ""
    raise RefusedError(
        f"a hook of layer '{deciding[0]}'{more} ({names}) changes what the network gives, and networks are cut without "
        "hooks: write what it does into the weights (torch.nn.utils.prune.remove after pruning), or remove it"
    )


def _without(model: nn.Module, paths: Sequence[str], images: Tensor) -> Tensor:
    """What a network gives without the hooks of some of its modules."""
    twin = copied(model)
    for path in paths:
        remove_hooks(twin.get_submodule(path))
    return answer_of(twin, images)


def _called(hook: object) -> str:
    return getattr(hook, "__qualname__", type(hook).__name__).replace(".<locals>", "")
