"""The images that networks are measured on where no data set is needed."""

import torch
from torch import Tensor


def random_images(batch: int, channels: int, size: int) -> Tensor:
    """(batch, channels, size, size) in float32, values in [0, 1): the same each time, from a generator of its own."""
    return torch.rand(batch, channels, size, size, generator=torch.Generator().manual_seed(0))
