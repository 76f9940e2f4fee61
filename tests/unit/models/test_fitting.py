"""Which tensors of a file are a network's, by its own names: places, prefixes, the number of classes."""

import re
import warnings

import pytest
import torch
from torch import nn

from model_lego.errors import BadWeights
from model_lego.models import load_weights
from model_lego.models.weights import infer_classes


def network(seed=0, classes=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential()
        model.conv = nn.Conv2d(1, 2, 3)
        model.norm = nn.BatchNorm2d(2)
        model.flat = nn.Flatten()
        model.fc = nn.Linear(8, classes)
    return model


STATE, OTHER = network(1).state_dict(), network(2).state_dict()


def behind(prefix, state=STATE):
    return {prefix + name: tensor for name, tensor in state.items()}


def read(path, held, key=None):
    """Save something, load it into a network: its state, and what was said."""
    torch.save(held, path)
    assert infer_classes(path, key=key) == 3
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loaded = load_weights(network(), path, key=key).state_dict()
    assert all(warning.filename == __file__ for warning in said)
    return loaded, [str(warning.message) for warning in said]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


USUAL = ["state_dict", "model_state_dict", "model", "net", "network"]


@pytest.mark.parametrize("place", ["", *USUAL])
def test_weights_at_the_usual_places_are_taken_without_a_word(tmp_path, place):
    held = {place: STATE, "epoch": 7, "loss": torch.tensor(0.5), "optimizer": {"state": {0: {"step": torch.tensor(3)}}}}
    loaded, said = read(tmp_path / "a.pt", held if place else STATE)
    assert same(loaded, STATE)
    assert said == []


PLACES = {
    "ema": {"ema": STATE},
    "teacher.ema": {"teacher": {"ema": STATE, "center": torch.zeros(3)}},
    "_orig_mod": behind("_orig_mod."),
    "net": behind("net."),
    "model": behind("model."),
    "module": behind("module."),
    "anything.of.ours": behind("anything.of.ours."),
    "module._orig_mod": behind("module._orig_mod."),
    "state_dict.model.net": {"state_dict": behind("model.net."), "hyper_parameters": {"lr": 0.1}},
    "classifier": behind("classifier."),  # which heads are called, too
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_anywhere_else_are_found_by_their_names_and_that_is_said(tmp_path, place):
    loaded, said = read(tmp_path / "a.pt", PLACES[place])
    assert same(loaded, STATE)
    assert said == [f"'{tmp_path / 'a.pt'}': weights are those at '{place}'"]


BESIDE = {
    "a loss": ({"state_dict": behind("model.") | {"criterion.weight": torch.ones(3)}}, "'criterion.weight'"),
    "a count": (behind("module.") | {"n_averaged": torch.tensor(5)}, "'n_averaged'"),
    "a projector": (
        behind("encoder.") | behind("projector.", nn.Linear(2, 2).state_dict()),
        "'projector.weight' and 1 more",
    ),
}


@pytest.mark.parametrize("beside", BESIDE)
def test_what_lies_beside_a_prefix_is_left_out_and_that_is_said(tmp_path, beside):
    held, left = BESIDE[beside]
    loaded, (said,) = read(tmp_path / "a.pt", held)
    assert same(loaded, STATE)
    assert said.endswith(f"; left out is {left}")


SEVERAL = {  # what is taken, and the place of the other
    "model and ema": ({"ema": OTHER, "model": STATE}, "at 'model'", "ema"),
    "state_dict first": ({"model": OTHER, "state_dict": STATE}, "at 'state_dict'", "model"),
    "the file itself": (dict(STATE) | {"model_ema": OTHER}, "of the file itself", "model_ema"),
    "in the order of the file": ({"student": STATE, "teacher": OTHER}, "at 'student'", "teacher"),
    "by prefix": (
        {"state_dict": behind("online.") | behind("target.", OTHER)},
        "at 'state_dict.online'",
        "state_dict.target",
    ),
    "by both": (
        {"model": behind("module."), "ema": {"module": behind("net.", OTHER)}},
        "at 'model.module'",
        "ema.module.net",
    ),
}


@pytest.mark.parametrize("several", SEVERAL)
def test_of_several_that_fit_one_is_taken_and_the_others_are_there_for_the_asking(tmp_path, several):
    held, taken, other = SEVERAL[several]
    loaded, (said,) = read(tmp_path / "a.pt", held)
    assert same(loaded, STATE)
    assert f"weights are those {taken}" in said
    assert f"'{other}' fits as well, which --weights-key or key= takes" in said
    assert same(read(tmp_path / "a.pt", held, key=other)[0], OTHER)


def test_the_same_weights_twice_are_no_choice(tmp_path):
    copied = {name: tensor.clone() for name, tensor in STATE.items()}
    for other in (STATE, copied):
        assert read(tmp_path / "a.pt", {"model": STATE, "ema": other})[1] == []


def test_a_teacher_of_another_size_is_no_choice(tmp_path):
    held = {"teacher": network(3, classes=9).state_dict(), "student": STATE}
    torch.save(held, tmp_path / "a.pt")
    with pytest.warns(UserWarning, match="those at 'student'$"):
        assert same(load_weights(network(), tmp_path / "a.pt").state_dict(), STATE)


@pytest.mark.parametrize(
    ("held", "key", "known"),
    [
        ({"model": STATE, "ema": OTHER}, "emma", "'model', 'ema'"),
        (behind("module."), "model", "'module.conv.weight'"),
        ({"state_dict": behind("net.")}, "state_dict.net.conv.weight.x", "'state_dict'"),
    ],
)
def test_a_key_that_is_not_there(tmp_path, held, key, known):
    torch.save(held, tmp_path / "a.pt")
    for verb in (infer_classes, lambda path, key: load_weights(network(), path, key=key)):
        with pytest.raises(BadWeights, match=re.escape(f"has no weights at '{key}'; it has {known}")):
            verb(tmp_path / "a.pt", key=key)


def test_a_file_that_holds_itself_is_read(tmp_path):
    held = {"model": STATE}
    held["again"] = held
    assert same(read(tmp_path / "a.pt", held)[0], STATE)


def test_parts_of_a_big_network_are_not_taken_for_a_small_one(tmp_path):
    torch.save(STATE, tmp_path / "a.pt")
    with pytest.raises(BadWeights, match="has shape"):
        load_weights(nn.Linear(5, 2), tmp_path / "a.pt")


def misses(*names):
    return {name: tensor for name, tensor in STATE.items() if name not in names}


def replaced(name, tensor):
    return dict(STATE) | {name: tensor}


FULL = torch.ones(3, 8)
HEAD = "its names fit less 'fc.*', which have 9 classes there and 3 here; build the network with num_classes=9"
MISFITS = {
    "another head": (network(classes=9).state_dict(), HEAD),
    "another head, nested": ({"model": behind("net.", network(classes=9).state_dict())}, HEAD),
    "no head": (
        misses("fc.weight", "fc.bias"),
        "its names fit less 'fc.*', which it does not have; it misses 'fc.weight'",
    ),
    "a name too few": (misses("fc.bias"), "8 of its 8 names are among the network's 9; it misses 'fc.bias'"),
    "a name too many": (replaced("out.weight", FULL), "it has 'out.weight' that the network does not"),
    "another name": (
        misses("fc.bias") | {"fc.offset": torch.ones(3)},
        "it misses 'fc.bias'; it has 'fc.offset' that the network does not",
    ),
    "another shape": (
        replaced("fc.weight", torch.zeros(3, 9)),
        "its names fit, but 1 of 9 shapes do not: of another … 'fc.weight' has shape (3, 9), the network's (3, 8)",
    ),
    "another network": (
        {"a.w": FULL, "b.w": FULL},
        "it is of another network: it has 'a.w' and 1 more, where this has 'conv.weight' and 8 more",
    ),
    "not finite": (
        replaced("norm.running_var", torch.tensor([1.0, torch.inf])),
        "'norm.running_var' … NaN or infinite",
    ),
    "int8": (replaced("fc.weight", FULL.to(torch.int8)), "'fc.weight' … is int8, where the network has floats"),
    "whole numbers": (
        replaced("conv.bias", torch.tensor([1, 2])),
        "'conv.bias' … is int64, where the network has floats",
    ),
    "float8": (replaced("fc.weight", FULL.to(torch.float8_e4m3fn)), "is float8_e4m3fn, where the network has floats"),
    "complex": (replaced("fc.weight", FULL.to(torch.complex64)), "is complex64, where the network has floats"),
    "sparse": (replaced("fc.weight", FULL.to_sparse()), "is sparse"),
    "meta": (replaced("fc.weight", FULL.to("meta")), "has no values: it was saved from the meta device"),
    "fractions": (
        replaced("norm.num_batches_tracked", torch.tensor(0.5)),
        "has fractions, where the network has int64",
    ),
    "overflow": (replaced("fc.weight", FULL.double() * 1e300), "'fc.weight' … NaN or infinite"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, of sparse tensors that are read unchecked
@pytest.mark.parametrize("misfit", MISFITS)
def test_weights_that_do_not_fit_leave_the_network_as_it_was_and_the_cause_is_said(tmp_path, misfit):
    held, words = MISFITS[misfit]
    fresh = network()
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    torch.save(held, tmp_path / "a.pt")
    with pytest.raises(BadWeights) as caught:
        load_weights(fresh, tmp_path / "a.pt")
    assert all(word in str(caught.value) for word in words.split(" … "))
    assert same(fresh.state_dict(), before)


def quantised(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, torch.qint8).state_dict()


def with_a_quantised_tensor():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return replaced("fc.weight", torch.quantize_per_tensor(FULL, 0.1, 0, torch.qint8))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("held", "words"),
    [
        (quantised(network()), "its layers are quantised; give the weights of before"),
        (with_a_quantised_tensor(), "is qint8, where the network has floats: give the weights of before"),
        (behind("m.", with_a_quantised_tensor()), "is qint8, where the network has floats: give the weights of before"),
    ],
    ids=["layers", "tensor", "tensor behind a prefix"],
)
def test_quantised_weights_are_refused_by_name(tmp_path, held, words):
    torch.save(held, tmp_path / "a.pt")
    with pytest.raises(BadWeights, match=words):
        load_weights(network(), tmp_path / "a.pt")


def test_names_without_the_networks_own_prefix(tmp_path):
    torch.save(STATE, tmp_path / "a.pt")
    for wrapped, inside in ((nn.DataParallel(network()), "module"), (nn.Sequential(nn.Sequential(network())), "0.0")):
        with pytest.raises(BadWeights, match=rf"without '{inside}\.': load it into the network inside, at '{inside}'"):
            load_weights(wrapped, tmp_path / "a.pt")


class Noting(nn.Linear):
    """A layer with something else than tensors in its state dict."""

    def get_extra_state(self):
        return {"version": 3}

    def set_extra_state(self, state):
        pass


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: network().to("meta"), "Sequential cannot be given weights: it is on the meta device"),
        (lambda: nn.LazyLinear(3), "'weight' has no shape yet; run it on images first"),
        (lambda: Noting(8, 3), "its '_extra_state' is no tensor"),
    ],
    ids=["meta", "lazy", "extra state"],
)
def test_a_network_that_takes_no_weights(tmp_path, make, words):
    torch.save(STATE, tmp_path / "a.pt")
    with pytest.raises(BadWeights, match=words):
        load_weights(make(), tmp_path / "a.pt")


def tied(seed=0, *, over="weight"):
    """Two layers that share a weight, or one that has two names."""
    model = network(seed)
    model.again = nn.Linear(8, 3) if over == "weight" else model.fc
    model.again.weight = model.fc.weight
    return model


def untied():
    model = network()
    model.again = nn.Linear(8, 3)
    return model


@pytest.mark.parametrize("over", ["weight", "layer"])
@pytest.mark.parametrize("left", ["fc", "again"])
def test_a_tied_tensor_may_be_there_once(tmp_path, over, left):
    """As safetensors.torch.save_model and transformers write them."""
    saved = tied(1, over=over)
    names = [f"{left}.weight"] + ([f"{left}.bias"] if over == "layer" else [])
    torch.save({name: tensor for name, tensor in saved.state_dict().items() if name not in names}, tmp_path / "a.pt")
    assert same(load_weights(tied(over=over), tmp_path / "a.pt").state_dict(), saved.state_dict())
    with pytest.raises(BadWeights, match=f"misses '{names[0]}'"):
        load_weights(untied(), tmp_path / "a.pt")
