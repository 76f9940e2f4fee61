"""Networks that draw random numbers in eval mode are refused with the operator and its layer."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model_lego import diagnose
from model_lego.cutting.tracing import trace
from model_lego.errors import RefusedError
from tests.support.tiny_models import inputs
from tests.unit.graph.test_refusals import between


def in_place(x):
    noise = torch.empty_like(x)
    noise.uniform_()
    return x + noise


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (lambda x: F.dropout(x, 0.5), "dropout"),
        (lambda x: F.dropout2d(x, 0.2), "feature_dropout"),
        (lambda x: F.alpha_dropout(x, 0.2, training=True), "alpha_dropout"),
        (lambda x: x + torch.randn_like(x) * 0.1, "randn_like"),
        (lambda x: x * torch.rand(8, 1, 1), "rand"),
        (lambda x: x * torch.bernoulli(torch.full_like(x, 0.5)), "bernoulli"),
        (lambda x: F.gumbel_softmax(x, dim=2), "exponential_"),
        (lambda x: F.rrelu(x, training=True), "rrelu"),
        (lambda x: x[:, torch.randperm(8)], "randperm"),
        (lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1), "scaled_dot_product_attention"),
        (in_place, "uniform_"),
    ],
)
def test_random_numbers_in_eval_mode_are_refused_with_their_layer(function, operator):
    for verb in (trace, diagnose):
        with pytest.raises(RefusedError, match=rf"layer '1' draws random numbers in eval mode \({operator}\)"):
            verb(between(function), inputs("plain", batch=2))


def unused(x):
    torch.rand(3)
    return x


@pytest.mark.parametrize(
    "function",
    [
        nn.Dropout(0.5),
        nn.Dropout2d(0.5),
        nn.RReLU(),
        lambda x: F.dropout(x, 0.5, training=False),
        lambda x: F.dropout(x, 0.0),
        lambda x: F.scaled_dot_product_attention(x, x, x),
        unused,
    ],
)
def test_what_is_switched_off_or_unused_is_no_obstacle(function):
    assert trace(between(function).eval(), inputs("plain", batch=2)).layers


def test_the_network_itself_is_named_where_no_layer_draws():
    class Noisy(nn.Sequential):
        def forward(self, x):
            return super().forward(x + torch.randn_like(x))

    with pytest.raises(RefusedError, match="the forward of the network draws random numbers"):
        trace(Noisy(*between(nn.ReLU())).double().eval(), inputs("plain", batch=2))
