"""Scores a trained network on a split: one line an image and class, from label maps at the network's size."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from bench.data.prepared import Prepared, normalised
from bench.measure.overlap import overlap
from bench.quantities import ImageScore

BATCH = 8


def score(
    network: nn.Module, prepared: Prepared, device: torch.device, done: Callable[[int], None] = lambda count: None
) -> tuple[ImageScore, ...]:
    """Predict every image of `prepared` in eval mode and compare it with its mask; `done` hears how many are scored."""
    network.eval()
    scores: list[ImageScore] = []
    with torch.inference_mode():
        for start in range(0, len(prepared), BATCH):
            images = normalised(prepared.images[start : start + BATCH].to(device))
            logits = network(images)
            for offset, prediction in enumerate(label_maps(logits).cpu().numpy()):
                index = start + offset
                labels = range(1, max(2, logits.shape[1]))
                scores += _scores(prepared.ids[index], prediction, prepared.masks[index].numpy(), labels)
            done(min(start + BATCH, len(prepared)))
    return tuple(scores)


def label_maps(logits: Tensor) -> Tensor:
    """uint8 (N, H, W) class numbers from logits (N, maps, H, W): over one half for one map, else the largest of all."""
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).to(torch.uint8)
    return logits.argmax(1).to(torch.uint8)


def _scores(sample: str, prediction: np.ndarray, truth: np.ndarray, labels: range) -> list[ImageScore]:
    found = [(label, overlap(prediction, truth, label)) for label in labels]
    return [ImageScore(id=sample, label=label, tp=o.tp, fp=o.fp, fn=o.fn, dice=o.dice, iou=o.iou) for label, o in found]
