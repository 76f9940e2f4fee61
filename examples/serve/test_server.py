"""The whole server but its socket: answers, each refusal by its status and a sentence, health and metrics."""

import io
import threading

import pytest
from batching import Batcher
from classifier import BadModel, Classifier
from PIL import Image

pytest.importorskip("starlette", reason="starlette is not installed: requirements-test.txt names what the server needs")
from server import Limits, application
from starlette.testclient import TestClient


def photo(colour="green", side=16):
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def client(classifier):
    with TestClient(application(classifier, Limits(bytes=5000, pixels=10_000, seconds=2, requests=2))) as client:
        yield client


def test_the_bytes_of_an_image_are_classified(client):
    answer = client.post("/classify", content=photo(), headers={"content-type": "image/png"})
    assert answer.status_code == 200
    said = answer.json()
    assert said["class"] == "green"
    assert said["probability"] == pytest.approx(1)
    assert [row["class"] for row in said["top"]] == ["green", "red", "blue"]


def test_a_form_is_classified_and_as_many_classes_named_as_are_wanted(client):
    answer = client.post("/classify?top=1", files={"image": photo("red")})
    assert [row["class"] for row in answer.json()["top"]] == ["red"]


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, {"content": b""}),
        (400, {"files": {"first": b"1", "second": b"2"}}),
        (400, {"files": {"first": (None, "a field")}}),
        (400, {"content": photo(), "params": {"top": "0"}}),
        (400, {"content": b"x", "headers": {"content-type": "multipart/form-data"}}),
        (413, {"content": b"0" * 5001}),
        (413, {"content": iter([b"0" * 5001])}),  # its length is not announced
        (413, {"files": {"image": b"0" * 10_000}}),
        (413, {"content": photo(side=101)}),
        (415, {"json": {"image": "photo.jpg"}}),
        (415, {"content": b"hello"}),
        (422, {"content": photo()[:60]}),
    ],
)
def test_a_refusal_has_its_status_and_a_sentence(client, status, request_):
    answer = client.post("/classify", **request_)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"]


def test_other_addresses_and_methods_are_refused_as_json(client):
    assert (client.get("/classify").status_code, client.get("/else").status_code) == (405, 404)
    assert client.get("/else").json() == {"error": "Not Found"}


def test_more_requests_than_are_answered_at_once_have_503(classifier):
    entered, go_on = threading.Barrier(2), threading.Event()

    class Slow:
        classes, colours, resizing, digest = classifier.classes, 3, classifier.resizing, ""

        def __call__(self, images):
            entered.wait(5)
            go_on.wait(5)
            return classifier(images)

    with TestClient(application(Slow(), Limits(requests=1))) as client:
        answers = []
        first = threading.Thread(target=lambda: answers.append(client.post("/classify", content=photo())))
        first.start()
        entered.wait(5)
        second = client.post("/classify", content=photo())
        go_on.set()
        first.join(5)
    assert (second.status_code, second.headers["retry-after"]) == (503, "1")
    assert answers[0].status_code == 200


def test_a_network_that_fails_is_500_and_the_next_request_is_answered(classifier, monkeypatch):
    fails = [True]

    class Sometimes:
        classes, colours, resizing, digest = classifier.classes, 3, classifier.resizing, ""

        def __call__(self, images):
            if fails.pop():
                raise MemoryError
            return classifier(images)

    fails.insert(0, False)
    with TestClient(application(Sometimes(), Limits())) as client:
        assert [client.post("/classify", content=photo()).status_code for _ in range(2)] == [500, 200]


def test_health_says_what_is_served_and_fails_where_nothing_is_classified_any_more(client, monkeypatch):
    said = client.get("/health")
    assert (said.status_code, said.json()["classes"]) == (200, ["red", "green", "blue"])
    monkeypatch.setattr(Batcher, "alive", False)
    assert client.get("/health").status_code == 503
    assert client.post("/classify", content=photo()).json() == {"error": "the server is stopping"}


def test_metrics_count_what_was_answered(client):
    client.post("/classify", content=photo())
    client.post("/classify", content=b"hello")
    text = client.get("/metrics").text
    for line in ('requests_total{status="200"} 1.0', 'requests_total{status="415"} 1.0', "batch_images_sum 1.0"):
        assert line in text
    assert "classify_under_way 0.0" in text


def test_a_file_that_is_none_or_takes_no_pictures_is_refused(tmp_path, rgb_file):
    onnx = pytest.importorskip("onnx")
    (tmp_path / "other").write_text("no network")
    with pytest.raises(BadModel, match="cannot be opened"):
        Classifier.open(tmp_path / "other")
    model = onnx.load(rgb_file)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(BadModel, match="--with-preprocessing"):
        Classifier.open(tmp_path / "bare.onnx")
