"""The exported network: torch.export's graph, which tensor each placeholder stands for, and how to run it."""

import copy
import io
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import extract_tb
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind
from torch.utils._pytree import tree_leaves, tree_map_only, tree_unflatten

from model_lego.errors import RefusedError, ShapeMismatch, TraceFailed
from model_lego.graph.computed_biases import with_added_biases
from model_lego.graph.hooks import refuse_deciding_hooks
from model_lego.graph.inlining import inlined
from model_lego.graph.modules import device_of, find_tensor, first_line, hookless_copy, tied_names
from model_lego.graph.products import with_linear_layers
from model_lego.graph.quantisation import refuse_whole_numbers
from model_lego.parts.logits import place_of_logits

#: Folders whose lines of code are not the user's.
NOT_THE_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))
#: What torch.export says where it kept a tensor without values as a constant, and what the user has to look for.
LOST = "fake tensor in the exported program constant"
LEAVES = "its forward takes a value out of the graph, as `x.data` or `x.set_()` does; use x.detach(), or x itself"
#: Called before an operator runs: node and its arguments; gives the arguments to use.
Intercept = Callable[[fx.Node, tuple[Any, ...]], tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Program:
    """A network as a list of ATen operators.

    `tensors` maps a placeholder to the dotted name of its parameter, buffer or constant; `constants` holds those that
    are attributes of no module. `image` is the placeholder of the images, `output` the node whose value is returned.
    """

    module: fx.GraphModule
    tensors: Mapping[str, str]
    aliases: Mapping[str, tuple[str, ...]]  # tensor name -> every name of the same tensor in the model
    constants: Mapping[str, Tensor]
    image: str
    outputs: tuple[fx.Node, ...]
    image_shape: tuple[int, ...]  # channels x height x width
    batch: int  # number of images in the example whose shapes the nodes hold
    taken: str = ""  # which element of what the network gives are the logits, where it gives more than these

    @property
    def nodes(self) -> list[fx.Node]:
        """The nodes in the order in which they run."""
        return list(self.module.graph.nodes)

    @property
    def output(self) -> fx.Node:
        """The node that gives the logits."""
        return self.outputs[0]

    def canonical(self, name: str) -> str:
        """Tied tensors are one tensor: the first of their names stands for all."""
        return self.aliases.get(name, (name,))[0]

    def run(self, model: nn.Module, images: Tensor, intercept: Intercept | None = None) -> Tensor:
        """Run the graph on images with the tensors that `model` has now; gives the logits, batch x classes."""
        return self.run_by(Runner(self.module, intercept), model, images)

    def narrowed(
        self,
        model: nn.Module,
        images: Tensor,
        groups: Mapping[str, tuple[int, int]],
        sizes: Mapping[str, Mapping[int, int]] | None = None,
    ) -> tuple["Program", Tensor]:
        """The same operators on the tensors of a narrower network, without exporting it, and its logits.

        `groups` gives the nodes whose number of groups, or of channels that are normalised, is another one now: the
        place of that argument, and the number. `sizes` gives the views whose result has other sizes, by dimension.
        Only for networks that have no number of channels written into them elsewhere.
        """
        graph = copied(self.module.graph)
        for node in graph.nodes:
            if node.name in groups:
                place, number = groups[node.name]
                node.update_arg(place, number if isinstance(node.args[place], int) else [number])
            for dim, size in (sizes or {}).get(node.name, {}).items():
                shape = list(node.args[1])
                node.update_arg(1, [*shape[:dim], size if type(shape[dim]) is int else shape[dim], *shape[dim + 1 :]])
        for node in graph.find_nodes(op="placeholder"):
            if not node.users and node.name != self.image:  # of a module that the cut network does not have
                graph.erase_node(node)
        module = fx.GraphModule(self.module, graph)
        outputs = {node.name for node in self.outputs}
        found = tuple(node for node in graph.nodes if node.name in outputs)
        program = replace(self, module=module, outputs=found, batch=len(images))
        return program, program.run_by(_Recorder(module, None), model, images)

    def run_by(self, runner: "Runner", model: nn.Module, images: Tensor) -> Tensor:
        """`run`, by a runner of one's own."""
        values = []
        for node in self.module.graph.find_nodes(op="placeholder"):
            values.append(images if node.name == self.image else self.tensor(model, self.tensors[node.name]))
        result = runner.run(*values)
        logits: Tensor = result[0] if isinstance(result, tuple | list) else result
        return logits

    def tensor(self, model: nn.Module, name: str) -> Tensor:
        """Find a parameter, buffer, tensor attribute or lifted constant by its dotted name."""
        found = find_tensor(model, name)
        return self.constants[name].to(device_of(model)) if found is None else found


def copied(graph: fx.Graph) -> fx.Graph:
    """A copy of a graph whose nodes are called as they were."""
    twin = copy.deepcopy(graph)
    for node, original in zip(twin.nodes, graph.nodes, strict=True):
        node.name = original.name  # a copy calls "input" otherwise
    return twin


class Runner(fx.Interpreter):
    """Runs the graph node by node and frees values after their last use."""

    def __init__(self, module: fx.GraphModule, intercept: Intercept | None) -> None:
        super().__init__(module, garbage_collect_values=True)
        self.intercept = intercept

    def run_node(self, n: fx.Node) -> Any:
        """Run one operator, after the intercept has heard of it."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        if n.op == "call_function" and self.intercept is not None:
            args = self.intercept(n, args)
        return getattr(self, n.op)(n.target, args, kwargs)


class _Recorder(Runner):
    """Writes the shapes that it meets into the graph."""

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.op != "output":
            n.meta["val"] = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), value)
        return value


class SizeRecorder(Runner):
    """Writes the sizes that only the numbers of a tensor tell (how many edges a mask leaves) into the graph."""

    def run_node(self, n: fx.Node) -> Any:
        """Run one operator and note what it gives, where its size was not known."""
        value = super().run_node(n)
        if n.op == "call_function" and has_computed_size(n):
            n.meta["val"] = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), value)
        return value


def has_computed_size(node: fx.Node) -> bool:
    """Whether a size of what a node gives depends on the numbers of a tensor."""
    from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

    return any(
        isinstance(leaf, Tensor | torch.SymInt | torch.SymBool) and bool(free_unbacked_symbols(leaf))
        for leaf in tree_leaves(node.meta.get("val"))
    )


def mark_batch(module: fx.GraphModule, batch: torch.SymInt) -> None:
    """Note for each node whether what it gives grows with the number of images."""
    symbols = batch.node.expr.free_symbols
    for node in module.graph.nodes:
        sizes = [size for leaf in tree_leaves(node.meta.get("val")) for size in getattr(leaf, "shape", (leaf,))]
        free = [size.node.expr.free_symbols for size in sizes if isinstance(size, torch.SymInt)]
        node.meta["by_batch"] = any(symbols & found for found in free)


def export_program(model: nn.Module, example: Tensor, *, training: bool = False) -> Program:
    """Turn a network into a Program; the model is left as it is.

    `example` is one image or a batch (B x C x H x W). Raises TraceFailed where torch.export cannot follow the network,
    ShapeMismatch where the example does not fit it, RefusedError for a network that has no values.
    """
    refuse_whole_numbers(model)
    if scripted := [path for path, module in model.named_modules() if isinstance(module, torch.jit.ScriptModule)]:
        place = f"layer '{scripted[0]}'" if scripted[0] else "the network"
        raise RefusedError(f"{place} was compiled by torch.jit; take the Python module that it was made of")
    if absent := [name for name, tensor in (*model.named_parameters(), *model.named_buffers()) if tensor.is_meta]:
        raise RefusedError(f"'{absent[0]}' is on the meta device, where tensors have no values; load the weights first")
    twin = hookless_copy(model, share=model.parameters()).train(training)  # export runs it on tensors without numbers
    images = example.detach()[:1].repeat(2, *[1] * (example.dim() - 1))
    if not training:
        refuse_deciding_hooks(model, images)
    if any(p.is_floating_point() and p.dtype != images.dtype for p in twin.parameters()):
        refuse_misfits(model, images, training=training)  # export does not look at data types
    return _exported(model, twin, images)


def _exported(model: nn.Module, twin: nn.Module, images: Tensor) -> Program:
    """The program of a network's twin, in training or evaluation as the twin is."""
    try:
        with silence():  # it would print what we raise
            exported = torch.export.export(twin, (images,), dynamic_shapes=({0: torch.export.Dim.AUTO},), strict=False)
    except Exception as error:
        refuse_misfits(model, images, training=twin.training)
        raise TraceFailed(f"torch.export cannot follow {type(model).__name__}: {_where(error)}") from error
    return _program(exported, twin, images)


@contextmanager
def silence() -> Iterator[None]:
    """Keep the log quiet, and what is written to stderr unless it ends well."""
    before, said = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(said):
            yield
    finally:
        logging.disable(before)
    sys.stderr.write(said.getvalue())


def refuse_misfits(model: nn.Module, images: Tensor, *, training: bool = False) -> None:
    """Raise ShapeMismatch where it is the images that a network cannot take."""
    try:
        with torch.no_grad():
            hookless_copy(model).train(training)(images.clone())
    except Exception as error:
        raise ShapeMismatch(
            f"the network does not run on images of shape {tuple(images.shape[1:])} ({images.dtype}): "
            f"{first_line(error)}"
        ) from error


def _keep_batches(module: fx.GraphModule) -> None:
    """Let what squeezes all dimensions squeeze those of size 1 in the example: of one image the batch is one, too."""
    for node in module.graph.find_nodes(op="call_function", target=torch.ops.aten.squeeze.default):
        sizes = node.args[0].meta["val"].shape
        dims = [dim for dim, size in enumerate(sizes) if isinstance(size, int) and size == 1]
        node.target, node.args = torch.ops.aten.squeeze.dims, (node.args[0], dims)


def _program(exported: torch.export.ExportedProgram, twin: nn.Module, images: Tensor) -> Program:
    tensors: dict[str, str] = {}
    image = ""
    for spec in exported.graph_signature.input_specs:
        if spec.kind == InputKind.USER_INPUT:
            image = spec.arg.name
        elif spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            tensors[spec.arg.name] = str(spec.target)
        else:
            raise TraceFailed(f"the network takes an input of kind {spec.kind.name} ('{spec.target}')")
    module = with_linear_layers(inlined(exported.graph_module, images.dtype), image)
    module = with_added_biases(module, image)
    (final,) = module.graph.find_nodes(op="output")
    mutations = len(exported.graph_signature.buffers_to_mutate)
    given = final.args[0][mutations:]
    spec, taken = exported.call_spec.out_spec, ""
    if not twin.training and spec is not None:
        logits, taken = place_of_logits(tree_unflatten(given, spec))
        given = (logits,)
        final.args = (given,)  # what else it gives is still computed, and cut as the network is
    outputs = tuple(node for node in given if isinstance(node, fx.Node))
    batch = module.graph.find_nodes(op="placeholder")
    shape = next(node.meta["val"].shape for node in batch if node.name == image)
    if not isinstance(shape[0], torch.SymInt) or shape[0].node.expr.is_number:
        raise TraceFailed(
            f"{type(twin).__name__} has the batch size written into its forward; "
            "take it from x.size(0), or use flatten(1), so that any batch size runs"
        )
    mark_batch(module, shape[0])
    _keep_batches(module)
    names = tied_names(twin)
    program = Program(
        module=module,
        tensors=tensors,
        aliases={name: names.get(name, (name,)) for name in tensors.values()},
        constants={name: value for name, value in exported.constants.items() if isinstance(value, Tensor)},
        image=image,
        outputs=outputs,
        image_shape=tuple(images.shape[1:]),
        batch=len(images),
        taken=taken,
    )
    if any(map(has_computed_size, program.nodes)):
        with torch.no_grad():
            program.run_by(SizeRecorder(program.module, None), twin, images.clone())
    return program


def _where(error: Exception) -> str:
    """The cause and the user's own line, as torch.export names it, or as the error came up."""
    if LOST in str(error):
        return LEAVES
    stack = extract_tb(error.__traceback__)
    frames = [f'File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in stack]
    named = [line.strip() for line in str(error).splitlines() if line.strip().startswith("File ")]
    place = [line for line in (*frames, *named) if not any(folder in line for folder in NOT_THE_USERS)]
    return f"{first_line(error)} ({place[-1]})" if place else first_line(error)
