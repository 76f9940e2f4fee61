"""torch.export takes half of the time of these tests: what it has made of a network once is handed out again."""

import gc
import hashlib
import io
import pickle
from collections import OrderedDict
from dataclasses import replace

import pytest
from torch import Tensor, fx

from model_lego.graph import program

#: Exported networks that are kept, those that were asked for last.
KEPT = 300


class Fingerprint(pickle.Pickler):
    """Pickles what a network is: its classes, its attributes, and of each tensor the layout.

    Parameters, buffers and images have no numbers while torch.export looks at them; of other tensors those count.
    """

    def __init__(self, stream, model, images):
        super().__init__(stream)
        self.inputs = {id(tensor) for tensor in (*model.parameters(), *model.buffers(), images)}

    def reducer_override(self, obj):
        if not isinstance(obj, Tensor):
            return NotImplemented
        layout = (type(obj), str(obj.dtype), str(obj.device), tuple(obj.shape), obj.stride(), obj.requires_grad)
        return tuple, ((*layout, None if id(obj) in self.inputs else obj.tolist()),)


def fingerprint(model, images):
    """A digest of a network and the layout of its images; None of one that cannot be pickled, like a local class."""
    stream = io.BytesIO()
    try:
        Fingerprint(stream, model, images).dump((model, images))
    except Exception:  # each kind of module has its own way to refuse
        return None
    return hashlib.blake2b(stream.getvalue()).digest()


def afresh(known):
    """The same program with a graph of its own, which may be written to."""
    graph = program.copied(known.module.graph)
    nodes = {node.name: node for node in graph.nodes}
    outputs = tuple(nodes[node.name] for node in known.outputs)
    return replace(known, module=fx.GraphModule(known.module, graph), outputs=outputs)


@pytest.fixture(autouse=True, scope="session")
def seldom_collected():
    """Leave what is imported to itself, and look for cycles less often: that took a fifteenth of the time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.fixture(autouse=True, scope="session")
def exported_once():
    """`program._exported` with a memory; what it gives is the same, and so is all that follows from it."""
    export, known = program._exported, OrderedDict()

    def remembered(model, twin, images):
        key = fingerprint(twin, images)
        if key is None:
            return export(model, twin, images)
        if key not in known:
            known[key] = afresh(export(model, twin, images))
        known.move_to_end(key)
        if len(known) > KEPT:
            known.popitem(last=False)
        return afresh(known[key])

    program._exported = remembered
    yield
    program._exported = export
