"""Train the demo's small classifiers: a plain loop, a few epochs, seeded."""

import torch
from torch import nn
from torch.nn import functional as F

from model_lego.data.sets import Batched
from model_lego.progress import Progress, quiet


def train(model: nn.Module, batches: Batched, *, epochs: int, seed: int, progress: Progress = quiet) -> nn.Module:
    """Train with Adam on a one-cycle schedule; gives the model in eval mode."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    total = epochs * len(batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=total)
    images, labels = (torch.cat(found) for found in zip(*batches, strict=True))
    generator = torch.Generator().manual_seed(seed)
    done = 0
    model.train()
    for _ in range(epochs):
        for places in torch.randperm(len(images), generator=generator).split(batches.batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(images[places]), labels[places]).backward()
            optimizer.step()
            schedule.step()
            done += 1
            progress("training", done, total)
    return model.eval()
