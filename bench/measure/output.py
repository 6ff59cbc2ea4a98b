"""Whether a network's output is one that can be trained and scored, found out on one image before hours are spent."""

from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.measure.images import random_images
from bench.quantities import DiceSpec


def refuse_other_outputs(network: nn.Module, spec: DiceSpec) -> None:
    """UserError where the network does not turn (N, channels, size, size) into one tensor (N, classes, size, size).

    The image has a generator of its own, so that a training that follows draws the same numbers with and without this.
    """
    image = random_images(1, spec.channels, spec.size)
    was = network.training
    with torch.no_grad():  # in inference mode, what a network keeps from its first call could not be trained with
        output = network.eval()(image)
    network.train(was)
    wanted = (1, spec.classes, spec.size, spec.size)
    if not isinstance(output, Tensor) or tuple(output.shape) != wanted:
        raise UserError(
            f"the network returns {_said(output)} for an image {tuple(image.shape)}; training and scoring need one "
            f"tensor {wanted}: return the main map alone, resized to the image"
        )


def _said(output: Any) -> str:
    """A short description of what came out."""
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, dict):
        return f"a dict of {', '.join(map(str, list(output)[:4]))}"
    if isinstance(output, list | tuple):
        return f"a {type(output).__name__} of {len(output)}"
    return f"a {type(output).__name__}"
