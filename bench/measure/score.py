"""Scores a trained network on a split: one line an image and class."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bench.data.prepared import Prepared, normalised
from bench.data.sample import Sample
from bench.measure.overlap import overlap
from bench.quantities import ImageScore

BATCH = 8


def score(
    network: nn.Module,
    prepared: Prepared,
    device: torch.device,
    originals: Sequence[Sample] = (),
    done: Callable[[int], None] = lambda count: None,
) -> tuple[ImageScore, ...]:
    """Predict every image of `prepared` in eval mode and compare it with its mask; `done` hears how many are scored.

    Label maps are compared at the network's size. With `originals`, the samples that were prepared, each prediction is
    brought to its mask's own size first, by nearest neighbour, and compared with that.
    """
    network.eval()
    scores: list[ImageScore] = []
    with torch.inference_mode():
        for start in range(0, len(prepared), BATCH):
            logits = network(normalised(prepared.images[start : start + BATCH].to(device)))
            labels = range(1, max(2, logits.shape[1]))
            for index, prediction in enumerate(label_maps(logits).cpu().numpy(), start):
                original = originals[index] if originals else None
                truth = original.mask() if original else prepared.masks[index].numpy()
                volume = original.volume if original else ""
                scores += _scores(prepared.ids[index], volume, _at_size_of(truth, prediction), truth, labels)
            done(min(start + BATCH, len(prepared)))
    return tuple(scores)


def label_maps(logits: Tensor) -> Tensor:
    """uint8 (N, H, W) class numbers from logits (N, maps, H, W): over one half for one map, else the largest of all."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).to(torch.uint8)
    return logits.argmax(1).to(torch.uint8)


def _at_size_of(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    if prediction.shape == truth.shape:
        return prediction
    height, width = truth.shape
    return np.asarray(Image.fromarray(prediction).resize((width, height), Image.Resampling.NEAREST))


def _scores(sample: str, volume: str, prediction: np.ndarray, truth: np.ndarray, labels: range) -> list[ImageScore]:
    found = [(label, overlap(prediction, truth, label)) for label in labels]
    return [
        ImageScore(id=sample, label=label, tp=o.tp, fp=o.fp, fn=o.fn, dice=o.dice, iou=o.iou, volume=volume)
        for label, o in found
    ]
