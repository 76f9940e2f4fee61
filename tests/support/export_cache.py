"""What torch.export made of a network once, kept for other tests, other test processes and later runs."""

import gzip
import hashlib
import io
import os
import pickle
import sys
import tempfile
from collections import OrderedDict
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx._graph_pickler import GraphPickler, Options
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._pytree import tree_leaves, tree_map_only

from model_lego.graph import program
from tests.support.code_digest import ROOT, UnknownCode, code_text

#: Programs that are kept in memory, those that were asked for last.
KEPT = 300
#: Bytes that the folder may hold; what was asked for last stays.
MOST_BYTES = 200 * 2**20
#: What is kept of a node: what the library reads.
META = ("by_batch", "nn_module_stack", "stack_trace", "val")
#: Stands for the checkout in traces.
HERE = "<checkout>"


class Fingerprint(pickle.Pickler):
    """Pickles what a network is: its classes, its attributes, and of each tensor the layout.

    Parameters, buffers and images have no numbers while torch.export looks at them; of other tensors those count.
    `named` are the classes and functions that the pickle only names.
    """

    def __init__(self, stream, model, images):
        super().__init__(stream)
        self.inputs = {id(tensor) for tensor in (*model.parameters(), *model.buffers(), images)}
        self.named = []

    def reducer_override(self, obj):
        if not isinstance(obj, Tensor):
            if callable(obj) and hasattr(obj, "__qualname__"):
                self.named.append(obj)
            return NotImplemented
        layout = (type(obj), str(obj.dtype), str(obj.device), tuple(obj.shape), obj.stride(), obj.requires_grad)
        return tuple, ((*layout, None if id(obj) in self.inputs else obj.tolist()),)


class ExportCache:
    """`program._exported` with a memory and a folder; what it gives is the same, and so is all that follows."""

    def __init__(self, export, folder):
        self.export, self.code, self.folder = export, code_text([export]), folder
        self.memory = OrderedDict()

    def __call__(self, model, twin, images):
        stream = io.BytesIO()
        fingerprint = Fingerprint(stream, twin, images)
        try:
            fingerprint.dump((twin, images))
        except Exception:  # each kind of module has its own way to refuse
            return self.export(model, twin, images)
        layout = stream.getvalue()
        if layout not in self.memory:
            entry = self._entry(layout, fingerprint.named)
            known = read(entry) if entry else None
            if known is None:
                known = self.export(model, twin, images)
                if any(map(is_measured, known.nodes)):
                    return known  # tells of the numbers of these tensors
                if entry:
                    write(entry, known)
            self.memory[layout] = known  # whoever asks gets a graph of its own
        self.memory.move_to_end(layout)
        if len(self.memory) > KEPT:
            self.memory.popitem(last=False)
        return afresh(self.memory[layout])

    def _entry(self, layout, named):
        """The file of a network, named by all that its program depends on; None where that cannot be told."""
        try:
            code = code_text(named)
        except UnknownCode:
            return None
        state = (sys.version, sys.prefix, torch.__version__, torch.backends.cpu.get_cpu_capability())
        modes = (torch.is_grad_enabled(), str(torch.get_default_dtype()))
        text = repr((state, modes, META, self.code, code)).replace(str(ROOT), HERE)  # another checkout finds it, too
        return self.folder / hashlib.blake2b(text.encode() + layout, digest_size=20).hexdigest()


def take_part():
    """Let this process take what others have kept, and keep for them what torch.export gives."""
    program._exported = ExportCache(program._exported, folder())


def folder():
    """Beside the environments: what is kept of a run is in one place."""
    return Path(os.environ.get("MODEL_LEGO_VENVS") or ROOT / ".venv").expanduser().absolute() / "exports"


def is_measured(node):
    """Whether a node holds a size that only the numbers of a tensor told."""
    leaves = tree_leaves(node.meta.get("val"))
    return any(isinstance(leaf, Tensor) and not isinstance(leaf, torch._subclasses.FakeTensor) for leaf in leaves)


def look(tensor):
    """All that a tensor without numbers is."""
    sizes = (*tensor.shape, *tensor.stride(), tensor.storage_offset())
    return type(tensor), tensor.dtype, tensor.device, tensor.requires_grad, tuple(map(str, sizes))


def afresh(known):
    """The same program with a graph of its own, which may be written to."""
    graph = program.copied(known.module.graph)
    nodes = {node.name: node for node in graph.nodes}
    outputs = tuple(nodes[node.name] for node in known.outputs)
    return replace(known, module=fx.GraphModule(known.module, graph), outputs=outputs)


def write(entry, known):
    """Keep a program; another process that writes the same entry does no harm."""
    twin, values = afresh(known), {}
    for node in twin.nodes:
        node.meta = {name: node.meta[name] for name in META if name in node.meta}
        if "val" in node.meta:  # to read a tensor takes long: those that look the same are kept once
            node.meta["val"] = tree_map_only(Tensor, lambda x: values.setdefault(look(x), x), node.meta["val"])
        if "stack_trace" in node.meta:
            node.meta["stack_trace"] = node.meta["stack_trace"].replace(str(ROOT), HERE)
    values = {field.name: getattr(twin, field.name) for field in fields(twin) if field.name != "outputs"}
    names = [node.name for node in twin.nodes], [node.name for node in twin.outputs]
    options = Options(ops_filter=None, node_metadata_key_filter=None)
    try:
        body = gzip.compress(GraphPickler.dumps((values, *names), options), 1)
    except Exception:  # of a kind that cannot be pickled: for this process only
        return
    entry.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=entry.parent, prefix=".", delete=False) as file:
        file.write(hashlib.blake2b(body).digest() + body)
    Path(file.name).replace(entry)


def read(entry):
    """What was kept; None where there is nothing, or nothing that can be read."""
    try:
        content = entry.read_bytes()
        digest, body = content[:64], content[64:]
        if hashlib.blake2b(body).digest() != digest:
            return None
        mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
        values, names, outputs = GraphPickler.loads(gzip.decompress(body), mode)
        os.utime(entry)  # asked for just now
    except Exception:  # whatever a damaged file makes of itself
        return None
    graph = values["module"].graph
    for node, name in zip(graph.nodes, names, strict=True):
        node.name = name  # a new graph calls "input" otherwise
        if "stack_trace" in node.meta:
            node.meta["stack_trace"] = node.meta["stack_trace"].replace(HERE, str(ROOT))
    nodes = {node.name: node for node in graph.nodes}
    return program.Program(**values, outputs=tuple(nodes[name] for name in outputs))


def prune(folder, most=MOST_BYTES):
    """Remove what was not asked for longest, until the rest fits; other processes may do so as well."""
    files = []
    for file in folder.glob("*"):
        with suppress(FileNotFoundError):
            files.append((file.stat().st_mtime, file.stat().st_size, file))
    total = 0
    for _, size, file in sorted(files, reverse=True):
        total += size
        if total > most:
            file.unlink(missing_ok=True)
