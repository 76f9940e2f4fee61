"""Running a network over many batches, as fast as its device allows, with an ear on every operator."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from model_lego.graph.channels_last import InnermostRunner, innermost, pays
from model_lego.graph.modules import first_parameter
from model_lego.graph.program import Intercept, Program, Runner
from model_lego.parts.logits import main_logits

#: Bytes of the largest activation that each thread of a CPU works on at once: small enough for its cache.
CACHED_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """A network made ready: its tensors found, and how many images run at once (None: all).

    On a CPU, convolutions and pools in float32 are fastest channels-last, and a batch in portions whose
    activations stay in the cache.
    """

    program: Program
    values: tuple[Tensor | None, ...]  # of the placeholders, None for the images
    like: Tensor  # of the network's data type, on its device
    at_once: int | None
    channels_last: bool

    def portions(self, images: Tensor) -> tuple[Tensor, ...]:
        """Split a batch into the images that run at once, on the network's device and in its data type."""
        images = images.to(self.like)
        if self.at_once is None or not len(images):
            return (images,)
        size = math.ceil(len(images) / math.ceil(len(images) / self.at_once))
        return tuple(images.split(size))

    def run(self, images: Tensor, intercept: Intercept | None = None) -> Tensor:
        """Logits of one portion, batch x classes."""
        if self.channels_last:
            images = innermost(images)
        runner = (InnermostRunner if self.channels_last else Runner)(self.program.module, intercept)
        return main_logits(runner.run(*(images if value is None else value for value in self.values)))


def running(program: Program, model: nn.Module) -> Running:
    """Make a network ready to run with the tensors that it has now."""
    like = first_parameter(model)
    on_cpu, channels_last = like.device.type == "cpu", pays(program, model)
    values: list[Tensor | None] = []
    for node in program.module.graph.find_nodes(op="placeholder"):
        tensor = None if node.name == program.image else program.tensor(model, program.tensors[node.name]).detach()
        values.append(innermost(tensor) if tensor is not None and channels_last else tensor)
    return Running(program, tuple(values), like, _at_once(program) if on_cpu else None, channels_last)


def _at_once(program: Program) -> int:
    """How many images: not so few that reading the weights again takes more than reading the activations."""
    activations, weights = [1], 0
    for node in program.nodes:
        size = sum(t.numel() * t.element_size() for t in tree_leaves(node.meta.get("val")) if isinstance(t, Tensor))
        if node.name in program.tensors:
            weights += int(size)
        elif node.op != "output" and node.meta["by_batch"]:
            activations.append(int(size) // program.batch)
    return max(CACHED_BYTES * torch.get_num_threads() // max(activations), weights // sum(activations), 1)
