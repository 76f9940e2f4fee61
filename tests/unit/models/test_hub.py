"""Networks of the Hub: folders and caches as they are, what a manifest holds of them, and what is refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
import transformers

import model_lego as ml
from model_lego.errors import BadConfig, BadWeights, CannotFetch, CorruptComponent
from model_lego.models import build_from
from tests.support.caches import COMMIT, only_caches, put_repository, save_timm, seeded
from tests.support.hub_folders import NAMES, NETWORKS, SIDE, write

IMAGES = torch.rand(8, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
LOADING = """
import sys, torch, model_lego as ml
images, *parts = sys.argv[1:]
for part in parts:
    torch.save(ml.load(part)(torch.load(images)), part + ".logits")
"""


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Empty caches, and nothing but them."""
    return only_caches(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder and a classifier of each kind, which no test changes."""
    home = tmp_path_factory.mktemp("hub")
    return {kind: (home / kind, write(kind, home / kind)) for kind in NETWORKS}


@pytest.fixture
def own(folders, tmp_path):
    """A folder of one's own, to be spoilt."""
    return Path(shutil.copytree(folders["resnet"][0], tmp_path / "own"))


def component(opened):
    batches = [(IMAGES, torch.arange(8) % 4)]
    known = {"class_names": opened.class_names, "preprocessing": opened.preprocessing, "builder": opened.builder}
    return ml.disassemble(opened.model, batches, classes=["cat", "ant"], sampling="all", repair="none", **known)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_folder_gives_the_network_its_class_names_and_its_preprocessing(kind, folders):
    folder, network = folders[kind]
    opened = ml.open_network(f"hf:{folder}")
    with torch.no_grad():
        torch.testing.assert_close(opened.model(IMAGES).logits, network(IMAGES).logits)
    assert (opened.class_names, opened.classes, opened.trained) == (NAMES, 4, True)
    photo = torch.randint(0, 256, (1, 3, 5, 6), generator=torch.Generator().manual_seed(2)).float()
    photo = torch.nn.functional.interpolate(photo, (60, 80), mode="bilinear").to(torch.uint8)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    wanted = processor(photo[0], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(opened.preprocessing(photo), wanted, atol=0.03, rtol=0)
    assert [note for note in opened.notes if str(folder) not in note] == []


def test_components_are_loaded_in_a_new_process_without_the_folders(folders, tmp_path):
    torch.save(IMAGES, tmp_path / "images.pt")
    cuts = {}
    for kind in NETWORKS:
        folder = Path(shutil.copytree(folders[kind][0], tmp_path / "gone"))
        cuts[kind] = component(ml.open_network(f"hf:{folder}"))
        ml.save(cuts[kind], tmp_path / kind)
        shutil.rmtree(folder)
        manifest = json.loads((tmp_path / kind / "manifest.json").read_text())
        assert manifest["parts"][0]["origin"]["builder"]["name"] == f"hf:{kind}"
        assert "transformers" in manifest["versions"]
    places = [str(tmp_path / name) for name in ("images.pt", *NETWORKS)]
    subprocess.run([sys.executable, "-c", LOADING, *places], check=True, cwd=Path(__file__).parents[3] / "src")
    for kind, cut in cuts.items():
        with torch.no_grad():
            torch.testing.assert_close(torch.load(tmp_path / f"{kind}.logits"), cut(IMAGES))


def test_a_repository_of_the_cache_is_pinned_to_its_commit(folders, caches):
    folder, network = folders["resnet"]
    shutil.copytree(folder, put_repository(caches / "hf", "org/small"), dirs_exist_ok=True)
    for name in ("hf:org/small", "hf:org/small@main", f"hf:org/small@{COMMIT}"):
        opened = ml.open_network(name, pretrained=True)
        assert opened.builder.name == f"hf:org/small@{COMMIT}"
        assert opened.notes[0] == f"weights are those of hf:org/small@{COMMIT}"
        with torch.no_grad():
            torch.testing.assert_close(opened.model(IMAGES).logits, network(IMAGES).logits)
    assert ml.open_network("hf:org/small").trained is False
    shutil.rmtree(caches / "hf")
    assert type(build_from(opened.builder)) is type(network)


@pytest.mark.parametrize(
    ("card", "licences"),
    [
        ("---\nlicense: apache-2.0\n---\n# A network\n", ("apache-2.0",)),
        ("---\nlicense: other\nlicense_name: my-terms\n---\n", ("my-terms",)),
        ("# A network\n", ()),
        ("---\n" + "[" * 9000 + "\n---\n", ()),
        (None, ()),
    ],
)
def test_the_licence_of_a_network_is_that_of_its_card_and_goes_into_its_parts(
    card, licences, folders, caches, tmp_path
):
    snapshot = put_repository(caches / "hf", "org/small")
    shutil.copytree(folders["resnet"][0], snapshot, dirs_exist_ok=True)
    if card is not None:
        (snapshot / "README.md").write_text(card)
    opened = ml.open_network("hf:org/small", pretrained=True)
    assert opened.published == ml.Provenance(licences, (COMMIT,))


@pytest.mark.parametrize("licences", [("mit",), ()])
def test_the_card_is_fetched_with_the_network_where_there_is_one(licences, folders, hub, cache):
    files = {path.name: path.read_bytes() for path in folders["resnet"][0].iterdir()}
    card = {"README.md": b"---\nlicense: mit\n---\n"} if licences else {}
    commit = hub.make("org/small", files | card)
    assert ml.open_network("hf:org/small", pretrained=True).published == ml.Provenance(licences, (commit,))
    hub.asked.clear()
    assert ml.open_network("hf:org/small", pretrained=True).published == ml.Provenance(licences, (commit,))
    assert hub.asked == []


def test_a_folder_of_a_network_may_have_a_card(own):
    (own / "README.md").write_text("---\nlicense: mit\n---\n")
    assert ml.open_network(f"hf:{own}").published == ml.Provenance(("mit",))


def test_without_a_network_what_is_not_in_the_cache_is_one_clear_refusal(caches):
    with pytest.raises(
        CannotFetch, match=r"the files of hf:org/none cannot be fetched, and are not in the cache '.*hub'"
    ):
        ml.open_network("hf:org/none", pretrained=True)
    with pytest.raises(CannotFetch, match="nothing is fetched without being asked: give pretrained=True"):
        ml.open_network("hf:org/none")


def test_a_file_of_weights_takes_their_place(folders, tmp_path):
    other = NETWORKS["resnet"]({"num_labels": 4}).eval()
    torch.save(other.state_dict(), tmp_path / "other.pt")
    opened = ml.open_network(f"hf:{folders['resnet'][0]}", weights=tmp_path / "other.pt")
    with torch.no_grad():
        assert torch.equal(opened.model(IMAGES).logits, other(IMAGES).logits)
    assert opened.class_names == NAMES


def test_a_repository_of_timm(caches, tmp_path):
    network = seeded(lambda: timm.create_model("resnet10t", num_classes=2))
    save_timm(network, put_repository(caches / "hf", "me/mine"), label_names=["cat", "dog"])
    opened = ml.open_network("hf:me/mine", pretrained=True)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(opened.model(images), network(images))
    assert (opened.class_names, opened.preprocessing.crop) == (("cat", "dog"), (176, 176))
    assert opened.builder == ml.Builder(f"hf:me/mine@{COMMIT}", {"architecture": "resnet10t", "num_classes": 2})
    assert type(build_from(opened.builder)) is type(network)


def spoilt(file, change):
    config = json.loads(file.read_text())
    file.write_text(json.dumps(change(config)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c | {"model_type": "timm_wrapper"}, "'model_type:timm_wrapper' is unknown"),
        (lambda c: c | {"model_type": "mine", "auto_map": {"AutoConfig": "run.Me"}}, "'model_type:mine' is unknown"),
        (lambda c: c | {"architectures": ["ResNetModel"]}, "it is a ResNetModel, and no ResNetForImageClassification"),
        (lambda c: c | {"quantization_config": {"bits": 4}}, "it is quantised"),
        (lambda c: [c], "holds no configuration"),
    ],
)
def test_configurations_that_are_refused(change, words, own):
    (own / "run.py").write_text("raise SystemExit('was run')")
    spoilt(own / "config.json", change)
    with pytest.raises(BadConfig, match=words):
        ml.open_network(f"hf:{own}")


def test_code_of_a_repository_is_not_run(own):
    (own / "run.py").write_text("raise SystemExit('was run')")
    for name, kind in (
        ("config.json", "AutoModelForImageClassification"),
        ("preprocessor_config.json", "AutoImageProcessor"),
    ):
        spoilt(own / name, lambda c, kind=kind: c | {"auto_map": {kind: "run.Me"}})
    assert ml.open_network(f"hf:{own}").class_names == NAMES


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda own: (own / "model.safetensors").rename(own / "pytorch_model.bin"), "'pytorch_model.bin' is none"),
        (lambda own: (own / "model.safetensors").write_bytes(b"cut"), "cannot be read"),
    ],
)
def test_weights_that_are_refused(spoil, words, own):
    spoil(own)
    with pytest.raises(BadWeights, match=words):
        ml.open_network(f"hf:{own}")


def test_weights_of_another_network(own):
    spoilt(own / "config.json", lambda c: c | {"depths": [2, 1]})
    with pytest.raises(BadWeights, match=r"are not those of a ResNetForImageClassification: .* is missing"):
        ml.open_network(f"hf:{own}")


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("hf:no folder", {}, "it is no folder, and no ORG/NAME of the Hub"),
        ("hf:../gone", {"pretrained": True}, "it is no folder, and no ORG/NAME of the Hub"),
        ("hf:./gone", {"pretrained": True}, "it is no folder, and no ORG/NAME of the Hub"),
        ("hf:org/gone-", {"pretrained": True}, "it is no folder, and no ORG/NAME of the Hub"),
        ("hf:org/go--ne@main", {"pretrained": True}, "it is no folder, and no ORG/NAME of the Hub"),
        ("hf:{}", {"arguments": {"num_classes": 7}}, "has 4 classes; with num_classes=7 its last layer"),
        ("hf:{}", {"arguments": {"widht": 7}}, "a network of type 'resnet' has no such argument"),
    ],
)
def test_names_and_arguments_that_are_refused(name, given, words, folders):
    with pytest.raises(BadConfig, match=words):
        ml.open_network(name.format(folders["resnet"][0]), **given)


def test_a_folder_without_a_configuration_or_with_an_adapter(own):
    (own / "adapter_config.json").write_text("{}")
    with pytest.raises(BadConfig, match="an adapter to another network"):
        ml.open_network(f"hf:{own}")
    (own / "config.json").unlink()
    with pytest.raises(BadConfig, match=r"holds no config\.json"):
        ml.open_network(f"hf:{own}")


@pytest.mark.parametrize("processor", [None, "broken", {"do_pad": True, "size": {"longest_edge": 30}}])
def test_a_processor_that_cannot_be_followed_is_said_and_nothing_is_taken(processor, own):
    file = own / "preprocessor_config.json"
    if processor is None:
        file.unlink()
    elif isinstance(processor, dict):
        spoilt(file, lambda c: c | processor)
    else:
        file.write_text(processor)
    opened = ml.open_network(f"hf:{own}")
    assert opened.preprocessing is None
    assert "preprocessor_config.json" in opened.notes[-1] or "how images are taken has to be said" in opened.notes[-1]


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        ({"name": "hf:../evil"}, "name"),
        ({"name": "hf:org/small"}, "name"),
        ({"arguments": {"model_type": "timm_wrapper", "architecture": "resnet10t"}}, "cannot be built"),
        ({"arguments": {"architecture": "hf-hub:me/mine", "num_classes": 4}}, "cannot be built"),
        ({"arguments": {"model_type": "resnet", "_attn_implementation": "me/kernel"}}, "has no such argument"),
        ({"arguments": {"model_type": "resnet", "auto_map": {"AutoConfig": "run.Me"}}}, "has no such argument"),
        ({"arguments": {"model_type": "resnet", "classifier": "TimmBackbone"}}, "is no classifier"),
        ({"arguments": {"architecture": "resnet10t", "pretrained": True}}, "would fetch weights"),
    ],
)
def test_a_manifest_can_fetch_nothing_and_run_nothing(builder, words, folders, tmp_path):
    ml.save(component(ml.open_network(f"hf:{folders['resnet'][0]}")), tmp_path / "part")
    manifest = json.loads((tmp_path / "part/manifest.json").read_text())
    manifest["parts"][0]["origin"]["builder"] |= builder
    (tmp_path / "part/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptComponent, match=words):
        ml.load(tmp_path / "part")


@pytest.mark.parametrize("pretrained", [False, True])
def test_without_huggingface_hub_its_repositories_ask_for_it(pretrained, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BadConfig, match=r"pip install model-lego\[hf\]"):
        ml.open_network("hf:org/net", pretrained=pretrained)


def test_without_transformers_its_networks_ask_for_it(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BadConfig, match=r"pip install model-lego\[hf\]"):
        ml.open_network(f"hf:{folders['resnet'][0]}")
