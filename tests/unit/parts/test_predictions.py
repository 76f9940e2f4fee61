"""Predictions as a noun: what is told of each image, as names, numbers, JSON values, csv and text."""

import csv
import json
import math

import pytest
import torch

from model_lego.parts.predictions import Predictions

#: Of three images one could not be read; logits of the others are logarithms of 8 : 1 : 1 and 1 : 3 : 4.
LOGITS = torch.tensor([[8.0, 1, 1], [math.nan] * 3, [1, 3, 4]]).log()
FOUND = Predictions(("a.jpg", "b.jpg", "c.jpg"), ("ant", "bee", "cat"), LOGITS, (None, "it holds no picture", None))


def test_classes_come_with_their_probabilities():
    assert FOUND.labels == (0, None, 2)
    assert FOUND.names == ("ant", None, "cat")
    assert FOUND.failed == {"b.jpg": "it holds no picture"}
    assert torch.allclose(FOUND.probabilities[[0, 2]], torch.tensor([[0.8, 0.1, 0.1], [1 / 8, 3 / 8, 1 / 2]]).double())
    assert FOUND.probabilities[1].isnan().all()
    assert FOUND.top(2)[1:] == ((), (("cat", pytest.approx(1 / 2)), ("bee", pytest.approx(3 / 8))))
    assert FOUND.top(9)[0] == (("ant", pytest.approx(0.8)), ("bee", pytest.approx(0.1)), ("cat", pytest.approx(0.1)))


def test_each_image_is_a_prediction():
    ant, broken, cat = FOUND
    assert (len(FOUND), FOUND[2].name) == (3, "cat")
    assert (ant.image, ant.label, ant.name, ant.error) == ("a.jpg", 0, "ant", None)
    assert ant.probability == pytest.approx(0.8)
    assert cat.probabilities.tolist() == FOUND.probabilities[2].tolist()
    assert (broken.label, broken.name, broken.error, broken.top()) == (None, None, "it holds no picture", ())
    assert math.isnan(broken.probability)


def test_the_first_of_two_equal_classes_is_the_answer_as_in_an_evaluation():
    tied = Predictions((0,), ("ant", "bee", "cat"), torch.tensor([[1.0, 2, 2]]), (None,))
    assert tied.labels == (1,)
    assert [name for name, _ in tied.top(3)[0]] == ["bee", "cat", "ant"]


def test_json_values_have_no_nan():
    told = FOUND.to_dict(top=2)
    assert told["classes"] == ["ant", "bee", "cat"]
    ant, broken, _ = told["predictions"]
    assert ant == {
        "file": "a.jpg",
        "class": "ant",
        "probability": pytest.approx(0.8),
        "top": [
            {"class": "ant", "probability": pytest.approx(0.8)},
            {"class": "bee", "probability": pytest.approx(0.1)},
        ],
    }
    assert broken == {"file": "b.jpg", "error": "it holds no picture"}
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert set(FOUND[0].to_dict(top=1)) == {"file", "class", "probability"}
    assert Predictions((7,), ("ant",), torch.zeros(1, 1), (None,)).to_dict()["predictions"][0]["image"] == 7


def test_csv_has_a_row_for_each_image_also_with_a_name_that_is_no_utf_8(tmp_path):
    odd = Predictions(("\udcff,\n.jpg",), ("ant", "bee"), torch.zeros(1, 2), (None,))
    odd.to_csv(tmp_path / "odd.csv", top=9)  # of two classes
    assert (
        (tmp_path / "odd.csv")
        .read_bytes()
        .startswith(b'file,class,probability,class_2,probability_2,error\r\n"\xff,\n')
    )
    FOUND.to_csv(tmp_path / "found.csv", top=2)
    with (tmp_path / "found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [(row["class"], row["class_2"], row["error"]) for row in rows] == [
        ("ant", "bee", ""),
        ("", "", "it holds no picture"),
        ("cat", "bee", ""),
    ]
    assert float(rows[0]["probability"]) == FOUND[0].probability


def test_text_is_short():
    assert str(FOUND).splitlines() == [
        "2 images: 1 × ant, 1 × cat; 1 could not be read",
        "a.jpg: ant 80.0 %, bee 10.0 %, cat 10.0 %",
        "b.jpg: it holds no picture",
        "c.jpg: cat 50.0 %, bee 37.5 %, ant 12.5 %",
    ]
    assert repr(FOUND) == "Predictions(2 images: 1 × ant, 1 × cat; 1 could not be read)"
    many = Predictions(tuple(range(99)), ("ant",), torch.zeros(99, 1), (None,) * 99)
    assert str(many).splitlines()[-1] == "… and 79 more"
    assert len(str(many).splitlines()) == 22
