"""A reader of saved parts by docs/format.md alone: nothing of the library is imported, layers are torch's.

`read(folder)` gives a network with `classes`; called on images in 0..1 it gives logits, batch x classes.
"""

import hashlib
import json
from pathlib import Path

import safetensors.torch
import torch
from torch import nn
from torch.nn import functional as F

NEWEST, NONE_OF_THESE = 6, "none of these"
LAYERS = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d, "conv3d": nn.Conv3d, "linear": nn.Linear}
LOGITS = ("logits", "output", "out", "pred", "prediction", "predictions")


def read(folder, build=None):
    """Read a component or assembly; `build` makes the uncut networks of names that this reader does not know."""
    manifest = json.loads((Path(folder) / "manifest.json").read_bytes())
    if manifest["format"] != "model-lego" or not 1 <= manifest["schema"] <= NEWEST:
        raise ValueError(f"schema {manifest['schema']} of {manifest['format']}, where 1 to {NEWEST} are read")
    weights, said = (Path(folder) / "model.safetensors").read_bytes(), manifest["weights"]
    if (len(weights), hashlib.sha256(weights).hexdigest()) != (said["bytes"], said["sha256"]):
        raise ValueError("the weights are not those of the manifest")
    tensors = safetensors.torch.load(weights)
    tensors |= {name: tensors[kept] for name, kept in manifest["aliases"].items()}
    assembly, parts = manifest["assembly"], manifest["parts"]
    leaves = [Part(record, build or _uncut) for record in parts]
    if assembly is None:
        return leaves[0].filled(tensors, "")
    older = {"terms": assembly["classes"], "groups": {}, "made_of": range(len(parts)), "head_reads": []}
    return Whole(older | assembly.get("settings", {}) | assembly, leaves, tensors, "")


class Part:
    """A component: its network, and how that takes images."""

    def __init__(self, record, build):
        self.classes, self.own, self.leaves = record["classes"], record["classes"], [self]
        self.taken, self.swaps = record["preprocessing"], record["memory_format"] == "channels_last"
        origin = record["origin"]
        self.module, settings = build(origin["builder"]), origin["settings"]
        for path, layer in settings.get("plain_layers", {}).items():
            given = {key: tuple(one) if isinstance(one, list) else one for key, one in layer["arguments"].items()}
            self.put(path, LAYERS[layer["kind"]](**given))
        for path in settings.get("dropped_modules", []):
            self.put(path, None)
        for path, values in origin["attributes"].items():
            layer = self.module.get_submodule(path)
            for name, value in values.items():
                name, _, place = name.removesuffix("]").partition("[")
                old, at = getattr(layer, name), int(place or 0)
                new = [*old[:at], value, *old[at + 1 :]] if isinstance(old, tuple | list) else value
                setattr(layer, name, type(old)(new))

    def put(self, path, value):
        """Put a layer, a tensor or nothing in the place of another."""
        owner, name = self.module.get_submodule(path.rpartition(".")[0]), path.rpartition(".")[2]
        if name in owner._parameters and value is not None:
            value = nn.Parameter(value, requires_grad=False)
        setattr(owner, name, Nothing() if name in owner._modules and value is None else value)

    def filled(self, tensors, prefix):
        """The same with the tensors whose names begin so."""
        for name, one in tensors.items():
            if name.startswith(f"{prefix}module."):
                if self.swaps and one.dim() == 4:
                    one = one.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
                self.put(name.removeprefix(f"{prefix}module."), one)
        self.module.eval()
        return self

    @torch.no_grad()
    def __call__(self, images):
        images = _taken(images / 255 if images.dtype == torch.uint8 else images, self.taken or {})
        given = self.module(images.to(next(one.dtype for one in self.module.parameters() if one.is_floating_point())))
        while not isinstance(given, torch.Tensor):
            names = [name for name in LOGITS if name in given] if isinstance(given, dict) else [0]
            given = given["logits" if hasattr(given, "logits") else (names or list(given))[0]]
        return given[None] if given.dim() == 1 else given

    def heard(self, images, paths):
        """What some layers are given as vectors, one an image."""
        found, layers = {}, [self.module.get_submodule(path) for path in paths]
        hooks = [one.register_forward_pre_hook(lambda layer, given: found.update({layer: given[0]})) for one in layers]
        self(images)
        for hook in hooks:
            hook.remove()
        return [_vector(found[layer], layer.weight) for layer in layers]


class Whole:
    """An assembly: its parts, the head behind them, and groups of classes."""

    def __init__(self, record, leaves, tensors, prefix):
        self.classes, self.reads = record["classes"], record["head_reads"]
        groups = {member: name for name, members in record["groups"].items() for member in members}
        told = [groups.get(term, term) for term in record["terms"]]
        self.places = [[place for place, name in enumerate(told) if name == wanted] for wanted in self.classes]
        self.weight, self.shift = tensors[f"{prefix}head.weight"], tensors[f"{prefix}head.shift"]
        padded, self.parts = record["layout"] == "padded", []
        for place, inner in enumerate(record["made_of"]):
            path = f"{prefix}padded." if padded else f"{prefix}parts.{place}."
            single = isinstance(inner, int)
            self.parts.append(leaves[inner].filled(tensors, path) if single else Whole(inner, leaves, tensors, path))
        self.leaves = [leaf for part in self.parts for leaf in part.leaves]
        inside = [name.partition(".")[2] if padded else name for part in self.parts for name in part.own]
        rejects = self.classes[-1] == NONE_OF_THESE and NONE_OF_THESE not in inside
        self.own = self.classes[:-1] if rejects else self.classes

    def __call__(self, images):
        if self.reads:
            given = [x for part, paths in zip(self.leaves, self.reads, strict=True) for x in part.heard(images, paths)]
        else:
            given = [part(images)[:, : len(part.own)] for part in self.parts]
        x, linear = torch.cat(given, 1), self.weight.dim() == 2
        x = F.linear(x, self.weight, self.shift) if linear else x * self.weight + self.shift
        return torch.cat([x[:, at] if len(at) == 1 else x[:, at].logsumexp(1, keepdim=True) for at in self.places], 1)


class Nothing(nn.Module):
    """Stands where a file does without a module."""

    def forward(self, *_): ...


class LeNet5(nn.Module):
    """zoo:lenet5, as the page describes it."""

    def __init__(self, num_classes=10, width=1.0, in_channels=1, image_size=28, batch_norm=True):
        super().__init__()
        a, b, c, d = (max(1, int(each * width)) for each in (6, 16, 120, 84))
        one, two = ([nn.BatchNorm2d(each)] * batch_norm + [nn.ReLU(), nn.MaxPool2d(2)] for each in (a, b))
        self.features = nn.Sequential(nn.Conv2d(in_channels, a, 5, padding=2), *one, nn.Conv2d(a, b, 5), *two)
        layers = [nn.Linear(b * ((image_size // 2 - 4) // 2) ** 2, c), nn.ReLU(), nn.Linear(c, d), nn.ReLU()]
        self.classifier = nn.Sequential(*layers, nn.Linear(d, num_classes))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def _uncut(builder):
    """The network of a name and its arguments, untrained."""
    (kind, _, name), given = builder["name"].partition(":"), dict(builder["arguments"])
    if "model_type" in given:
        import transformers

        config, wanted = transformers.CONFIG_MAPPING[given.pop("model_type")], given.pop("classifier", None)
        config = config(num_labels=given.pop("num_classes", 2), **given)
        known = transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[type(config)]
        known = known if isinstance(known, list | tuple) else [known]
        return next(each for each in known if wanted in (None, each.__name__))(config)
    if kind == "timm" or "architecture" in given:
        import timm

        return timm.create_model(given.pop("architecture", name), pretrained=False, **given)
    if kind == "torchvision":
        import torchvision

        return torchvision.models.get_model(name.partition(".")[0], weights=None, **given)
    return {"zoo:lenet5": LeNet5}[builder["name"]](**given)


def _taken(images, how):
    """Images in the size and the colours that a network takes."""
    size, crop, mode = how.get("size"), how.get("crop"), how.get("interpolation", "bilinear")
    if size is not None and list(images.shape[2:]) != (crop or size):
        given = images.shape[2:]
        sides = [size * side // min(given) for side in given] if isinstance(size, int) else size
        options = {"mode": "nearest-exact"} if mode == "nearest" else {"mode": mode, "antialias": True}
        images = F.interpolate(images, size=tuple(sides), **options)
        images = images.clamp(0, 1) if mode == "bicubic" else images
        for axis, kept in enumerate(crop or (), 2):
            images = images.narrow(axis, round((images.shape[axis] - kept) / 2), kept)
    mean, std = (images.new_tensor(how.get(key, ()))[:, None, None] for key in ("mean", "std"))
    return (images - mean) / std if how.get("mean") else images


def _vector(x, weight):
    if weight.dim() == 2:
        return x if x.dim() == 2 else x.flatten(1, -2).mean(1)
    return x.flatten(2).mean(2) if weight[0, 0].numel() == 1 else x.flatten(1)
