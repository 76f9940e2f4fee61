"""What the header of a part's card says, by which the Hub finds models and shows figures."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from model_lego.errors import BadConfig
from model_lego.hub.card_header import licence_entries
from model_lego.names.hub_names import NAME, hub_name, is_on_hub
from model_lego.parts.provenance import Provenance, together
from model_lego.parts.verdict import Verdict
from model_lego.store.manifest import AssemblyRecord, Manifest, PartRecord
from model_lego.text.inert import printable

#: What the part is called in its figures where its repository has no name yet.
UNNAMED = "this-part"
#: Data sets that commands open by name, as they are called on the Hub.
DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "digits": "ylecun/mnist",
        "torchvision:MNIST": "ylecun/mnist",
        "torchvision:FashionMNIST": "zalando-datasets/fashion_mnist",
        "torchvision:CIFAR10": "uoft-cs/cifar10",
        "torchvision:CIFAR100": "uoft-cs/cifar100",
    }
)
#: How the Hub calls what a verdict measures.
METRICS: Mapping[str, str] = MappingProxyType({"accuracy": "accuracy", "AUROC": "roc_auc"})


def metadata(manifest: Manifest) -> dict[str, Any]:
    """The header of a part's card; the same manifest gives the same."""
    said = together([*(part.origin.provenance for part in manifest.parts), *_joined(manifest.assembly)])
    licences = together(part.origin.provenance for part in manifest.parts).licences
    bases = list(dict.fromkeys(_bases(manifest)))
    datasets = list(dict.fromkeys(DATASETS[name] for name in said.data if name in DATASETS))
    verdict = manifest.parts[0].verdict if manifest.assembly is None else manifest.assembly.joined.verdict
    return {
        "library_name": "model-lego",
        "pipeline_tag": "image-classification",
        "tags": ["model-lego", "image-classification"],
        **licence_entries(tuple(printable(name) for name in licences)),
        **({"base_model": bases} if bases else {}),
        **({"datasets": datasets} if datasets else {}),
        **({} if verdict is None else _figures(verdict, said.data)),
    }


def _joined(assembly: AssemblyRecord | None) -> Iterator[Provenance]:
    """What is said of the joining of an assembly and of those in it."""
    if assembly is not None:
        yield assembly.joined.provenance
        for inner in assembly.made_of:
            if not isinstance(inner, int):
                yield from _joined(inner)


def _bases(manifest: Manifest) -> Iterator[str]:
    """The repositories on the Hub that a part was made of: parts, and the networks that others were cut from."""
    for said in _joined(manifest.assembly):
        yield from _parts_in(said)
    for part in manifest.parts:
        own = list(_parts_in(part.origin.provenance))
        yield from own or _network_of(part)


def _parts_in(said: Provenance) -> Iterator[str]:
    for revision in said.revisions:
        if is_on_hub(revision) and NAME.fullmatch(revision.partition(":")[2]):
            yield hub_name(revision).repository


def _network_of(part: PartRecord) -> Iterator[str]:
    """The repository with a part's source, where its weights came from one."""
    said = part.origin.provenance
    kind, _, name = (part.origin.builder.name if part.origin.builder else "").partition(":")
    if kind == "hf" and (found := NAME.fullmatch(name)):
        yield found[1]
    if kind == "timm" and said.revisions:
        from model_lego.models.of_timm import place_of

        try:
            repository, _ = place_of(name if "." in name else f"{name}.{said.revisions[0]}")
        except BadConfig:  # of another version of timm, or where there is none
            return
        yield from [repository] if repository and "://" not in repository else []


def _figures(verdict: Verdict, data: tuple[str, ...]) -> dict[str, Any]:
    """The verdict in the form in which the Hub shows figures, `model-index`."""
    metric = METRICS[verdict.measure]
    name = printable(data[0]) if data else "images of its maker"
    dataset = {"name": name, "type": DATASETS.get(data[0], "own-images") if data else "own-images"}
    measured = {"type": metric, "value": round(verdict.own / 100, 4), "name": verdict.measure}
    result = {"task": {"type": "image-classification"}, "dataset": dataset, "metrics": [measured]}
    return {"metrics": [metric], "model-index": [{"name": UNNAMED, "results": [result]}]}
