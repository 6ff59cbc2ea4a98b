"""What the values of a map mean: logits, or probabilities that a sigmoid or a softmax made of them.

It is told by the values themselves, wherever the last call stands: those of several images, small and large, with the
network's weights as they are and disturbed, so that logits that happen to lie between 0 and 1 leave that range.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Meaning = Literal["logits", "sigmoid", "softmax"]
MEANINGS: tuple[Meaning, ...] = ("logits", "sigmoid", "softmax")
SMALLEST = 1e-6  # probabilities are clipped to this distance from 0 and 1 before conversion to logits
SUM = 1e-2  # allowed distance of a sum of probabilities from 1, which half precision rounds
ROUNDING = 1e-5
LARGE = 1e6  # larger values are no class numbers
# Probabilities enlarged by torch's cubic interpolation lie this share of their range outside: 1.1875^2 + 0.1875^2 - 1.
BEYOND = 0.45
ONE_MAP = "its softmax or log-softmax over one map is the same number everywhere; give it two maps, or a sigmoid"


def meaning_of(values: Sequence[Tensor], declared: Meaning | None = None) -> Meaning | None:
    """What maps (N, classes, H, W) mean, from their values for several images and weights; None if it is unclear.

    What is `declared` is believed, unless they are clearly no probabilities: a network may end in them in one mode.
    """
    found = _seen(values)
    if declared == "softmax" and values[0].shape[1] == 1:  # the foreground's map of a softmax over two
        declared = "sigmoid"
    return declared if declared and found != "logits" else found


def _seen(values: Sequence[Tensor]) -> Meaning | None:
    low, high = min(float(one.min()) for one in values), max(float(one.max()) for one in values)
    if -ROUNDING <= low < high <= 1 + ROUNDING:
        sums_to_one = all(float((one.sum(1) - 1).abs().max()) <= SUM for one in values)
        return "softmax" if sums_to_one and values[0].shape[1] > 1 else "sigmoid"
    beyond = BEYOND * min(1.0, high - low)
    return None if low < high and low >= -beyond and high <= 1 + beyond else "logits"


def fault_of(values: Sequence[Tensor], meaning: Meaning | None, place: str) -> str:
    """Why maps with these values can't be trained or scored, and what to do; empty if they can."""
    if values[0].shape[1] == 1 and _constant(values) in (0, 1):
        return ONE_MAP
    if all(map(_holds_whole_numbers, values)) and _constant(values) is None:
        some = ", ".join(f"{float(number):g}" for number in values[0].unique()[:3])
        return (
            f"{place} holds only whole numbers ({some}): it is a mask, not logits; return what is there before "
            "the threshold or the argmax"
        )
    if meaning is None:
        low, high = min(float(one.min()) for one in values), max(float(one.max()) for one in values)
        return (
            f"the values of {place}, {low:.3g} to {high:.3g} for any image and any weights, may be logits or "
            f"probabilities; declare what they are: output = {' or '.join(map(repr, MEANINGS))}, beside it or with "
            "--arg output="
        )
    return ""


def is_attention(values: Sequence[Tensor]) -> bool:
    """Whether each row of pixels sums to 1, as in the attention of a token to all tokens."""
    rows = all(float(one.min()) >= 0 and float((one.sum(-1) - 1).abs().max()) <= SUM for one in values)
    return rows and _constant(values) is None


def is_flat(maps: Tensor) -> bool:
    """Whether all pixels of each map (N, classes, H, W) have one value, up to rounding."""
    spread = maps.amax((-2, -1)) - maps.amin((-2, -1))
    return float(spread.max()) <= 1e-5 * max(1.0, float(maps.abs().max()))


def logits_of(maps: Tensor, meaning: Meaning) -> Tensor:
    """The logits that these maps were made of."""
    if meaning != "logits" and maps.dtype in (torch.bfloat16, torch.float16):
        maps = maps.float()  # half precision rounds a probability near 1 to 1, whose logit is infinite
    if meaning == "sigmoid":
        return torch.logit(maps, eps=SMALLEST)
    return maps.clamp_min(SMALLEST).log() if meaning == "softmax" else maps


def _holds_whole_numbers(values: Tensor) -> bool:
    """Whether it holds whole numbers alone; where numbers are so large that all are whole, that says nothing."""
    return float(values.abs().max()) < LARGE and torch.equal(values, values.round())


def _constant(values: Sequence[Tensor]) -> float | None:
    """The value that all have, up to rounding; None if they differ."""
    low, high = min(float(one.min()) for one in values), max(float(one.max()) for one in values)
    return round(low, 5) + 0.0 if high - low <= 1e-5 else None
