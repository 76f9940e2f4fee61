"""The header of a card: what the Hub's own package reads there, and that names of strangers are inert in it."""

from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard
from torch import nn

from model_lego.hub.card_header import header_of, licence_entries, licences_in
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.parts.provenance import Provenance
from model_lego.parts.verdict import Verdict
from model_lego.store.card import card
from model_lego.store.card_metadata import metadata
from model_lego.store.files import record_of_bytes
from model_lego.store.records import manifest_of
from model_lego.store.tensors import named_tensors, split_aliases
from model_lego.store.weights import weights_bytes
from tests.support.handmade_parts import origin, tiny_assembly

VERDICT = Verdict("cut", "its source", 2, own=98.25, theirs=99.0, interval=(0.1, 1.0), images=400, held_out=True)
COMMIT = "0" * 40


def manifest(part):
    tensors, aliases = split_aliases(named_tensors(part))
    return manifest_of(part, tensors, aliases, record_of_bytes(weights_bytes(tensors)))


def of(builder=None, verdict=None, **said):
    """The manifest of a component with a builder, and with what is said of its source."""
    made = replace(origin(builder=builder), provenance=Provenance(**said))
    return manifest(Component(nn.Linear(1, 1), classes=["a"], labels=[0], origin=made, verdict=verdict))


def test_the_package_of_the_hub_reads_the_figures():
    read = ModelCard(card(of(verdict=VERDICT, licences=("mit",), data=("torchvision:CIFAR10",)))).data
    assert (read.library_name, read.pipeline_tag, read.license) == ("model-lego", "image-classification", "mit")
    assert (read.datasets, read.metrics) == (["uoft-cs/cifar10"], ["accuracy"])
    (result,) = read.eval_results
    assert (result.task_type, result.metric_type, result.metric_value) == ("image-classification", "accuracy", 0.9825)
    assert (result.dataset_name, result.dataset_type) == ("torchvision:CIFAR10", "uoft-cs/cifar10")


def test_a_single_class_has_an_area_and_no_verdict_no_figures():
    told = metadata(of(verdict=replace(VERDICT, classes=1)))
    assert told["model-index"][0]["results"][0]["metrics"][0] == {"type": "roc_auc", "value": 0.9825, "name": "AUROC"}
    assert told["model-index"][0]["results"][0]["dataset"]["name"] == "images of its maker"
    assert set(metadata(of())) == {"library_name", "pipeline_tag", "tags"}


@pytest.mark.parametrize(
    ("builder", "revisions", "base"),
    [
        (Builder(f"hf:org/net@{COMMIT}", {}), (), ["org/net"]),
        (Builder("hf:resnet", {}), (), None),
        (Builder("timm:resnet18.a1_in1k", {}), ("a1_in1k",), ["timm/resnet18.a1_in1k"]),
        (Builder("timm:resnet18", {}), ("a1_in1k",), ["timm/resnet18.a1_in1k"]),
        (Builder("timm:resnet18", {}), (), None),
        (Builder("timm:resnet18", {}), ("unheard_of",), None),
        (Builder("torchvision:resnet18", {}), ("IMAGENET1K_V1",), None),
        (Builder("timm:resnet18", {}), ("a1_in1k", f"hub:me/pets@{COMMIT}"), ["me/pets"]),
        (None, ("hub:[x](http://y)/z",), None),
    ],
)
def test_what_it_was_made_of_by_its_name_on_the_hub(builder, revisions, base):
    assert metadata(of(builder, revisions=revisions)).get("base_model") == base


def test_an_assembly_names_all_that_it_was_made_of():
    made = tiny_assembly()
    for number, part in enumerate(made.parts):
        part.origin = replace(part.origin, provenance=Provenance(revisions=(f"hub:me/part{number}@{COMMIT}",)))
    made = made.with_record(replace(made.record, provenance=Provenance(data=("digits",)), verdict=VERDICT))
    told = metadata(manifest(made))
    assert told["base_model"] == ["me/part0", "me/part1"]
    assert told["datasets"] == ["ylecun/mnist"]
    assert told["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.9825


@pytest.mark.parametrize(
    ("licences", "header"),
    [
        (("mit",), {"license": "mit"}),
        (("mit", "gpl-2.0"), {"license": ["mit", "gpl-2.0"]}),
        (
            ("https://host/terms",),
            {"license": "other", "license_name": "other", "license_link": "https://host/terms"},
        ),
        (("my own words",), {"license": "other", "license_name": "my own words"}),
    ],
)
def test_licences_that_the_hub_has_no_name_for(licences, header):
    assert licence_entries(licences) == header


def test_licences_are_read_again():
    assert licences_in({"license": "other", "license_name": "my own words"}) == ("my own words",)
    assert licences_in({"license": "other"}) == ("other",)
    assert licences_in({"license": ["mit", "gpl-2.0"]}) == ("mit", "gpl-2.0")
    assert licences_in({}) == ()


def test_names_of_strangers_are_inert_in_it():
    name = "mit\n---\n# <script>\x1b[31m\u202e"
    text = card(of(licences=(name,), data=(name,), revisions=(f"hub:{name}",), verdict=VERDICT))
    header, _, _ = text[4:].partition("\n---\n")
    assert yaml.safe_load(header)["license_name"].startswith("mit\\n---")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.count("\n---\n") == 1


@pytest.mark.parametrize(
    "text",
    ["a: 2026-13-45", "? [a]\n: b", "a: " + "[" * 5000, "a: !!python/object:os.x {}", "- a", "\t"],
    ids=["month", "key", "brackets", "object", "list", "tab"],
)
def test_headers_that_cannot_be_read_say_nothing(text):
    assert header_of(f"---\n{text}\n---\n# Card") == {}
