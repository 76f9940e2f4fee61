"""Files of weights as people have them: what they hold beside tensors, and what is no such file."""

import argparse
import collections
import datetime
import gzip
import io
import os
import pathlib
import pickle
import random
import tarfile
import warnings
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from model_lego.errors import BadWeights
from model_lego.models import load_weights
from model_lego.models.weights import infer_classes


def network():
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


def loads(path, saved):
    """Whether a fresh network, loaded from a file, is the one that was saved."""
    fresh = load_weights(network(), path).state_dict()
    assert infer_classes(path) == 3
    return all(torch.equal(tensor, fresh[name]) for name, tensor in saved.state_dict().items())


BESIDE = {
    "options": argparse.Namespace(lr=0.1, name="x", layers=[1, 2]),
    "options of paths": argparse.Namespace(out=pathlib.Path("runs") / "1"),
    "numbers of numpy": {"best": np.float32(91.5), "epoch": np.int64(7), "better": np.bool_(True), "of": np.str_("x")},
    "arrays of numpy": np.linspace(0, 1, 3),
    "types of numpy": np.dtype("float16"),
    "path": pathlib.PurePosixPath("a/b"),
    "path of another system": pathlib.PureWindowsPath("a\\b"),
    "date": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    "time spent": datetime.timedelta(hours=3),
    "ordered": collections.OrderedDict(a=1),
    "with defaults": collections.defaultdict(list, losses=[1.0, 0.5]),
    "counts": collections.Counter(cat=3),
    "sets and ranges": [{1, 2}, frozenset({3}), range(4), slice(1, 2)],
}


@pytest.mark.parametrize("beside", BESIDE)
def test_plain_values_beside_the_weights_are_no_hindrance(tmp_path, beside):
    saved = network()
    torch.save({"model": saved.state_dict(), "beside": BESIDE[beside]}, tmp_path / "a.pth")
    assert loads(tmp_path / "a.pth", saved)


def test_what_was_allowed_before_is_allowed_after(tmp_path):
    torch.save({"model": network().state_dict(), "args": argparse.Namespace(lr=0.1)}, tmp_path / "a.pth")
    before = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([argparse.Namespace]):
        load_weights(network(), tmp_path / "a.pth")
        assert set(torch.serialization.get_safe_globals()) == before | {argparse.Namespace}
    load_weights(network(), tmp_path / "a.pth")
    assert set(torch.serialization.get_safe_globals()) == before


NAMES = ["a.bin", "a.pth.tar", "a.ckpt", "a.tar", "a", "a.safetensors"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["torch", "older torch", "safetensors"])
def test_a_file_is_known_by_what_it_holds(tmp_path, name, form):
    saved = network()
    if form == "safetensors":
        safetensors.torch.save_file(saved.state_dict(), tmp_path / name)
    else:
        torch.save(saved.state_dict(), tmp_path / name, _use_new_zipfile_serialization=form == "torch")
    assert loads(tmp_path / name, saved)


class Own(nn.Module):
    """A class that no reader of weights has."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 3)


class Settings:
    """A user's own settings."""


HINDRANCES = {
    "module": (nn.Sequential(nn.Linear(2, 3)), "whole module.*'torch.nn.modules.container.Sequential'"),
    "own module": (Own(), r"whole module.*test_weights_files\.Own'"),
    "module within": ({"epoch": 3, "model": Own()}, r"whole module.*test_weights_files\.Own'.*state_dict\(\) instead"),
    "settings": ({"model": network().state_dict(), "cfg": Settings()}, r"more than .*test_weights_files\.Settings'"),
    "function": ({"model": network().state_dict(), "where": os.getcwd}, r"more than .*'\w+.getcwd'"),
    "memory": ({"model": network().state_dict(), "a": bytearray(3)}, "a bytearray, which may claim any memory"),
}


@pytest.mark.parametrize("older", [False, True], ids=["torch", "older torch"])
@pytest.mark.parametrize("held", HINDRANCES)
def test_what_stops_the_reading_is_named(tmp_path, held, older):
    value, words = HINDRANCES[held]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of older torch, on source code that it cannot find
        torch.save(value, tmp_path / "a.pt", _use_new_zipfile_serialization=not older)
    with pytest.raises(BadWeights, match=words):
        load_weights(network(), tmp_path / "a.pt")


def scripted(path):
    torch.jit.script(network()).save(path)


def exported(path):
    torch.export.save(torch.export.export(network(), (torch.zeros(1, 4),)), path)


def cut_off(path):
    torch.save(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:700])


def cut_off_safetensors(path):
    safetensors.torch.save_file(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-9])


def damaged(path):
    """Its table of contents is whole, the entry that is read first is not."""
    torch.save(network().state_dict(), path)
    path.write_bytes(path.read_bytes().replace(b"data.pkl", b"dada.pkl", 1))


def misnamed(path):
    """The name of an entry in the table of contents is no text."""
    torch.save(network().state_dict(), path)
    head, name, tail = path.read_bytes().rpartition(b"data.pkl")
    path.write_bytes(head + b"\xff\xfe" + name[2:] + tail)


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights.pth", b"1234")


def tarred(path):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"), io.BytesIO())


def folder(path):
    path.mkdir()
    (path / "best.pth").touch()


STRANGERS = {
    "nothing": (lambda path: path.touch(), "is empty"),
    "folder": (folder, "is a folder; give a file of weights in it, such as 'best.pth'"),
    "bare folder": (lambda path: path.mkdir(), "is a folder; give a file of weights in it$"),
    "web page": (lambda path: path.write_text("\n<!DOCTYPE html>\n<html>"), "is a web page"),
    "git-lfs": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"),
    "index": (lambda path: path.write_text('{"metadata": {}, "weight_map": {}}'), "is JSON text"),
    "Keras": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n0000"), "is an HDF5 file"),
    "numpy": (lambda path: path.write_bytes(np.lib.format.magic(1, 0)), "is an array of numpy"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"1234")), "is packed by gzip; unpack it"),
    "zip": (zipped, "is a zip archive without a state dict"),
    "tar": (tarred, "is a tar archive; unpack it"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 3})), "neither safetensors nor a state dict"),
    "rubbish": (lambda path: path.write_bytes(b"no tensors at all"), "neither safetensors nor a state dict"),
    "cut off": (cut_off, "is cut off or damaged"),
    "damaged": (damaged, "is cut off or damaged"),
    "misnamed": (misnamed, "a zip archive without a state dict|is cut off or damaged"),
    "cut off safetensors": (cut_off_safetensors, "no safetensors file, or is cut off"),
    "TorchScript": (scripted, r"TorchScript; save .*torch.jit.load\(FILE\).state_dict\(\)"),
    "export": (exported, r"torch.export; save .*torch.export.load\(FILE\).state_dict"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_is_no_file_of_weights_is_said_to_be_what_it_is(tmp_path, stranger):
    make, words = STRANGERS[stranger]
    make(tmp_path / "weights")
    for read in (infer_classes, lambda path: load_weights(network(), path)):
        with pytest.raises(BadWeights, match=words):
            read(tmp_path / "weights")


@pytest.mark.parametrize("form", ["torch", "older torch", "safetensors"])
def test_damaged_bytes_are_refused_in_words_or_change_nothing_but_values(tmp_path, form):
    path, rng = tmp_path / "a", random.Random(0)
    if form == "safetensors":
        safetensors.torch.save_file(network().state_dict(), path)
    else:
        torch.save({"model": network().state_dict()}, path, _use_new_zipfile_serialization=form == "torch")
    whole = path.read_bytes()
    for _ in range(80):
        spoiled, start = bytearray(whole), rng.randrange(len(whole))
        spoiled[start : start + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(9))
        path.write_bytes(spoiled[: rng.choice([len(spoiled), start])])
        with suppress(BadWeights):
            load_weights(network(), path)


def test_an_archive_that_unpacks_to_more_than_its_bytes(tmp_path):
    torch.save({"weight": torch.zeros(1000, 1000)}, tmp_path / "a.pt")
    packed = zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "a.pt") as old, packed as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(BadWeights, match=r"is packed, as torch\.save does not write it"):
        load_weights(nn.Linear(1000, 1000, bias=False), tmp_path / "b.pt")


def test_several_tensors_in_one_are_none_of_the_weights(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is a prototype
        nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(1)])
    torch.save({"weight": nested, "bias": torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(BadWeights, match="misses 'weight'"):
        load_weights(nn.Linear(2, 2), tmp_path / "a.pt")
