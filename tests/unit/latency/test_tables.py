"""Tables of times by width: what they say between the widths that were measured, their files, what is no table."""

import json
from dataclasses import replace

import pytest
import torch

from model_lego import Device, load_latency_table, save_latency_table
from model_lego.errors import BadConfig
from model_lego.latency.alignment import PROBED, multiple_of
from model_lego.latency.smoothing import monotone
from model_lego.latency.table import LatencyTable, LayerTimes

TIMES = LayerTimes((8, 16), (8, 16, 32), (((1.0, 2.0, 4.0), (3.0, 5.0, 9.0)),))
TABLE = LatencyTable(Device("torch", (2,), 3), "2.1", "some", 8, (0.5,), {"conv2d(3x3)": TIMES}, {"abc": (7.0,)})


def test_times_are_straight_between_widths_with_their_slopes():
    time, by_input, by_output = TIMES.at(12, 24)[:, 0].tolist()
    assert time == pytest.approx((2 + 4 + 5 + 9) / 4)
    assert by_input == pytest.approx(((5 + 9) / 2 - (2 + 4) / 2) / 8)
    assert by_output == pytest.approx(((4 + 9) / 2 - (2 + 5) / 2) / 16)
    for row, inputs in enumerate(TIMES.inputs):
        for column, outputs in enumerate(TIMES.outputs):
            assert float(TIMES.at(inputs, outputs)[0, 0]) == TIMES.milliseconds[0][row][column]


def test_narrower_than_measured_a_layer_takes_what_the_narrowest_does():
    assert TIMES.at(1, 3)[:, 0].tolist() == [1.0, 0.0, 0.0]


def test_a_depthwise_layer_has_one_width():
    times = LayerTimes((0,), (4, 8), (((1.0, 3.0),), ((2.0, 6.0),)))
    assert times.at(0, 6).tolist() == [[2.0, 4.0], [0.0, 0.0], [0.5, 1.0]]
    assert times.reaches(500, 8)
    assert not times.reaches(8, 9)


def test_smoothed_times_never_fall_and_monotone_ones_stay():
    noisy = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    smooth = monotone(noisy)
    assert bool((smooth.diff(dim=1) >= 0).all())
    assert bool((smooth.diff(dim=2) >= 0).all())
    assert torch.equal(monotone(smooth), smooth)
    assert not torch.equal(noisy, smooth)


@pytest.mark.parametrize("step", [1, 4, 8, 16])
def test_the_steps_in_which_a_device_takes_widths_are_found(step):
    times = [0.1 + -(-width // step) * step * 0.01 for width in PROBED]
    noise = (0.002 * torch.randn(len(times), generator=torch.Generator().manual_seed(1))).tolist()
    assert multiple_of(PROBED, [time + more for time, more in zip(times, noise, strict=True)]) == step


def test_where_odd_widths_are_slow_the_next_even_one_costs_less():
    assert multiple_of(PROBED, [width * (1 if width % 8 == 0 else 3) for width in PROBED]) >= 8


def test_no_width_is_better_where_all_take_as_long():
    assert multiple_of(PROBED, [1.0 for _ in PROBED]) == 1


def test_a_saved_table_is_the_same(tmp_path):
    save_latency_table(TABLE, tmp_path / "new" / "phone.json")
    assert load_latency_table(tmp_path / "new" / "phone.json") == TABLE
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["phone.json"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"multiple": 0}, "the multiple is a number from 1 on"),
        ({"overhead": [1, 2]}, "an overhead for each batch"),
        ({"networks": {"abc": []}}, "network abc has no time for each batch"),
        ({"layers": {"linear": {"inputs": [8, 4], "outputs": [1], "milliseconds": [[[1], [2]]]}}}, "each larger than"),
        ({"layers": {"linear": {"inputs": [4], "outputs": [1], "milliseconds": [[[1], [2]]]}}}, "batches x inputs"),
        ({"layers": {"linear": {"inputs": [4], "outputs": [1], "milliseconds": [[[-1]]]}}}, "numbers from 0 on"),
        ({"layers": {"linear": {"inputs": [4], "outputs": [1], "milliseconds": []}}}, "times of 0 batches"),
        ({"device": {"runtime": "torch", "batches": [0]}}, "whole numbers from 1 on"),
        ({"device": "torch"}, "device: "),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_place(tmp_path, change, words):
    file = tmp_path / "table.json"
    save_latency_table(TABLE, file)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(BadConfig, match=rf"table.json' is no latency table: .*{words}"):
        load_latency_table(file)


def test_a_file_that_is_not_there_or_no_json_is_refused(tmp_path):
    with pytest.raises(BadConfig, match="cannot be read: No such file"):
        load_latency_table(tmp_path / "none.json")
    (tmp_path / "torn.json").write_text("{")
    with pytest.raises(BadConfig, match="is no latency table"):
        load_latency_table(tmp_path / "torn.json")


def test_a_table_lacks_kinds_and_widths_that_nobody_timed():
    needed = [("conv2d(3x3)", 16, 32), ("conv2d(3x3)", 16, 33), ("linear", 1, 1), ("linear", 2, 2)]
    assert TABLE.lacks(needed) == ["conv2d(3x3)", "linear"]
    assert TABLE.lacks(needed[:1]) == []
    assert replace(TABLE, layers={}).also({"linear": TIMES}, {}).lacks(needed[2:]) == []
