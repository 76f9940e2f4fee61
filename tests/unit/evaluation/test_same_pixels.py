"""predict and evaluate see the same pixels of the same files: the same logits, bit for bit, and the same confusions."""

import pytest
import torch
from PIL import Image

from model_lego.data import batches, open_data
from model_lego.evaluation.baselines import logits_of
from model_lego.evaluation.evaluating import evaluate
from model_lego.parts.assembly import Assembly, Head
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import common_preprocessing, taken_by
from model_lego.parts.preprocessing import Preprocessing
from model_lego.report import confusion
from tests.support.handmade_parts import reading_assembly, tiny_component

ORIENTATION = 0x0112
CLASSES = ("bee", "dog")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Photos of two classes, no two of one form: sizes, a camera held sideways, grey, an alpha channel, 16 bits."""
    root = tmp_path_factory.mktemp("photos")
    generator = torch.Generator().manual_seed(0)
    for number in range(16):
        part, name = ("train", "test")[number % 2], CLASSES[number // 2 % 2]
        pixels = torch.randint(0, 256, (20 + number, 40 - number, 4), dtype=torch.uint8, generator=generator).numpy()
        (root / part / name).mkdir(parents=True, exist_ok=True)
        path = root / part / name / f"{number:02}"
        if number < 6:
            exif = Image.Exif()
            exif[ORIENTATION] = 6
            Image.fromarray(pixels[:, :, :3]).save(path.with_suffix(".jpg"), exif=exif)
        elif number < 10:
            Image.fromarray(pixels[:, :, 0]).save(path.with_suffix(".png"))
        elif number < 14:
            Image.fromarray(pixels).save(path.with_suffix(".png"))
        else:
            Image.fromarray(257 * pixels[:, :, 0].astype("uint16")).save(path.with_suffix(".png"))
    return root


def cut(preprocessing, *, seed=0, classes=CLASSES):
    like = tiny_component(seed=seed)
    return Component(
        like.module, classes=classes, labels=(0, 1), origin=like.origin, preprocessing=preprocessing
    ).eval()


def normal(**geometry):
    return Preprocessing((0.1, 0.2, 0.3), (0.5, 0.25, 1.0), **geometry)


def unlike():
    """An assembly whose parts take images of other sizes and normalisations, one of them the middle of a photo."""
    parts = [cut(normal(size=(8, 9))), cut(normal(size=14, crop=12), seed=1, classes=("elk", "fox"))]
    return Assembly(parts, layout="parallel", classes=(*CLASSES, "elk", "fox"), head=Head.identity(4)).eval()


PARTS = {
    "resized": lambda: cut(normal(size=(8, 9))),
    "shorter side and crop": lambda: cut(normal(size=12, crop=(8, 10))),
    "bicubic": lambda: cut(normal(size=10, interpolation="bicubic")),
    "float64": lambda: cut(normal(size=(8, 9))).double(),
    "parts that differ": unlike,
    "none of these": reading_assembly,
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_predictions_over_a_folder_are_those_of_its_evaluation(root, part):
    part = part()
    split = open_data(str(root), preprocessing=common_preprocessing(part), channels=taken_by(part)[0])
    test = batches(split.test, batch_size=3)
    with torch.no_grad():
        expected = torch.cat([logits_of(part, images, None) for images, _ in test])
    found = part.predict(root / "test", batch_size=3)
    assert torch.equal(found.logits, expected)

    counts = torch.zeros(len(part.classes), dtype=torch.int64)
    right = torch.zeros_like(counts)
    for label, answer in zip(split.test.labels.tolist(), found.labels, strict=True):
        counts[label] += 1
        right[label] += label == answer
    report = evaluate(part, test)
    assert report.counts == tuple(counts.tolist())
    assert report.rows[0].per_class[:2] == tuple((100 * right[:2] / counts[:2]).tolist())
    assert torch.equal(
        confusion(part, test).counts[:-1].sum(0), torch.bincount(torch.tensor(found.labels), minlength=len(counts))
    )
