"""Scores of channels over which queries and keys are multiplied, wherever a forward lays its heads."""

import torch
from torch import nn

from model_lego.budgets.sensitivity import sense
from model_lego.cutting.masking import masked_run
from model_lego.cutting.tracing import trace
from model_lego.graph import keep_all, select

HEADS, WIDTH = 3, 4


class Attention(nn.Module):
    """Attention by hand, with its heads in a dimension of their own, or along the batch."""

    def __init__(self, *, flat: bool) -> None:
        super().__init__()
        self.flat = flat
        self.patch = nn.Conv2d(3, 12, 2, stride=2)
        self.queries, self.keys, self.values = (nn.Linear(12, HEADS * WIDTH) for _ in range(3))
        self.project, self.head = nn.Linear(HEADS * WIDTH, 12), nn.Linear(12, 4)

    def parted(self, x):
        batch, length, _ = x.shape
        x = x.reshape(batch, length, HEADS, WIDTH).transpose(1, 2)
        return x.reshape(batch * HEADS, length, WIDTH) if self.flat else x

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        batch, length, _ = x.shape
        queries, keys, values = (self.parted(layer(x)) for layer in (self.queries, self.keys, self.values))
        mixed = (queries @ keys.transpose(-1, -2)).softmax(-1) @ values
        mixed = mixed.reshape(batch, HEADS, length, WIDTH).transpose(1, 2).reshape(batch, length, HEADS * WIDTH)
        return self.head((x + self.project(mixed)).mean(1))


def both():
    torch.manual_seed(0)
    apart, flat = Attention(flat=False).double().eval(), Attention(flat=True).double().eval()
    flat.load_state_dict(apart.state_dict())
    return apart, flat


def test_heads_along_the_batch_score_as_heads_in_a_dimension_do():
    images = torch.randn(7, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    changes = []
    for model in both():
        graph = trace(model, images[:2])
        (product,) = graph.products
        changes.append(sense(model, graph, images, classes=range(4), seed=0)[product.node].change)
    assert len(changes[0]) == HEADS * WIDTH
    assert bool((changes[0] > 0).all())
    assert torch.allclose(*changes, rtol=1e-9)


def test_any_number_of_images_is_masked_where_heads_lie_along_the_batch():
    images = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for model in both():
        graph = trace(model, images[:2])
        assert torch.allclose(masked_run(model, graph, keep_all(graph), images), model(images))
        wanted = torch.ones(graph.width, dtype=torch.bool)
        wanted[graph.groups[0].channels[:2]] = False
        few = select(graph, wanted, logits=range(4))
        assert torch.allclose(masked_run(model, graph, few, images)[:2], masked_run(model, graph, few, images[:2]))
