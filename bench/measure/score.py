"""Scores a trained network on a split: one line an image and class, and one a volume and class."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bench.data.prepared import Prepared, normalized
from bench.data.sample import Sample
from bench.measure.chosen import watching
from bench.measure.overlap import overlap
from bench.measure.surface import hd95
from bench.quantities import ImageScore, VolumeScore

BATCH = 8


@dataclass(frozen=True)
class Scored:
    """Scores by image and class, by volume and class, and the unit of all their distances.

    `predictions` are the label maps, uint8 (n, size, size) in the order of what was prepared, at the network's size;
    `chosen` which regions its attentions looked at (bench/measure/chosen.py).
    """

    images: tuple[ImageScore, ...]
    volumes: tuple[VolumeScore, ...]
    distance_unit: Literal["px", "mm"]
    predictions: np.ndarray
    chosen: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Case:
    """One image's label maps, (H, W) both, the spacing its file gives, if any, and the labels to score."""

    id: str
    volume: str
    spacing: tuple[float, ...]
    prediction: np.ndarray
    truth: np.ndarray
    labels: range


def score(
    network: nn.Module,
    prepared: Prepared,
    device: torch.device,
    originals: Sequence[Sample] = (),
    done: Callable[[int], None] = lambda count: None,
) -> Scored:
    """Predict every image of `prepared` in eval mode and compare it with its mask; `done` hears how many are scored.

    Label maps are compared at the network's size. With `originals`, the samples that were prepared, each prediction is
    brought to its mask's own size first, by nearest neighbour, and compared with that. Slices of one volume, which must
    follow one another from its one end to the other, are also stacked for the distance in 3-D; where some were left
    out, what is there is stacked as if it were adjacent. Distances are in millimetres where all of `originals` have a
    spacing, else in pixels, each 1 by 1 by 1: a mean over both would have no unit.
    """
    network.eval()
    in_mm = bool(originals) and all(original.spacing for original in originals)
    images: list[ImageScore] = []
    distances: dict[tuple[str, int], float] = {}
    predictions = np.zeros(tuple(prepared.masks.shape), np.uint8)
    with watching(network) as watched:
        every = _cases(network, prepared, device, originals, predictions, done)
        for volume, cases in groupby(every, lambda case: case.volume):
            slices = []
            for case in cases:
                images += _image_scores(case, case.spacing[-2:] if in_mm else None)
                if volume:
                    slices.append(case)
            for label, distance in _stacked_hd95(slices, in_mm):
                # Back after another volume: neither part is the whole, and keeping all for this would cost memory.
                distances[volume, label] = math.nan if (volume, label) in distances else distance
    volumes = tuple(VolumeScore(volume=name, label=label, hd95=found) for (name, label), found in distances.items())
    return Scored(tuple(images), volumes, "mm" if in_mm else "px", predictions, watched.arrays)


def label_maps(logits: Tensor) -> Tensor:
    """uint8 (N, H, W) class numbers from logits (N, maps, H, W): over one half for one map, else the largest of all."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).to(torch.uint8)
    return logits.argmax(1).to(torch.uint8)


def _cases(
    network: nn.Module,
    prepared: Prepared,
    device: torch.device,
    originals: Sequence[Sample],
    kept: np.ndarray,
    done: Callable[[int], None],
) -> Iterator[_Case]:
    """Predict batch by batch into `kept`; `done` hears of a batch when all of its cases have been taken."""
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
            yield _Case(prepared.ids[index], volume, spacing, _at_size_of(truth, prediction), truth, labels)
        done(min(start + BATCH, len(prepared)))


def _at_size_of(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    if prediction.shape == truth.shape:
        return prediction
    height, width = truth.shape
    return np.asarray(Image.fromarray(prediction).resize((width, height), Image.Resampling.NEAREST))


def _image_scores(case: _Case, spacing: tuple[float, ...] | None) -> Iterator[ImageScore]:
    for label in case.labels:
        o = overlap(case.prediction, case.truth, label)
        yield ImageScore(
            id=case.id, label=label, tp=o.tp, fp=o.fp, fn=o.fn, dice=o.dice, iou=o.iou, volume=case.volume,
            sensitivity=o.sensitivity, precision=o.precision, hd95=hd95(case.prediction, case.truth, label, spacing),
        )  # fmt: skip


def _stacked_hd95(slices: list[_Case], in_mm: bool) -> Iterator[tuple[int, float]]:
    """Each label's HD95 over the slices of one volume; NaN where they do not lie on one grid. Nothing for no slices."""
    if not slices:
        return
    spacing, labels = slices[0].spacing if in_mm else None, slices[0].labels
    if len({(case.truth.shape, case.spacing) for case in slices}) > 1:
        yield from ((label, math.nan) for label in labels)
        return
    predictions, truths = np.stack([case.prediction for case in slices]), np.stack([case.truth for case in slices])
    yield from ((label, hd95(predictions, truths, label, spacing)) for label in labels)
