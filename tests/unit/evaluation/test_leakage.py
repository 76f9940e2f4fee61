"""Calibration images among the test images: what is noted of them, where it is kept, and that evaluate says so."""

import functools
import itertools

import pytest
import torch

from model_lego import Budget, assemble, disassemble, evaluate, load, repair, save
from model_lego.digest import SEEN, image_digests, packed, unpacked
from model_lego.errors import CorruptComponent, ShapeMismatch
from model_lego.parts.preprocessing import Preprocessing
from model_lego.repairing.layerwise import RepairSettings
from tests.support.tiny_models import IMAGE, build

NAMES = list("01234")


def pixels(seed, number, labels=(0, 1)):
    """Batches of 8-bit pixels scaled to 0..1, of some classes in turn."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (number, *IMAGE), generator=generator).double() / 255
    return list(zip(images.split(7), torch.tensor(labels).repeat(number)[:number].split(7), strict=True))


def cut(calibration=None, **options):
    common = {"classes": [0, 1], "sampling": "all", "preprocessing": Preprocessing(), "class_names": NAMES}
    return disassemble(build("plain"), pixels(1, 40, range(4)), calibration=calibration, **(common | options))


def overlap(part, batches, **options):
    report = evaluate(part, batches, **options)
    return report.overlap, [note for note in report.notes if "calibration" in note]


def test_an_image_has_one_digest_in_every_type_that_holds_its_pixels():
    images = torch.arange(256 * 3).reshape(1, 3, 16, 16) % 256
    scaled = images.double() / 255
    found = {image_digests(scaled.to(dtype))[0] for dtype in (torch.float64, torch.float32, torch.float16)}
    assert found == set(image_digests(scaled * (1 + 1e-6)))
    for place in itertools.product((0,), (0, 2), (0, 15), (7,)):
        other = images.clone()
        other[place] += 1 - 2 * (other[place] > 127)
        assert image_digests(other / 255)[0] not in found
    assert image_digests(scaled.reshape(1, 3, 8, 32))[0] not in found
    assert image_digests(images.float())[0] not in found  # 0..255 are other images than 0..1, not all of them white
    assert len(set(image_digests(torch.tensor([[200.0], [201.0]])))) == 2


def test_digests_are_packed_in_any_order_and_come_back():
    some = {bytes([number]) * 8 for number in range(20)}
    assert unpacked(packed(sorted(some))) == unpacked(packed([*sorted(some)[::-1], *some])) == some
    assert packed(sorted(some)) == packed(sorted(some)[::-1])
    assert unpacked(packed([])) == set()
    for damaged in ("AAAA", "not base64!", 3, None, ["AAAA"], "ä"):
        with pytest.raises(CorruptComponent, match="calibration images"):
            unpacked(damaged)


def test_images_of_the_repair_are_recognised_among_the_test_images():
    used, fresh = pixels(2, 20), pixels(3, 30)
    part = cut(used)
    hits, notes = overlap(part, [*fresh, *used[:2]])
    assert hits == 14
    assert notes[0].startswith("14 of 44 test images were used for calibration of the component")
    assert overlap(part, fresh) == (0, [])
    assert overlap(cut(repair="none"), pixels(1, 40), class_names=NAMES) == (0, [])
    assert overlap(part, [(images.float(), labels) for images, labels in used])[0] == 20
    assert evaluate(part, used).to_dict()["overlap"] == 20


def test_only_images_that_were_drawn_count():
    batches = pixels(1, 40, range(4))
    part = cut()
    hits, _ = overlap(part, batches, class_names=NAMES)
    assert hits == len(unpacked(part.origin.settings[SEEN])) == 20
    few = [(images[:1], labels[:1] * 0) for images, labels in batches]
    assert len(unpacked(cut(few).origin.settings[SEEN])) == len(few)


def test_a_second_repair_adds_its_images():
    first, second = pixels(2, 10), pixels(3, 12)
    part = repair(cut(first), build("plain"), second, method=RepairSettings(method="mean"))
    assert overlap(part, [*first, *second, *pixels(4, 5)])[0] == 22


def test_images_that_a_budget_was_searched_with_count():
    batches = pixels(1, 40, range(4))
    part = cut(pixels(2, 9), repair="none", budget=Budget(params=0.5))
    assert overlap(part, [*pixels(2, 9), *batches], class_names=NAMES)[0] == 9
    assert overlap(cut(repair="none", budget=Budget(params=0.5)), batches, class_names=NAMES)[0] == 20


def test_images_are_told_before_they_are_prepared():
    used = pixels(2, 20)
    half = Preprocessing(mean=(0.5,) * IMAGE[0], std=(0.2,) * IMAGE[0])
    assert overlap(cut(used, preprocessing=half), used)[0] == 20
    large = [(torch.nn.functional.interpolate(images, scale_factor=2.0), labels) for images, labels in used]
    part = cut(large, preprocessing=Preprocessing(size=IMAGE[1:]))
    assert overlap(part, large)[0] == 20
    with pytest.raises(ShapeMismatch, match=r"takes \(3, any, any\)"):
        evaluate(part, [(images[:, :1].repeat(1, 5, 1, 1), labels) for images, labels in large])


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_an_assembly_tells_whose_calibration_it_was_also_after_loading(tmp_path, layout):
    parts = [cut(pixels(2, 14)), cut(pixels(3, 14, (2, 3)), classes=[2, 3])]
    joint = assemble(parts, calibration=pixels(4, 28, range(4)), layout=layout, class_names=NAMES)
    save(joint, tmp_path / "joint")
    again = load(tmp_path / "joint", factory=functools.partial(build, "plain"))
    for one in (joint, again):
        hits, notes = overlap(one, [*pixels(2, 7), *pixels(4, 7, range(4))])
        assert hits == 14
        assert "of the assembly and part 1," in notes[0]
    assert SEEN not in (tmp_path / "joint/README.md").read_text()


def test_a_thousand_images_take_little_room():
    assert len(packed(image_digests(torch.arange(1000.0)[:, None]))) < 12_000
