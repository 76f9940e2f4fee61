"""Published weights on the command line: --pretrained, what is taken from them, and what does not go with it."""

import pytest

from tests.support.caches import only_caches, put_repository, put_timm, put_torchvision
from tests.support.squares import refused, run, said

#: Commands that take a MODEL, with what each needs besides.
COMMANDS = {
    "plan": ["--data", "DATA", "--classes", "ant"],
    "disassemble": ["--data", "DATA", "--classes", "ant", "--out", "OUT"],
    "compress": ["--data", "DATA", "--budget", "macs=0.5", "--out", "OUT"],
    "attribute": ["--data", "DATA", "--out", "OUT"],
    "routes": ["--data", "DATA"],
    "doctor": [],
    "train": ["--data", "DATA", "--out", "OUT"],
    "remove": ["--data", "DATA", "--classes", "ant", "--out", "OUT"],
}


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Empty caches, and nothing but them."""
    return only_caches(tmp_path, monkeypatch)


def options(command, world, tmp_path):
    places = {"DATA": str(world.data), "OUT": str(tmp_path / "out")}
    return [places.get(word, word) for word in COMMANDS[command]]


def test_what_is_taken_from_published_weights_is_said_once(caches):
    put_timm(caches / "hf", "resnet10t")
    ran = run("doctor", "timm:resnet10t", "--pretrained")
    assert ran.code == 0
    assert ran.out.startswith("ResNet on images of 3 x 176 x 176: can be taken apart")
    assert ran.err.splitlines() == [
        "note: weights are timm's resnet10t.c3_in1k",
        "note: class names are those of timm's resnet10t.c3_in1k: 'tench', 'goldfish' … (1,000 in all)",
        "note: images are taken as timm's resnet10t.c3_in1k takes them: in 0..1, shorter side brought to 201 "
        "(bicubic), cropped to 176 x 176, then less mean 0.485, 0.456, 0.406, by deviation 0.229, 0.224, 0.225",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_network_is_one_clear_line(command, world, tmp_path):
    words = refused(run(command, "timm:resnet10t", "--pretrained", *options(command, world, tmp_path)))
    classes = "last layer would be untrained" in words  # of a training, which has the classes of its data
    assert classes or "the weights of timm:resnet10t (timm/resnet10t.c3_in1k) cannot be fetched" in words
    assert classes or words.endswith("the environment's HF_HUB_CACHE, or give --weights FILE")


def test_what_a_library_says_while_it_fetches_is_no_result():
    ran = run("doctor", "torchvision:squeezenet1_1", "--pretrained", "--json")
    assert (ran.code, ran.out) == (1, "")
    assert "error: the weights of torchvision:squeezenet1_1" in ran.err


def test_a_download_that_was_interrupted_is_not_there(caches):
    snapshot = put_repository(caches / "hf", "timm/resnet10t.c3_in1k")
    blobs = snapshot.parents[1] / "blobs"
    blobs.mkdir()
    (blobs / "abc.incomplete").write_bytes(b"half")
    (snapshot / "model.safetensors").symlink_to("../../blobs/abc")
    assert "cannot be fetched, and are not in the cache" in refused(run("doctor", "timm:resnet10t", "--pretrained"))


@pytest.mark.parametrize("left", [0, 4, 1000])
def test_a_damaged_file_of_the_cache_is_to_be_removed(left, caches):
    put_timm(caches / "hf", "resnet10t")
    (file,) = (caches / "hf").rglob("model.safetensors")
    file.write_bytes(file.read_bytes()[:left])
    words = refused(run("doctor", "timm:resnet10t", "--pretrained"))
    assert "the weights of timm:resnet10t (timm/resnet10t.c3_in1k) cannot be read" in words
    assert words.endswith(f"if the file in '{caches}/hf/hub' is damaged, remove it there")


@pytest.mark.parametrize("held", [b"", b"half", b"<html>sign in</html>"])
def test_a_damaged_file_of_torch_is_to_be_removed(held, caches):
    put_torchvision(caches / "torch", "squeezenet1_1")
    (file,) = (caches / "torch").rglob("*.pth")
    file.write_bytes(held)
    words = refused(run("doctor", "torchvision:squeezenet1_1", "--pretrained"))
    assert words.endswith(f"if the file in '{caches}/torch/hub/checkpoints' is damaged, remove it there")
    assert "weights_only" not in words


@pytest.mark.parametrize("command", COMMANDS)
def test_published_weights_and_a_file_are_two_sets(command, world, tmp_path):
    given = ["--pretrained", "--weights", "w.pt", *options(command, world, tmp_path)]
    assert "--pretrained and --weights w.pt are two sets of weights" in refused(run(command, "timm:resnet10t", *given))


@pytest.mark.parametrize("command", COMMANDS)
def test_our_own_networks_have_none(command, world, tmp_path):
    words = refused(run(command, "zoo:lenet5", "--pretrained", *options(command, world, tmp_path)))
    assert "zoo:lenet5 has no published weights; give --weights FILE" in words


@pytest.mark.parametrize("command", COMMANDS)
def test_a_saved_part_has_its_own(command, world, tmp_path):
    words = refused(run(command, world.one, "--pretrained", *options(command, world, tmp_path)))
    assert "is a folder" in words


@pytest.mark.parametrize("command", ["evaluate", "unite", "report"])
def test_a_source_may_have_published_weights(command, world, tmp_path):
    given = {"unite": ["--out", tmp_path / "out"], "report": ["--html", tmp_path / "page.html"]}.get(command, [])
    ran = run(command, world.one, "--source", "timm:resnet10t", "--pretrained", "--data", world.data, *given)
    assert "the weights of timm:resnet10t" in said(refused(ran))


def test_a_teacher_may_have_published_weights(world, tmp_path):
    ran = run("distill", "timm:resnet10t", world.one, "--pretrained", "--data", world.data, "--out", tmp_path / "out")
    assert "the weights of timm:resnet10t" in refused(ran)
