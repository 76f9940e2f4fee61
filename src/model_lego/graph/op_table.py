"""The table of operator rules: how every operator carries channels. Everything structural asks this table."""

from collections.abc import Mapping
from types import MappingProxyType

from model_lego.graph.ops import (
    attention,
    concatenation,
    elementwise,
    frozen,
    gathering,
    mixing,
    movement,
    norms,
    pooling,
)
from model_lego.graph.rule import OpRule

#: ATen overload -> its row. Extend it by value, as in `trace(model, example, rules={**RULES, my_operator: my_row})`.
RULES: Mapping[object, OpRule] = MappingProxyType(
    {
        **elementwise.ROWS,
        **movement.ROWS,
        **concatenation.ROWS,
        **pooling.ROWS,
        **norms.ROWS,
        **mixing.ROWS,
        **frozen.ROWS,
        **gathering.ROWS,
        **attention.ROWS,
    }
)
