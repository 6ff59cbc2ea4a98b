"""Which regions an attention chose to look at, image by image: what "content-aware" means, to be drawn.

A module that cuts its map into `regions` x `regions` and has a method `choose(...)` that returns the indices
(N, regions * regions, k) of those that each attends to is watched; its result is not touched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn


class Watched:
    """The choices seen so far, by the module's name."""

    def __init__(self) -> None:
        self.parts: dict[str, list[np.ndarray]] = {}

    def see(self, name: str, indices: Tensor) -> None:
        """Keep a batch's choices."""
        kind = np.uint8 if indices.shape[1] <= 256 else np.uint16
        self.parts.setdefault(name, []).append(indices.cpu().numpy().astype(kind))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """(n, S*S, k) for each module, over all batches."""
        return {name: np.concatenate(parts) for name, parts in self.parts.items()}


@contextmanager
def watching(network: nn.Module) -> Iterator[Watched]:
    """While it is open, what the network's modules choose is kept. Other modules are left as they are."""
    watched, found = Watched(), []
    for name, module in network.named_modules():
        if callable(getattr(module, "choose", None)) and isinstance(getattr(module, "regions", None), int):
            # An attribute of the instance hides the method of its class until it is taken away again.
            object.__setattr__(module, "choose", partial(_choose, module.choose, watched, name))
            found.append(module)
    try:
        yield watched
    finally:
        for module in found:
            object.__delattr__(module, "choose")


def _choose(choose: Any, watched: Watched, name: str, *arguments: Any, **options: Any) -> Tensor:
    indices: Tensor = choose(*arguments, **options)
    watched.see(name, indices)
    return indices
