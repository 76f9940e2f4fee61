"""A report as text."""

import torch

from model_lego.evaluation.evaluating import evaluate
from model_lego.parts.assembly import Head
from model_lego.parts.origin import Cost
from tests.support.pixel_networks import JOINED, WHOSE, Pixels, assembly, batch, component, pets


def test_a_report_prints_as_aligned_text_that_fits_a_terminal():
    names = [f"a class with quite a long name, number {number}" for number in range(30)]
    part = component(Pixels(*range(30)), names, channels=30, cost=Cost(0, 1_234_567, 0))
    data = [(torch.eye(30)[:, :, None, None], torch.arange(30))]
    other = pets(Pixels(*range(30)), columns=tuple(range(30)), note="said about it " * 10)
    text = str(evaluate(part, data, baselines=[other]))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    table = next(block.splitlines() for block in text.split("\n\n") if "ECE" in block)
    assert len({len(line) for line in table}) == 1
    assert table[0].split() == ["accuracy", "95", "%", "difference", "agrees", "ECE", "AUROC"]
    assert table[1].split() == ["component", "100.00", "%", "100.0-100.0", "-", "-", "91.4", "1.0000"]
    assert table[2].split()[:4] == ["other", "100.00", "%", "100.0-100.0"]
    costs = next(block.splitlines() for block in text.split("\n\n") if "parameters" in block)
    assert costs[1].split() == ["component", "0", "1.23M", "0B"]
    assert "… and 10 more classes" in lines
    joint = str(evaluate(assembly("parallel", Head.identity(4)), [batch(JOINED, WHOSE)]))
    rows = [line.split() for line in joint.splitlines()]
    assert ["1", "(a,", "b)", "4", "75.00", "%", "50.00", "%", "25.00", "%"] in rows
    assert "AUROC" not in joint
