"""Scores a trained network on a split, for each image and class and for each volume and class."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from bench.measure.agreement import refuse_differing, refuse_infinite
from bench.measure.attention import attended_regions
from bench.measure.switches import random_images
from bench.networks.activation import is_flat
from bench.networks.adapt import candidates, fault_of
from bench.networks.trials import disturb, scratch
from bench.quantities import DiceSpec, ImageScore, VolumeScore
from bench.quantities.dice import ProtocolName
from bench.quantities.scores import SCORES, Grid

BATCH = 8
VOLUME_SCORES = [
    name for name, score in SCORES.items() if not score.counts
]  # others are computed from the counts of slices
UNDEFINED = dict.fromkeys(VOLUME_SCORES, math.nan)

Done = Callable[[int], object]
Masks = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Compared:
    """Scores by image and class, by volume and class, and the unit of all their distances."""

    images: tuple[ImageScore, ...]
    volumes: tuple[VolumeScore, ...]
    distance_unit: Literal["px", "mm"]


@dataclass(frozen=True)
class Scored(Compared):
    """The scores of a network's predictions, and the predictions.

    `predictions` are the label maps, uint8 (n, size, size), in the order of the prepared images and at the network's
    size. `regions` are the regions selected by its attentions, as returned by `attended_regions`.
    """

    predictions: np.ndarray
    regions: dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """Label maps (H, W) of one image, or (D, H, W) of one volume: prediction and truth, and the labels to score.

    `grids` has a pair of them on the grid of the protocol and one on the image's own.
    """

    sample: Sample
    labels: range
    grids: Mapping[Grid, Masks]

    def scores(
        self, names: Iterable[str], label: int, spacing: Sequence[float] | None, tolerance: float | None
    ) -> dict[str, float]:  # fmt: skip
        """Scores of one label. `spacing` is that of the own grid."""
        masks = {grid: (prediction == label, truth == label) for grid, (prediction, truth) in self.grids.items()}
        spacings = {"protocol": None, "own": spacing}
        return {name: getattr(scores, name)(*masks[grid], spacings[grid], tolerance)
                for name in names for grid in [SCORES[name].grid]}  # fmt: skip

    def counts(self, grid: Grid, label: int) -> tuple[int, int, int]:
        """The label's pixels TP, FP and FN on a grid."""
        prediction, truth = self.grids[grid]
        return scores.counts(prediction == label, truth == label)


def score(
    network: nn.Module, prepared: Prepared, device: torch.device, samples: Sequence[Sample],
    protocol: ProtocolName = "per_image", tolerance: float | None = None, done: Done = lambda count: None,
) -> Scored:  # fmt: skip
    """Predict every image of `prepared` in eval mode and compare it with its mask, on two grids.

    On the protocol's grid, label maps are compared at the network's size; by `per_volume`, the prediction is resized to
    the size of the original mask by nearest neighbor. On the image's own grid, the logits are resized to that size,
    bilinearly (align_corners=False), before they become a label map. `samples` are those that were prepared. See
    `compare` for the scores; `tolerance` is that of the normalized surface Dice. `done` is called with the number
    scored. One batch of logits and one volume of label maps are in memory at a time.
    """
    network.eval()
    predictions = np.zeros(tuple(prepared.masks.shape), np.uint8)
    with attended_regions(network) as regions:
        cases = _cases(network, prepared, device, samples, protocol, predictions, done)
        found = compare(cases, all(sample.spacing for sample in samples), tolerance)
    return Scored(found.images, found.volumes, found.distance_unit, predictions, regions)


def compare(cases: Iterable[Case], in_mm: bool, tolerance: float | None = None) -> Compared:
    """The scores of label maps, one after the other.

    Slices of a volume, which must be consecutive and in order, are also stacked for the scores in 3-D that do not
    follow from the slices' counts; if slices are missing, the others are treated as adjacent. Distances are in
    millimeters if all samples have a spacing, `in_mm`, else in pixels of size 1: a mean over both would have no unit.
    """
    images: list[ImageScore] = []
    volumes: dict[tuple[str, int], VolumeScore] = {}
    for volume, slices_of_it in groupby(cases, lambda case: case.sample.volume):
        slices = []
        for case in slices_of_it:
            images += _image_scores(case, case.sample.spacing[-2:] if in_mm else None, tolerance)
            slices += [case] if volume else []
        whole = _whole(slices)
        for label in slices[0].labels if slices else ():
            # The volume appears again after another one: neither part is complete, and keeping all slices would
            # cost memory.
            values = UNDEFINED
            if whole and (volume, label) not in volumes:
                values = whole.scores(VOLUME_SCORES, label, whole.sample.spacing if in_mm else None, tolerance)
            volumes[volume, label] = VolumeScore(volume=volume, label=label, **values)
    return Compared(tuple(images), tuple(volumes.values()), "mm" if in_mm else "px")


def label_maps(logits: Tensor) -> Tensor:
    """Class numbers uint8 (N, H, W) from logits (N, maps, H, W): probability over 0.5 for one map, else the argmax."""
    return (logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1)).to(torch.uint8)


def candidate_scores(network: nn.Module, images: Tensor, masks: Tensor, classes: int) -> list[list[float]]:
    """For each map that may be the prediction, the Dice of each image and foreground class that has one.

    Images are normalized (N, channels, H, W), masks (N, H, W). The network is in eval mode.
    """
    found: list[list[float]] = []
    for logits in candidates(network, images):
        pairs = [*zip(label_maps(logits).cpu().numpy(), masks.cpu().numpy(), strict=True)]
        every = (
            scores.dice(one == label, truth == label) for one, truth in pairs for label in range(1, max(2, classes))
        )
        found.append([dice for dice in every if not math.isnan(dice)])
    return found


def best_candidate(network: nn.Module, prepared: Prepared, device: torch.device, classes: int) -> int:
    """The number of the map with the largest mean Dice; of equals the first."""
    network.eval()
    found: list[list[float]] = []
    for images, masks in zip(prepared.images.split(BATCH), prepared.masks.split(BATCH), strict=True):
        with torch.inference_mode():
            here = candidate_scores(network, normalized(images.to(device)), masks, classes)
        found = [one + other for one, other in zip(found or [[] for _ in here], here, strict=True)]
    means = [sum(one) / len(one) if one else 0.0 for one in found]
    return means.index(max(means))


def own_label_map(logits: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Class numbers uint8 `shape` from logits (maps, H, W), which are first resized to it bilinearly, in float32."""
    if logits.shape[1:] != shape:
        logits = nn.functional.interpolate(logits[None].float(), shape, mode="bilinear", align_corners=False)[0]
    return label_maps(logits[None])[0].cpu().numpy()


def _cases(
    network: nn.Module, prepared: Prepared, device: torch.device, samples: Sequence[Sample], protocol: ProtocolName,
    kept: np.ndarray, done: Done,
) -> Iterator[Case]:  # fmt: skip
    """Predict batch by batch into `kept`. `done` is called after all cases of a batch have been consumed."""
    for start in range(0, len(prepared), BATCH):
        with torch.inference_mode():
            logits = network(normalized(prepared.images[start : start + BATCH].to(device)))
            kept[start : start + BATCH] = label_maps(logits).cpu().numpy()
        for index, found in enumerate(logits, start):
            prediction, truth, own_truth = kept[index], prepared.masks[index].numpy(), samples[index].mask()
            if protocol == "per_volume":
                sized = Image.fromarray(prediction).resize(own_truth.shape[::-1], Image.Resampling.NEAREST)
                prediction, truth = np.asarray(sized), own_truth
            own = own_label_map(found, own_truth.shape), own_truth
            yield Case(samples[index], range(1, max(2, len(found))), {"protocol": (prediction, truth), "own": own})
        done(min(start + BATCH, len(prepared)))


def _image_scores(case: Case, spacing: Sequence[float] | None, tolerance: float | None) -> Iterator[ImageScore]:
    for label in case.labels:
        (tp, fp, fn), (own_tp, own_fp, own_fn) = case.counts("protocol", label), case.counts("own", label)
        yield ImageScore(
            id=case.sample.id, label=label, tp=tp, fp=fp, fn=fn, volume=case.sample.volume, patient=case.sample.group,
            own_tp=own_tp, own_fp=own_fp, own_fn=own_fn, **case.scores(SCORES, label, spacing, tolerance),
        )  # fmt: skip


def _whole(slices: list[Case]) -> Case | None:
    """The slices of one volume as one case; None if their shapes or spacings differ."""
    if len({(case.grids["own"][1].shape, case.sample.spacing) for case in slices}) != 1:
        return None
    stacked: dict[Grid, Masks] = {}
    for grid in slices[0].grids:
        predictions, truths = zip(*(case.grids[grid] for case in slices), strict=True)
        stacked[grid] = np.stack(predictions), np.stack(truths)
    return replace(slices[0], grids=stacked)


# ---- before a training -----------------------------------------------------------------------------------------------


def refuse_other_outputs(network: nn.Module, spec: DiceSpec) -> None:
    """Raise UserError unless the network maps (N, channels, size, size) to one tensor (N, classes, size, size).

    It must hold logits that are finite, the same for the same image, and not the same at every pixel whatever the
    weights are. The image has its own generator, so this check does not change the random numbers of a training.
    """
    if fault := fault_of(network, training=spec.train is not None):
        raise UserError(f"the network cannot be {'trained' if spec.train else 'scored'}: {fault}")
    image = random_images(1, spec.channels, spec.size)
    was = network.training
    with torch.no_grad():  # tensors that a network caches in inference mode could not be used in training
        output, again = network.eval()(image), network(image)
    network.train(was)
    wanted = (1, spec.classes, spec.size, spec.size)
    if not isinstance(output, Tensor) or tuple(output.shape) != wanted:
        raise UserError(
            f"the network returns {_described(output)} for an image {tuple(image.shape)}; training and scoring need "
            f"one tensor {wanted}: return the main map alone, resized to the image"
        )
    refuse_infinite([output])
    refuse_differing([output], [again])
    if is_flat(output):
        _refuse_constant(network, image, output)


def _refuse_constant(network: nn.Module, image: Tensor, output: Tensor) -> None:
    """Raise UserError if an output of one value stays the same with other weights, so that nothing can be learned.

    The weights of a last layer may start at zero, and a network may be made to say one thing everywhere.
    """
    with scratch(network) as (other, _), torch.no_grad():
        disturb(other)
        constant = torch.equal(other.eval()(image), output)
    if constant:
        raise UserError(
            f"the output is {float(output.flatten()[0]):g} at every pixel of a random image, whatever the weights are; "
            "see that the forward pass ends in logits that depend on the image"
        )


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    inside = len(output) if isinstance(output, list | tuple) else ""
    if isinstance(output, dict):
        inside = ", ".join(map(str, list(output)[:4]))
    return f"a {type(output).__name__}{inside and f' of {inside}'}"
