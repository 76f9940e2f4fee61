"""Data in the classes of a network, in Python."""

import pytest
import torch

import model_lego as ml
from model_lego.data import batches, open_data
from model_lego.data.matched import matched
from model_lego.data.sets import DataSplit, in_memory
from model_lego.errors import BadConfig, EmptySelection, UnknownClass
from tests.support import wide
from tests.support.squares import CLASSES
from tests.support.tiny_models import planted

NETWORK = ("hen", "dog", "elk", "cat")


def data(*names):
    """Three images a class, the brightness of each being its number; of the first class one is measured."""
    labels = torch.arange(len(names)).repeat(3)
    pixels = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    return DataSplit(in_memory(pixels, labels), in_memory(pixels[:1], labels[:1]), names)


def test_images_get_the_labels_of_the_network_and_stay_in_order():
    with pytest.warns(UserWarning, match="has 2 of the 4 classes: 'Cat' is cat \\(3\\)"):
        found = matched(data("Cat", "dog"), NETWORK)
    assert found.class_names == NETWORK
    assert found.train.labels.tolist() == [3, 1, 3, 1, 3, 1]
    assert [round(float(255 * found.train.image(number)[0, 0, 0])) for number in found.train.numbers.tolist()] == list(
        range(6)
    )
    assert found.test.labels.tolist() == [3]
    assert found.present == ("dog", "cat")
    assert len(found.notes) == 1


def test_images_of_classes_that_are_left_out_are_not_there():
    found = matched(data("ant", "dog", "hen"), ("hen", "dog"))
    assert found.train.labels.tolist() == [1, 0] * 3
    assert found.train.numbers.tolist() == [1, 2, 4, 5, 7, 8]
    assert len(found.test) == 0
    behind = matched(data("ant", "dog", "hen"), ("hen", "dog"), more=True)
    assert (behind.class_names, behind.test.labels.tolist()) == (("hen", "dog", "ant"), [2])


def test_classes_may_be_numbered_only():
    assert matched(data("2", "0"), 4).class_names == ("0", "1", "2", "3")
    found = matched(data("cow", "3"), 4, class_map={"cow": 1})
    assert (found.class_names, found.present) == (("0", "cow", "2", "3"), ("cow", "3"))
    assert matched(data("a", "b"), 2).class_names == ("a", "b")
    with pytest.raises(UnknownClass, match="has 4 classes, but 2 are named"):
        matched(data("a", "b"), 4)


def test_a_class_map_wants_the_classes_of_a_network():
    with pytest.raises(BadConfig, match="give its classes, too"):
        open_data("digits", class_map={"0": 1})


def test_folders_of_photos_are_opened_in_the_classes_of_a_network(tmp_path):
    pytest.importorskip("timm")
    folder = wide.write_folders(tmp_path / "photos", dict(zip(CLASSES, wide.SYNSETS, strict=True)), 2)
    photos = open_data(folder, classes="imagenet")
    assert photos.notes[-1].startswith("the data has 4 of the 1000 classes: 'n01440764' is tench (0, n01440764)")
    assert (len(photos.class_names), photos.present) == (1000, wide.FOUR)
    assert sorted(set(photos.train.labels.tolist())) == list(wide.SYNSETS.values())
    with pytest.warns(UserWarning, match="taken as ImageNet's"):
        assert open_data(folder, classes=1000).class_names == photos.class_names


def test_a_component_of_the_classes_that_are_there_and_none_of_others():
    model, pixels, labels, _ = planted(4)
    names = ("red", "green", "blue", "grey")
    some = labels % 2 == 1
    half = DataSplit(*[in_memory(pixels[some].float(), labels[some] // 2)] * 2, ("green", "grey"))
    images = matched(half, names)
    part = ml.disassemble(
        model,
        batches(images.train),
        classes=images.present,
        class_names=images.class_names,
        repair="none",
        thresholds=ml.Thresholds(),
    )
    assert part.labels == (1, 3)
    report = ml.evaluate(part, batches(images.test), class_names=images.class_names)
    assert (report.counts, report.others, report.other_classes) == ((int(some.sum()) // 2,) * 2, 0, ())
    with pytest.raises(EmptySelection, match="2 classes have no sample in the batches: 'red', 'blue'"):
        ml.plan(model, batches(images.train), classes=names, class_names=names, thresholds=ml.Thresholds())
    with pytest.raises(EmptySelection, match="class 'red' has no sample in the batches"):
        ml.curve(model, batches(images.train), classes=("red", "grey"), class_names=names)
    with pytest.raises(EmptySelection, match="2 classes have no sample"):
        ml.attribute(model, batches(images.train), graph=ml.trace(model, pixels[:2]))


def test_only_classes_that_were_met_are_named_as_other_classes():
    model, pixels, labels, _ = planted(4)
    part = ml.disassemble(
        model, [(pixels, labels)], classes=[0, 1], class_names=tuple("abcd"), repair="none", thresholds=ml.Thresholds()
    )
    seen = labels != 3
    report = ml.evaluate(part, [(pixels[seen], labels[seen])], class_names=tuple("abcd"))
    assert report.other_classes == ("c",)
