"""Statistics on disk: they come back, they add up, and are refused where damaged or of another network."""

import json
from pathlib import Path

import pytest
import torch

from model_lego import attribute, load, load_statistics, locate, merge, save_statistics, trace
from model_lego.attribution import ContributionStats
from model_lego.disassembly.disassembling import plan
from model_lego.errors import BadConfig, CorruptComponent, OutputExists, SchemaTooNew, UnknownClass
from tests.support.plans import traced
from tests.support.tiny_models import CLASSES, build, inputs

NAMES = ("plain", "residual", "grouped", "depthwise")


def samples(name: str, count: int = 40, seed: int = 3):
    return inputs(name, batch=count, seed=seed), torch.arange(count) % CLASSES


def stats_of(name: str, batches, classes=None) -> ContributionStats:
    model, graph = traced(name)
    return attribute(model, batches, graph=graph, sampling="all", classes=classes)


def numbers(stats: ContributionStats) -> dict[str, torch.Tensor]:
    return {f"{layer} {label}": stats.mean(layer, label) for layer in stats.layers for label in stats.classes}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", NAMES)
def test_they_come_back_and_twice_saved_is_the_same_bytes(name, tmp_path):
    stats = stats_of(name, [samples(name)])
    save_statistics(stats, tmp_path / "one")
    save_statistics(stats, tmp_path / "two")
    back = load_statistics(tmp_path / "one")
    save_statistics(back, tmp_path / "three")
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "three")
    assert sorted(contents(tmp_path / "one")) == ["manifest.json", "statistics.safetensors"]
    assert (back.classes, back.counts, back.sampling, back.source) == (
        stats.classes, stats.counts, stats.sampling, stats.source,
    )  # fmt: skip
    assert all(torch.equal(value, numbers(stats)[key]) for key, value in numbers(back).items())
    graph = traced(name)[1]
    for classes in ([1], [4, 0]):
        found, expected = (locate(graph, each, classes=classes) for each in (back, stats))
        assert torch.equal(found.keep, expected.keep)


@pytest.mark.parametrize("name", NAMES)
def test_statistics_of_shares_add_up_to_those_of_all(name):
    images, labels = samples(name)
    whole = stats_of(name, [(images, labels)])
    first = stats_of(name, [(images[:15], labels[:15])])
    joined = merge(first, stats_of(name, [(images[15:], labels[15:])]))
    assert (joined.classes, joined.counts) == (whole.classes, whole.counts)
    for key, value in numbers(joined).items():
        torch.testing.assert_close(value, numbers(whole)[key], rtol=1e-12, atol=1e-12)


def test_statistics_of_other_classes_are_joined():
    images, labels = samples("residual")
    whole = stats_of("residual", [(images, labels)])
    first, second = (stats_of("residual", [(images, labels)], classes) for classes in ([3, 1], [4, 0, 2]))
    joined = merge(first, second)
    assert joined.classes == whole.classes
    assert joined.counts == whole.counts
    for key, value in numbers(joined).items():
        torch.testing.assert_close(value, numbers(whole)[key], rtol=1e-12, atol=1e-12)


def test_what_does_not_add_up_is_refused():
    images, labels = samples("plain")
    stats = stats_of("plain", [(images, labels)])
    other = build("plain", seed=5)
    foreign = attribute(other, [(images, labels)], graph=trace(other, images), sampling="all")
    with pytest.raises(BadConfig, match="two networks"):
        merge(stats, foreign)
    model, graph = traced("plain")
    drawn = attribute(model, [(images, labels)], graph=graph, sampling="random", per_class=2)
    with pytest.raises(BadConfig, match="all samples, the other from random ones"):
        merge(stats, drawn)


def test_statistics_of_another_network_are_refused_by_plan():
    images, labels = samples("plain")
    stats = stats_of("plain", [(images, labels)])
    with pytest.raises(BadConfig, match="taken from another network"):
        plan(build("plain", seed=5), [(images, labels)], classes=[1], stats=stats)
    assert plan(traced("plain")[0], [(images, labels)], classes=[1], stats=stats).labels == (1,)


def test_a_class_that_was_not_summed_is_said(tmp_path):
    images, labels = samples("plain")
    save_statistics(stats_of("plain", [(images, labels)], [0, 1]), tmp_path / "two")
    with pytest.raises(UnknownClass, match=r"class 3 is not in the statistics, which have \[0, 1\]"):
        plan(traced("plain")[0], [(images, labels)], classes=[3], stats=load_statistics(tmp_path / "two"))


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    stats = stats_of("plain", [samples("plain")])
    save_statistics(stats, tmp_path / "stats")
    before = contents(tmp_path / "stats")
    with pytest.raises(OutputExists):
        save_statistics(stats, tmp_path / "stats")
    assert contents(tmp_path / "stats") == before
    save_statistics(stats_of("plain", [samples("plain", seed=9)]), tmp_path / "stats", overwrite=True)
    assert contents(tmp_path / "stats") != before


def changed(folder: Path, **values) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | values))


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (
            lambda folder: (folder / "statistics.safetensors").write_bytes(b"x"),
            CorruptComponent,
            "copy the folder again",
        ),
        (lambda folder: (folder / "statistics.safetensors").unlink(), CorruptComponent, "is missing"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), CorruptComponent, "no schema number"),
        (lambda folder: changed(folder, schema=99), SchemaTooNew, "schema 99"),
        (lambda folder: changed(folder, kind="component"), CorruptComponent, "where statistics was expected"),
        (lambda folder: changed(folder, classes=[0, 1]), CorruptComponent, "2 classes but 5 counts of samples"),
        (lambda folder: changed(folder, counts=[1], classes=[0]), CorruptComponent, "and 1 classes"),
        (lambda folder: changed(folder, code="import os"), CorruptComponent, "code"),
    ],
)
def test_damaged_statistics_are_refused_in_words(damage, error, words, tmp_path):
    save_statistics(stats_of("plain", [samples("plain")]), tmp_path / "stats")
    damage(tmp_path / "stats")
    with pytest.raises(error, match=words):
        load_statistics(tmp_path / "stats")


def test_statistics_are_no_component(tmp_path):
    save_statistics(stats_of("plain", [samples("plain")]), tmp_path / "stats")
    with pytest.raises(CorruptComponent, match="is of kind 'statistics', where component or assembly was expected"):
        load(tmp_path / "stats")
