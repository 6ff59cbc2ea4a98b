"""What a network puts out in eval and in training mode: which maps, in which order, and what their values mean."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.errors import UserError, first_line
from bench.networks.activation import Meaning, fault_of, is_attention, is_flat, meaning_of
from bench.networks.output_maps import Place, chosen, told
from bench.networks.trials import Trials, trials


class Needs(NamedTuple):
    """The images that a network takes: pixels a side, and channels."""

    size: int
    channels: int


class Map(NamedTuple):
    """A map in an output: its place, its shape (classes, H, W) for one image, and what its values mean."""

    place: Place
    shape: tuple[int, ...]
    meaning: Meaning

    @property
    def told(self) -> str:
        """Its place and its shape."""
        return f"{told(self.place)} {self.shape}"


class Mode(NamedTuple):
    """The maps of an output in one mode, the main one first; the first `equal` of them may each be the prediction.

    `fault` says why they can't be trained or scored; empty if they can. `alone` is an output that is one tensor
    (N, classes, H, W).
    """

    maps: tuple[Map, ...] = ()
    equal: int = 1
    fault: str = ""
    alone: bool = False

    @property
    def candidates(self) -> tuple[Map, ...]:
        """The maps of which one is the prediction."""
        return self.maps[: self.equal]


def in_eval(network: nn.Module, needs: Needs, classes: int, known: Mapping[str, Any]) -> Mode:
    """What it puts out in eval mode. Raises UserError if there is no map, or none at the declared place."""
    found = trials(network, needs.channels, needs.size, classes, training=False)
    return _mode(found, known, _maps(found), training=False)


def in_training(network: nn.Module, needs: Needs, classes: int, known: Mapping[str, Any]) -> Mode:
    """What it puts out in training mode. A fault is told in the result, for only a training needs that it has none."""
    try:
        found = trials(network, needs.channels, needs.size, classes, training=True)
        maps, given = _maps(found), ", ".join(found.plain.shapes.values()) or "no tensor"
        if not maps:
            wanted = f"(2, {classes}, height, width)"
            return Mode(fault=f"in training mode its output for two images is {given}, without logits {wanted}")
        learned = [place for place in maps if place in found.plain.learned]
        if not learned:
            why = "take what makes it out of torch.no_grad(), detach() and thresholds"
            return Mode(
                fault=f"in training mode its output, {given}, has no gradient, so that nothing is learned; {why}"
            )
        return _mode(found, known, learned, training=True)
    except UserError as error:
        return Mode(fault=f"in training mode {error}")
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a network may raise anything
        said = f"{type(error).__name__}: {first_line(error)}"
        return Mode(fault=f"in training mode it raises {said}; its forward pass must take images alone")


def _maps(found: Trials) -> list[Place]:
    """The places of the maps: of what is not attention, keeps the images' ratio, and depends on pixels and weights."""
    places = [place for place in found.plain.maps if not is_attention(found.values(place))]
    if found.narrow:
        places = [place for place in places if place in found.narrow.maps] or places
    places = [place for place in places if not all(map(is_flat, found.values(place)))] or places
    return [place for place in places if not _is_fixed(place, found)] or places


def _is_fixed(place: Place, found: Trials) -> bool:
    """Whether the weights do not matter: it is a copy of the image, or a constant."""
    plain, others = found.plain.maps[place], [trial.maps.get(place) for trial in found.disturbed]
    return bool(others) and all(other is not None and torch.equal(plain, other) for other in others)


def _mode(found: Trials, known: Mapping[str, Any], places: Sequence[Place], training: bool) -> Mode:
    maps = {place: found.plain.maps[place] for place in places}
    if not maps:
        return Mode()
    order, equal = chosen(found.plain.steps, maps, known["main"])
    meant = {place: meaning_of(found.values(place), known["output"]) for place in order}
    needed = order if training else order[:equal]
    faults = [fault_of(found.values(place), meant[place], told(place)) for place in needed]
    read = tuple(Map(place, tuple(maps[place].shape[1:]), meant[place] or "logits") for place in order)
    if len(maps[order[0]]) == 1:  # of two it puts out none, or raises
        why = "take the number of images from the input: x.shape[0]"
        faults = [f"it takes one image at a time, and those of a batch are needed together; {why}"]
    alone = found.plain.shapes.get(()) == str(tuple(maps[order[0]].shape))
    return Mode(read, equal, next(filter(None, faults), ""), alone)
