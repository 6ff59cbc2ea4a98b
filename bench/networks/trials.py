"""Trial runs of a network on random images: of other values, other widths, and with disturbed weights.

They happen on a copy, which is thrown away. Random generators are not affected.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.errors import is_out_of_memory
from bench.networks.output_maps import Place, maps_in, shape_of, steps_of, tensors_in

LOUD = 8.0  # values of the second image, in standard deviations around 0; those of the first are in [0, 1)
STRENGTHS = (4.0, 2.0, 1.0, 0.5, 0.25)  # weights are multiplied by the first of these at which the output stays finite
ONE_NUMBER = 0.5  # standard deviation of what is added to biases and to the weights of norms
NARROWER = 32  # pixels; networks that halve the image up to five times take such a width; others perhaps half or twice


class Trial(NamedTuple):
    """What a network put out for some images.

    `maps` may be predictions; those of them that are `learned` have a gradient. `shapes` are of all tensors in the
    output, `steps` the keys or indices of its parts.
    """

    maps: dict[Place, Tensor]
    learned: frozenset[Place]
    shapes: dict[Place, str]
    steps: list[Any]


class Trials(NamedTuple):
    """The trials in one mode: with the weights as they are, disturbed, and of images of another width."""

    plain: Trial
    disturbed: list[Trial]
    narrow: Trial | None

    def values(self, place: Place) -> list[Tensor]:
        """The maps at a place in all trials that have one there."""
        every = [self.plain, *self.disturbed, *([self.narrow] if self.narrow else [])]
        return [trial.maps[place] for trial in every if place in trial.maps]


@contextmanager
def scratch(network: nn.Module) -> Iterator[tuple[nn.Module, dict[str, Tensor]]]:
    """A copy of the network, and the weights and buffers that it starts with.

    If it cannot be copied it is the network itself, whose tensors are put back at the end.
    """
    try:
        other = copy.deepcopy(network)
        kept = _tensors(network)
    except Exception:  # noqa: BLE001 - whatever a stranger's attributes raise
        other, kept = network, {name: tensor.detach().clone() for name, tensor in _tensors(network).items()}
    modes = {module: module.training for module in network.modules()}
    try:
        with torch.random.fork_rng(devices=[]):
            yield other, kept
    finally:
        if other is network:
            put_back(network, kept)
            for module, mode in modes.items():
                module.training = mode


@torch.no_grad()
def put_back(network: nn.Module, kept: dict[str, Tensor]) -> None:
    """Give a network's weights and buffers these values again."""
    for name, tensor in _tensors(network).items():
        if name in kept and tensor.shape == kept[name].shape:
            tensor.copy_(kept[name])


@torch.no_grad()
def disturb(network: nn.Module, strength: float = 1.0, seed: int = 0) -> None:
    """Multiply the weights of layers by `strength` and add noise to all, in place, so that none is zero."""
    generator = torch.Generator().manual_seed(seed)
    for weight in network.parameters():
        if not weight.is_floating_point():
            continue
        noise = torch.randn(weight.shape, generator=generator).to(weight)
        if weight.dim() > 1:
            weight.mul_(strength).add_(noise, alpha=strength / math.sqrt(weight[0].numel()))
        else:
            weight.add_(noise, alpha=ONE_NUMBER)


def trials(network: nn.Module, channels: int, size: int, classes: int, training: bool) -> Trials:
    """The outputs in one mode. Raises whatever the network raises for the first images."""
    with scratch(network) as (other, kept):
        other.train(training)
        torch.manual_seed(0)
        images, plain = _first(other, channels, size, classes)
        disturbed = [_disturbed(other, kept, images, classes, seed) for seed in range(1 if training else 2)]
        put_back(other, kept)
        widths = (size - NARROWER if size > NARROWER else size + NARROWER, size // 2, size * 2)
        others = (_tried(other, torch.rand(len(images), channels, size, width), classes) for width in widths)
        narrow = next((trial for trial in others if trial and trial.maps), None)
    return Trials(plain, [trial for trial in disturbed if trial], narrow)


def _disturbed(
    network: nn.Module, kept: dict[str, Tensor], images: Tensor, classes: int, seed: int
) -> Trial | None:  # fmt: skip
    """A trial with weights disturbed as strongly as keeps the maps finite; None if they never are."""
    for strength in STRENGTHS:
        put_back(network, kept)
        disturb(network, strength, seed)
        trial = _tried(network, images, classes)
        if trial and _finite(trial):
            return trial
    return None


def _first(network: nn.Module, channels: int, size: int, classes: int) -> tuple[Tensor, Trial]:
    """The trial of two images, one of them loud, else two in [0, 1), else one: not every network takes all of them."""
    quiet = torch.rand(2, channels, size, size)
    loud = torch.stack([quiet[0], LOUD * torch.randn(channels, size, size)])
    for images in (loud, quiet):
        trial = _tried(network, images, classes, grad=True)
        if trial and _finite(trial):
            return images, trial
    try:
        return quiet, _run(network, quiet, classes, grad=True)
    except Exception:
        if trial := _tried(network, quiet[:1], classes, grad=True):
            return quiet[:1], trial
        raise


def _tried(network: nn.Module, images: Tensor, classes: int, grad: bool = False) -> Trial | None:
    """A trial, or None if the network raises."""
    try:
        return _run(network, images, classes, grad)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return None


def _run(network: nn.Module, images: Tensor, classes: int, grad: bool = False) -> Trial:
    with torch.set_grad_enabled(grad and network.training):
        output = network(images)
    maps = maps_in(output, images, classes)
    learned = frozenset(place for place, one in maps.items() if one.requires_grad)
    shapes = {place: shape_of(one) for place, one in tensors_in(output)}
    values = {place: one.detach().float().clone() for place, one in maps.items()}  # it may be one of the weights
    return Trial(values, learned, shapes, steps_of(output))


def _finite(trial: Trial) -> bool:
    return all(bool(one.isfinite().all()) for one in trial.maps.values())


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return dict(chain(network.named_parameters(), network.named_buffers()))
