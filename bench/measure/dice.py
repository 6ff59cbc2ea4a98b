"""Scores a trained network on a split, for each image and class and for each volume and class."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bench.data.prepared import Prepared, normalized
from bench.data.sample import Sample
from bench.errors import UserError
from bench.measure import scores
from bench.measure.attention import attended_regions
from bench.measure.switches import random_images
from bench.quantities import DiceSpec, ImageScore, VolumeScore
from bench.quantities.scores import SCORES

BATCH = 8
VOLUME_SCORES = [
    name for name, score in SCORES.items() if not score.counts
]  # others are computed from the counts of slices
UNDEFINED = dict.fromkeys(VOLUME_SCORES, math.nan)

Done = Callable[[int], object]


@dataclass(frozen=True)
class Scored:
    """Scores by image and class, by volume and class, and the unit of all their distances.

    `predictions` are the label maps, uint8 (n, size, size), in the order of the prepared images and at the network's
    size. `regions` are the regions selected by its attentions, as returned by `attended_regions`.
    """

    images: tuple[ImageScore, ...]
    volumes: tuple[VolumeScore, ...]
    distance_unit: Literal["px", "mm"]
    predictions: np.ndarray
    regions: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Case:
    """Label maps of one image (H, W) or volume (D, H, W), the spacing of its file, if any, and the labels to score."""

    id: str
    volume: str
    spacing: tuple[float, ...]
    prediction: np.ndarray
    truth: np.ndarray
    labels: range

    def scores(self, names: Iterable[str], label: int, spacing: Sequence[float] | None) -> dict[str, float]:
        masks = self.prediction == label, self.truth == label
        return {name: getattr(scores, name)(*masks, spacing) for name in names}


def score(
    network: nn.Module, prepared: Prepared, device: torch.device, originals: Sequence[Sample] = (),
    done: Done = lambda count: None,
) -> Scored:  # fmt: skip
    """Predict every image of `prepared` in eval mode and compare it with its mask.

    `done` is called with the number scored.

    Label maps are compared at the network's size. With `originals`, the samples that were prepared, each prediction is
    first resized to the size of its original mask by nearest neighbor. Slices of a volume, which must be consecutive
    and in order, are also stacked to compute distances in 3-D; if slices are missing, the others are treated as
    adjacent. Distances are in millimeters if all `originals` have a spacing, else in pixels of size 1: a mean over both
    would have no unit.
    """
    network.eval()
    in_mm = bool(originals) and all(original.spacing for original in originals)
    images: list[ImageScore] = []
    volumes: dict[tuple[str, int], VolumeScore] = {}
    predictions = np.zeros(tuple(prepared.masks.shape), np.uint8)
    with attended_regions(network) as regions:
        every = _cases(network, prepared, device, originals, predictions, done)
        for volume, cases in groupby(every, lambda case: case.volume):
            slices = []
            for case in cases:
                images += _image_scores(case, case.spacing[-2:] if in_mm else None)
                slices += [case] if volume else []
            whole = _whole(slices)
            for label in slices[0].labels if slices else ():
                # The volume appears again after another one: neither part is complete, and keeping all slices would
                # cost memory.
                values = UNDEFINED
                if whole and (volume, label) not in volumes:
                    values = whole.scores(VOLUME_SCORES, label, whole.spacing if in_mm else None)
                volumes[volume, label] = VolumeScore(volume=volume, label=label, **values)
    return Scored(tuple(images), tuple(volumes.values()), "mm" if in_mm else "px", predictions, regions)


def label_maps(logits: Tensor) -> Tensor:
    """Class numbers uint8 (N, H, W) from logits (N, maps, H, W): probability over 0.5 for one map, else the argmax."""
    return (logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1)).to(torch.uint8)


def _cases(
    network: nn.Module, prepared: Prepared, device: torch.device, originals: Sequence[Sample], kept: np.ndarray,
    done: Done,
) -> Iterator[_Case]:  # fmt: skip
    """Predict batch by batch into `kept`. `done` is called after all cases of a batch have been consumed."""
    for start in range(0, len(prepared), BATCH):
        with torch.inference_mode():
            logits = network(normalized(prepared.images[start : start + BATCH].to(device)))
            predictions = label_maps(logits).cpu().numpy()
        kept[start : start + BATCH] = predictions
        labels = range(1, max(2, logits.shape[1]))
        for index, prediction in enumerate(predictions, start):
            original = originals[index] if originals else None
            truth = original.mask() if original else prepared.masks[index].numpy()
            volume, spacing = (original.volume, original.spacing) if original else ("", ())
            sized = np.asarray(Image.fromarray(prediction).resize(truth.shape[::-1], Image.Resampling.NEAREST))
            yield _Case(prepared.ids[index], volume, spacing, sized, truth, labels)
        done(min(start + BATCH, len(prepared)))


def _image_scores(case: _Case, spacing: Sequence[float] | None) -> Iterator[ImageScore]:
    for label in case.labels:
        tp, fp, fn = scores.counts(case.prediction == label, case.truth == label)
        values = case.scores(SCORES, label, spacing)
        yield ImageScore(id=case.id, label=label, tp=tp, fp=fp, fn=fn, volume=case.volume, **values)


def _whole(slices: list[_Case]) -> _Case | None:
    """The slices of one volume as one case; None if their shapes or spacings differ."""
    if len({(case.truth.shape, case.spacing) for case in slices}) != 1:
        return None
    prediction, truth = np.stack([case.prediction for case in slices]), np.stack([case.truth for case in slices])
    return replace(slices[0], prediction=prediction, truth=truth)


# ---- before a training -----------------------------------------------------------------------------------------------


def refuse_other_outputs(network: nn.Module, spec: DiceSpec) -> None:
    """Raise UserError unless the network maps (N, channels, size, size) to one tensor (N, classes, size, size).

    The image has its own generator, so this check does not change the random numbers of a following training.
    """
    image = random_images(1, spec.channels, spec.size)
    was = network.training
    with torch.no_grad():  # tensors that a network caches in inference mode could not be used in training
        output = network.eval()(image)
    network.train(was)
    wanted = (1, spec.classes, spec.size, spec.size)
    if not isinstance(output, Tensor) or tuple(output.shape) != wanted:
        raise UserError(
            f"the network returns {_described(output)} for an image {tuple(image.shape)}; training and scoring need "
            f"one tensor {wanted}: return the main map alone, resized to the image"
        )


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    inside = len(output) if isinstance(output, list | tuple) else ""
    if isinstance(output, dict):
        inside = ", ".join(map(str, list(output)[:4]))
    return f"a {type(output).__name__}{inside and f' of {inside}'}"
