"""Heads whose logits cannot be cut to some classes: the operator, the layer and what helps are said."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from model_lego import canonize
from model_lego.cutting.tracing import trace
from model_lego.errors import RefusedError
from tests.support.tiny.streams import unit
from tests.support.tiny_models import CLASSES, inputs


class Ends(nn.Module):
    """A head of one's own on the means of 8 maps."""

    def __init__(self, function):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, 8))
        self.code, self.hyper = nn.Parameter(torch.randn(4)), nn.Linear(4, 8 * CLASSES)
        self.linear, self.function = nn.Linear(8, CLASSES), function

    def forward(self, x):
        return self.function(self, x.mean((2, 3)))


def ending(function) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(unit(3, 8), Ends(function)).double().eval()


def cosine(head, x):
    return F.linear(F.normalize(x), F.normalize(head.weight))


COMPUTED = r"layer '1' computes their weight anew each time; canonize\(model, example\).*nn\.Linear"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (cosine, COMPUTED),
        (lambda head, x: 30 * cosine(head, x).clamp(-1, 1), COMPUTED),
        (lambda head, x: F.linear(x, head.hyper(head.code).view(CLASSES, 8)), COMPUTED),
        (lambda head, x: F.linear(x, torch.sign(head.linear.weight), head.linear.bias), COMPUTED),
        (lambda head, x: -torch.cdist(x, head.weight), r"mixes classes \(aten\.cdist\.default, layer '1'\)"),
        (lambda head, x: torch.einsum("bi,oi->bo", x, head.weight), r"\(aten\.einsum\.default, layer '1'\).*Linear"),
        (lambda head, x: F.normalize(head.linear(x)), r"linalg_vector_norm\), layer '1'; take the logits before it"),
        (lambda head, x: head.linear(x).softmax(1) * 2, r"softmax reads across channels \(softmax\.int\), layer '1'"),
        (lambda head, x: (x[:, None] * head.weight).sum(2), r"tensor '1\.weight' stands for no channels of a layer"),
    ],
)
def test_it_is_said_what_holds_the_logits_and_what_helps(function, message):
    with pytest.raises(RefusedError, match=message):
        trace(ending(function), inputs("plain", batch=2))


@pytest.mark.parametrize("computed", [parametrizations.weight_norm, parametrizations.orthogonal])
def test_what_is_said_of_a_computed_weight_helps(computed):
    model, x = ending(lambda head, y: head.linear(y)), inputs("plain", batch=2)
    computed(model[1].linear)
    with pytest.raises(RefusedError, match=r"layer '1\.linear' computes their weight anew each time; canonize"):
        trace(model, x)
    plain = canonize(model, x)
    assert trace(plain, x).layer("1.linear").weight == "1.linear.weight"
    torch.testing.assert_close(plain(x), model(x))


def test_what_is_said_of_a_cosine_head_helps():
    class Plain(nn.Module):
        def __init__(self, head):
            super().__init__()
            self.linear = nn.Linear(8, CLASSES, bias=False, dtype=torch.float64)
            self.linear.weight.data = F.normalize(head.weight.data)

        def forward(self, x):
            return self.linear(F.normalize(x.mean((2, 3))))

    model, x = ending(cosine), inputs("plain", batch=2)
    plain = nn.Sequential(model[0], Plain(model[1]))
    torch.testing.assert_close(plain(x), model(x))
    assert len(trace(plain, x).head) == CLASSES
