"""What differs between two saved parts."""

from dataclasses import replace

from model_lego.digest import SEEN, packed
from model_lego.store import inspect, save
from model_lego.store.comparing import differences
from tests.support.handmade_parts import tiny_assembly, tiny_component


def told(folder, one, other):
    manifests = [inspect(save(part, folder / str(number))) for number, part in enumerate((one, other))]
    return {each.place: (each.one, each.other) for each in differences(*manifests)}


def test_a_part_does_not_differ_from_itself(tmp_path):
    assert told(tmp_path, tiny_component(), tiny_component()) == {}
    assert told(tmp_path / "all", tiny_assembly(), tiny_assembly()) == {}


def test_other_weights_differ_in_their_digests_alone(tmp_path):
    found = told(tmp_path, tiny_component(), tiny_component(seed=1))
    assert found.keys() == {"weights.sha256", "parts.1.digest"}


def test_classes_widths_settings_and_images(tmp_path):
    one, other = tiny_component(), tiny_component(classes=("bee", "cat"))
    kept = {**one.origin.kept_outputs, "conv": (0, 1, 5, 6, 7), "head": (1,)}
    settings = {**one.origin.settings, "alpha": 0.5, SEEN: packed([b"12345678"])}
    other.origin = replace(one.origin, kept_outputs=kept, settings=settings)
    assert told(tmp_path, one, other) == {
        "parts.1.classes": ('["bee", "dog"]', '["bee", "cat"]'),
        "parts.1.origin.kept_outputs.conv": ("channels: 5", "channels: 5, others"),
        "parts.1.origin.kept_outputs.head": ("channels: 2", "channels: 1"),
        "parts.1.origin.settings.alpha": ("0.3", "0.5"),
        f"parts.1.origin.settings.{SEEN}": ("", "images: 1"),
    }


def test_a_component_and_an_assembly(tmp_path):
    found = told(tmp_path, tiny_component(), tiny_assembly())
    assert found["kind"] == ("component", "assembly")
    assert found["parts.2.classes"] == ("", '["elk", "fox"]')
    assert found["assembly.layout"] == ("", "parallel")
