"""The benchmark of repair: which images are measured, what it says of gaps and of recorded figures."""

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("benchmarks")

from benchmarks import repair
from benchmarks.accuracy import repair_page

METHODS = {"none": [42.0], "ridge": [88.0]}
MEASURED = {
    "parameters_percent": 11.2, "restricted": 90.0, "images": 300, "held_out_images": 900, "methods": METHODS,
}  # fmt: skip


def test_numbers_of_images_that_there_are_not_are_left_out():
    case = SimpleNamespace(accuracy=lambda images, _: float(len(set(images.tolist()))))
    found = repair.counted(case, torch.arange(3600))
    assert found == {count: [float(count)] * 3 for count in ("10", "30", "100", "300", "1000")}
    assert "5000" in repair.counted(case, torch.arange(6000))


def test_each_seed_draws_images_of_its_own():
    images = torch.arange(3600)
    first, second = (repair.drawn(images, 30, seed).tolist() for seed in (0, 1))
    assert first != second
    assert first == repair.drawn(images, 30, 0).tolist()


def test_what_earlier_versions_measured_of_a_network_stays_beside_what_is_measured_now(monkeypatch):
    noted = []
    monkeypatch.setattr(repair.page, "last", lambda _: {"a": {"fitted": {"10": {}}, "rows": {"3": [1.0]}}, "b": {}})
    monkeypatch.setattr(repair.page, "write", lambda: None)
    monkeypatch.setattr(repair, "record", lambda _, found, **options: noted.append(found["tables"]))
    repair.note("a", {"rows": {"3": [2.0]}})
    assert noted == [{"a": {"fitted": {"10": {}}, "rows": {"3": [2.0]}}, "b": {}}]


def test_the_tables_of_repair_have_gaps_where_nothing_was_measured():
    second = MEASURED | {"methods": {"ridge": [70.0]}, "of its classes": {"10": [60.0, 70.0, 80.0]}}
    text = repair_page.text({"a": MEASURED, "b": second})
    assert "| none | 42.0 ± 3.2 |  |\n| ridge | 88.0 ± 2.1 | 70.0 ± 3.0 |\n" in text
    assert "| 10 |  | 70.0 ± 3.0 (60.0 to 80.0) |\n" in text
    assert "as by default" not in text


def test_other_ways_to_fit_are_told_by_what_they_change_on_the_same_samples():
    few = {
        "as by default": {"right": [70.0, 80.0], "off": [10.0, 20.0]},
        "to the source's sum": {"right": [71.0, 83.0], "off": [5.0, 16.0]},
    }
    second = MEASURED | {"fitted": {"10": few, "300": {"as by default": {"right": [90.0], "off": [1.0]}}}}
    text = repair_page.text({"a": MEASURED, "b": second})
    assert "| 10 images: as by default |  | 75.0 ± 2.8 (70.0 to 80.0) |\n" in text
    assert "| 10 images: to the source's sum |  | +2.0 ± 1.0 |\n" in text
    assert "| 10 images: as by default |  | 15.00 % |\n| 10 images: to the source's sum |  | 0.65 ± 0.15 |\n" in text
    assert "| 300 images: as by default |  | 90.0 ± 2.0 |\n| 300 images: to the source's sum |  |  |\n" in text
