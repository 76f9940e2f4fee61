"""Caches as the libraries lay them, filled with random weights, for opening networks where nothing is fetched."""

import json
from pathlib import Path
from urllib.error import URLError

import safetensors.torch
import timm
import torch
import torchvision

#: The commit of whatever is put into the cache of the Hub.
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def only_caches(folder, monkeypatch):
    """Let the libraries have empty caches below a folder, `torch` and `hf`, and no network; give the folder."""
    from huggingface_hub import constants

    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hf/hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    monkeypatch.setattr("torch.hub.urlopen", _no_network)  # which is of its own
    return folder


def _no_network(*_, **__):
    raise URLError("there is no network in tests")


def put_torchvision(home, name, tag="DEFAULT"):
    """Put random weights of a network into torch's folder `home`, under the name of the published ones; give it."""
    weights = torchvision.models.get_model_weights(name)[tag]
    network = seeded(lambda: torchvision.models.get_model(name, weights=None))
    file = Path(home, "hub/checkpoints", weights.url.rpartition("/")[2])
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), file)
    return network


def put_timm(home, name):
    """Put random weights of a network into the Hub's folder `home`, as timm's repository of it has them; give it."""
    config = timm.models.get_pretrained_cfg(name)
    network = seeded(lambda: timm.create_model(name))
    folder = put_repository(home, config.hf_hub_id)
    save_timm(network, folder)
    return network


def save_timm(network, folder, **more):
    """Write a network of timm as its repositories on the Hub hold it."""
    safetensors.torch.save_file(network.state_dict(), folder / "model.safetensors")
    known = network.pretrained_cfg
    config = {"architecture": known["architecture"], "num_classes": network.num_classes, "pretrained_cfg": dict(known)}
    (folder / "config.json").write_text(json.dumps(config | more))


def put_repository(home, name, branch="main"):
    """Make the folder of a repository's snapshot in the Hub's folder `home`; give it."""
    repository = Path(home, "hub", f"models--{name.replace('/', '--')}")
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / branch).write_text(COMMIT)
    return snapshot


def seeded(make):
    """A network whose random weights are always the same, its running statistics too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make().eval()
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return network
