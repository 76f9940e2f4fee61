"""Photos on pages: what is kept of right and wrong images, what a page says of them, how they lie in the file."""

import base64
import io
import json
import re
from dataclasses import replace

import pytest
import torch

import model_lego as ml
from model_lego.data.thumbnails import Photo
from model_lego.errors import BadConfig
from model_lego.report import confusion, illustrated, part_routes, write_report
from model_lego.report.answering import Answering
from model_lego.report.confusion import RIGHT, WRONG, Answered, Confusion
from model_lego.report.confusion_sections import confusion_sections
from model_lego.report.photos import Album, Pool, data_uri
from tests.support.tiny_models import planted

NAMES = ["red", "green & blue", "blue", "<b>grey</b>"]
MODEL, IMAGES, LABELS, _ = planted(4)


class Says(torch.nn.Module):
    """A network whose logits stand in the first pixels of the images."""

    def __init__(self, classes):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.classes = classes

    def forward(self, x):
        return self.weight * x.flatten(1)[:, : self.classes]


def counted(labels, logits, *, classes, names=None):
    """What a part takes images for whose logits are given."""
    part = ml.disassemble(
        MODEL,
        [(IMAGES, LABELS)],
        classes=[0, 1, 2][: len(classes)],
        class_names=NAMES,
        repair="none",
        thresholds=ml.Thresholds(),
    )
    images = torch.zeros(len(labels), *part.origin.input_shape)
    images.flatten(1)[:, : len(classes)] = torch.tensor(logits)
    part.module, part.classes = Says(len(classes)), tuple(classes)
    if classes[-1] == "none of these":  # learned from an assembly that has that class
        part.origin = replace(part.origin, settings={"distilled": [{"rejects": True}]})
    return confusion(
        part, [(images[:2], torch.tensor(labels[:2])), (images[2:], torch.tensor(labels[2:]))], class_names=names
    )


def made(shown, counts, classes=("a", "b")):
    return Confusion(tuple(classes), torch.tensor(counts), shown)


def answered(number, answer, probability, label="a"):
    return Answered(Photo(torch.zeros(1, 2, 2, dtype=torch.uint8), number, label, f"no. {number}"), answer, probability)


def test_the_surest_right_and_wrong_images_are_kept():
    logits = [[4, 0], [1, 0], [3, 0], [0, 5], [0, 2], [2, 0], [9, 0], [0, 9]]
    found = counted([0, 0, 0, 0, 0, 1, 0, 2], logits, classes=["a", "b"], names=["a", "b", "c"])
    assert found.counts.tolist() == [[4, 2], [1, 0], [0, 1]]
    assert [one.photo.number for one in found.shown[0, 0]] == [6, 0, 2, 1][:RIGHT]
    assert [(one.photo.number, one.answer, one.photo.label) for one in found.mistakes] == [
        (3, "b", "a"), (4, "b", "a"), (5, "a", "b"),
    ]  # fmt: skip
    expected = torch.tensor([logits[3], logits[4], logits[5]]).double().softmax(1).max(1).values
    assert [one.probability for one in found.mistakes] == pytest.approx(expected.tolist(), abs=1e-6)
    assert [(one.photo.number, one.photo.label) for one in found.others] == [(7, "c")]
    assert (found.asked, found.wrong) == (7, 3)


def test_so_many_are_kept_and_of_equally_sure_ones_the_first():
    found = counted([0] * 20 + [1] * 20, [[2, 0]] * 40, classes=["a", "b"])
    assert [one.photo.number for one in found.shown[0, 0]] == list(range(RIGHT))
    assert [one.photo.number for one in found.mistakes] == list(range(20, 20 + WRONG))


def test_none_of_these_is_right_for_other_classes():
    logits = [[4, 0], [0, 4], [0, 4], [4, 0]]
    found = counted([0, 0, 1, 1], logits, classes=["a", "none of these"], names=["a", "z"])
    assert found.counts.tolist() == [[1, 1], [0, 0], [1, 1]]
    assert [(one.photo.number, one.photo.label, one.answer) for one in found.mistakes] == [
        (1, "a", "none of these"), (3, "z", "a"),
    ]  # fmt: skip
    assert [one.photo.number for one in found.shown[2, 1]] == [2]
    assert found.others == ()
    assert (found.asked, found.wrong) == (4, 2)


def test_a_page_says_where_there_are_no_mistakes_and_no_images():
    text = "".join(
        one.body for one in confusion_sections(made({(0, 0): (answered(3, "a", 1.0),)}, [[5, 0], [0, 0], [0, 0]]))
    )
    assert "There are no mistakes among 5 images." in text
    assert "5 of 5 images are right" in text
    assert "there are no images of it" in text
    assert "100.0 %" in text


def test_images_that_are_no_pictures_leave_the_counts_alone():
    (section,) = confusion_sections(made({}, [[5, 1], [0, 4], [0, 0]]))
    assert section.anchor == "confusion"
    assert "<a" not in section.body
    assert "photo" not in section.body


def test_every_number_leads_to_a_photo_that_is_there_once():
    kinds = {(row, column): 40 + 10 * row + column for row in range(6) for column in range(6)}
    shown = {
        pair: tuple(answered(1000 * pair[0] + 100 * pair[1] + at, "abcdef"[pair[1]], 0.9 - at / 100) for at in range(4))
        for pair in kinds
    }
    text = "".join(one.body for one in confusion_sections(made(shown, [[9] * 6] * 6 + [[0] * 6], "abcdef")))
    anchors = re.findall(r'<figure class="photo" id="(.*?)"', text)
    assert len(anchors) == len(set(anchors))
    leads = re.findall(r'<a href="#(.*?)">', text)
    assert len(leads) == 36
    assert set(leads) <= set(anchors)
    assert "The surest mistake of each other kind" in text


def test_of_many_classes_the_pairs_that_are_mistaken_most_are_told():
    names = [f"class {number}" for number in range(50)]
    counts = torch.diag(torch.full((50,), 7))
    counts = torch.cat([counts, torch.zeros(1, 50, dtype=torch.int64)])
    counts[3, 4], counts[8, 2] = 5, 21
    text = confusion_sections(Confusion(tuple(names), counts, {}))[0].body
    cells = re.findall(r"<td[^>]*>(.*?)</td>", text)
    assert cells == ["class 8", "class 2", "21", "class 3", "class 4", "5"]


def test_what_was_counted_for_other_classes_is_refused(tmp_path):
    part = ml.disassemble(
        MODEL, [(IMAGES, LABELS)], classes=[0, 1], class_names=NAMES, repair="none", thresholds=ml.Thresholds()
    )
    with pytest.raises(BadConfig, match="counted for other classes"):
        write_report(part, tmp_path / "page.html", confused=made({}, [[1, 0], [0, 1], [0, 0]]))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 48)])
def test_a_small_image_lies_in_the_page_as_it_is(shape):
    from PIL import Image

    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)
    kind, plain = data_uri(pixels).split(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(plain))) as picture:
        back = torch.tensor(list(picture.tobytes()), dtype=torch.uint8).reshape(*shape[1:], shape[0])
    assert torch.equal(back.permute(2, 0, 1), pixels)


def test_a_larger_photo_is_a_small_file():
    from PIL import Image

    smooth = torch.linspace(0, 255, 96).to(torch.uint8).expand(3, 64, 96)
    kind, plain = data_uri(smooth).split(",")
    assert kind == "data:image/jpeg;base64"
    assert len(plain) < 4_000
    with Image.open(io.BytesIO(base64.b64decode(plain))) as picture:
        assert picture.size == (96, 64)


def test_what_there_is_no_room_for_is_left_out_and_said():
    photos = [
        Photo(torch.randint(0, 256, (3, 40, 40), dtype=torch.uint8), number, "x", str(number)) for number in range(3)
    ]
    room = len(data_uri(photos[0].pixels)) + len(data_uri(photos[1].pixels))
    album, pool = Album(room), Pool(room)
    figures = [album.figure(photo, "alt", "line") for photo in photos]
    assert [bool(figure) for figure in figures] == [True, True, False]
    assert album.note().startswith("1 more photos are left out")
    assert [pool.place(photo) for photo in (*photos, photos[1])] == [0, 1, -1, 1]
    assert pool.note() == "1 of 3 photos are left out, so that the page stays small."


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """The text of the page about an assembly of two parts, with photos everywhere."""
    batches = [(IMAGES, LABELS)]
    parts = [
        ml.disassemble(MODEL, batches, classes=classes, class_names=NAMES, repair="none", thresholds=ml.Thresholds())
        for classes in (NAMES[:2], NAMES[2:])
    ]
    joined = ml.assemble(parts)
    routes = part_routes(joined, batches, class_names=NAMES)
    routes = illustrated(joined, routes, batches, class_names=NAMES, images=20, most=2)
    file = tmp_path_factory.mktemp("pages") / "joined.html"
    write_report(joined, file, routes=routes, confused=confusion(joined, batches, class_names=NAMES))
    return file.read_text(encoding="utf-8"), routes


def test_photos_lie_in_the_file_once_for_all_parts(reported):
    text, routes = reported
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert 0 < len(data["photos"]) <= 20
    assert len({photo["uri"] for photo in data["photos"]}) == len(data["photos"])
    for diagram, one in zip(data["diagrams"], routes, strict=True):
        rows = torch.tensor(list(base64.b64decode(diagram["answers"]["rows"]))).reshape(-1, 2, 4)
        column = next(column for column in diagram["overview"]["columns"] if column["name"] == "fc1")
        layer = one.top.layer("fc2")
        for channel, row in zip(column["channels"], column["answers"], strict=True):
            numbers = (rows[row, :, 0] + 256 * rows[row, :, 1]).tolist()
            shown = [data["photos"][number]["name"] for number in numbers if number != 0xFFFF]
            assert shown == [photo.name for photo in one.top.of("fc2", layer.reads.tolist().index(channel))]
        logits = diagram["overview"]["columns"][-1]
        assert all(row >= 0 for row in logits["answers"])


def test_photos_are_said_in_words_and_names_stay_text(reported):
    text, _ = reported
    assert "<b>grey" not in text
    images = re.findall(r"<img [^>]*>", text)
    assert images
    assert all(re.search(r'alt="image no. \d+: [^"]+"', image) for image in images)
    assert all(re.search(r'src="data:image/png;base64,[^"]+"', image) for image in images)
    assert "img-src data:" in text


def test_columns_of_every_table_have_labels_of_their_own(reported):
    text, _ = reported
    for head in re.findall(r"<thead>(.*?)</thead>", text, re.DOTALL):
        labels = re.findall(r"<th[^>]*>(.*?)</th>", head)
        assert len(labels) == len(set(labels))
        assert not any("…" in label for label in labels)


class Residual(torch.nn.Module):
    """A stream of two channels that the second convolution reads, and the last layer once it has written to it."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = torch.nn.Conv2d(3, 2, 1), torch.nn.Conv2d(2, 2, 1)
        self.fc = torch.nn.Linear(2, 2)

    def forward(self, x):
        x = self.conv1(x)
        return self.fc((x + self.conv2(x)).mean((2, 3)))


def test_a_channel_shows_what_it_answers_to_as_it_is_read_next():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model, images = Residual().eval(), torch.rand(12, 3, 4, 4)
    labels, graph = torch.arange(12) % 2, ml.trace(model, images[:2])
    stats = ml.attribute(model, [(images, labels)], graph=graph, sampling="all")
    routes = ml.decision_routes(model, stats, [0, 1], graph=graph)
    top, pool = ml.top_images(model, [(images, labels)], graph=graph), Pool(10**6)
    answering = Answering(routes, top, pool)
    stream = routes.layer("conv1").writes
    for done, reader in ((1, "conv2"), (2, "fc")):
        layer = top.layer(reader)
        for channel, row in zip(stream.tolist(), answering.rows_of(stream, done), strict=True):
            shown = [pool.photos[number]["name"] for number, *_ in answering.photos_of(channel, done)]
            assert shown == [photo.name for photo in top.of(reader, layer.reads.tolist().index(channel))]
            assert row >= 0
    assert answering.rows_of(stream, 1) != answering.rows_of(stream, 2)
    assert answering.rows_of(stream, 3) == [-1, -1]  # behind the last layer nothing reads it
