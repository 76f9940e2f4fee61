"""Quantised networks, and those being trained for it, are refused as that, with what to do."""

import pytest
import torch
from torch import nn
from torch.ao import quantization

from model_lego import diagnose
from model_lego.errors import RefusedError
from tests.support.tiny.streams import Head, unit
from tests.support.tiny_models import inputs

pytestmark = [pytest.mark.filterwarnings("ignore")]  # torch tells of another package that does the same


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(quantization.QuantStub(), unit(3, 8), Head(8), quantization.DeQuantStub()).eval()


def static(x):
    model = network()
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    prepared = quantization.prepare(model)
    prepared(x)
    return quantization.convert(prepared)


def dynamic(x):
    return quantization.quantize_dynamic(network(), {nn.Linear}, dtype=torch.qint8)


def in_training(x):
    model = network().train()
    model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    prepared = quantization.prepare_qat(model)
    prepared(x)
    return prepared.eval()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (static, "layer '1.0' is quantised to whole numbers; take the float network apart"),
        (dynamic, "layer '2.linear' is quantised to whole numbers; take the float network apart"),
        (in_training, r"rounds values for quantisation \(.*FakeQuantize\); take the float network apart"),
    ],
)
def test_a_quantised_network_is_refused_as_that(make, message):
    x = inputs("plain", dtype=torch.float32)
    with pytest.raises(RefusedError, match=message):
        diagnose(make(x), x)


def test_a_network_that_is_only_being_observed_is_what_it_was():
    model, x = network(), inputs("plain", dtype=torch.float32)
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    assert diagnose(quantization.prepare(model), x).layers == 2
