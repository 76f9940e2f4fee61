"""Networks whose weights are whole numbers, or on the way there, are refused: their float originals can be cut."""

from collections.abc import Iterable

import torch
from torch import Tensor, fx, nn
from torch.ao.quantization import FakeQuantizeBase

from model_lego.errors import RefusedError
from model_lego.graph.nodes import place_of

ADVICE = "take the float network apart as it was before, and quantise the component"


def refuse_whole_numbers(model: nn.Module) -> None:
    """Raise RefusedError for a network that is quantised, or rounds as one would.

    It has packed weights, which no export shows, or hooks that round, which a copy goes without.
    """
    for path, module in model.named_modules():
        if isinstance(module, FakeQuantizeBase) and bool(module.fake_quant_enabled[0]):
            layer, kind = path.rpartition(".")[0], type(module).__name__
            raise RefusedError(f"layer '{layer}' rounds values for quantisation ({kind}); {ADVICE}")
    for name, value in model.state_dict().items():
        if isinstance(value, torch.dtype) or (isinstance(value, Tensor) and value.is_quantized):
            layer = name.partition("._packed_params")[0] if "._packed_params" in name else name.rpartition(".")[0]
            raise RefusedError(f"layer '{layer}' is quantised to whole numbers; {ADVICE}")


def refuse_quantised(nodes: Iterable[fx.Node]) -> None:
    """Raise RefusedError where values are rounded as whole numbers would be (training for quantisation)."""
    for node in nodes:
        name = str(node.target)
        if node.op == "call_function" and ("fake_quant" in name or "quantize" in name):
            raise RefusedError(f"{place_of(node)} rounds values for quantisation ({name}); {ADVICE}")
