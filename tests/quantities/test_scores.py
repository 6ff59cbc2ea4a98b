"""Each protocol against cases worked out by hand."""

import math

import numpy as np
import pytest
from handmade import dice_record

from bench.errors import UserError
from bench.quantities import ImageScore, Scores, VolumeScore
from bench.quantities.scores import PROTOCOLS, find_protocol, terms


def scores(*images: tuple[str, str, int, int, int, float], volumes: tuple[VolumeScore, ...] = ()) -> Scores:
    """Of (slice, volume, tp, fp, fn, hd95) of one class."""
    made = tuple(
        ImageScore(id=name, volume=volume, label=1, tp=tp, fp=fp, fn=fn, dice=0, iou=0, hd95=hd95)
        for name, volume, tp, fp, fn, hd95 in images
    )
    return dice_record().result.model_copy(update={"images": made, "volumes": volumes})


SLICES = scores(
    ("a", "v", 10, 0, 10, 4.0), ("b", "v", 0, 0, 0, math.nan), ("c", "w", 30, 10, 0, 8.0), ("d", "x", 0, 5, 0, 20.0),
    volumes=(VolumeScore(volume="v", label=1, hd95=5), VolumeScore(volume="w", label=1, hd95=7)),
)  # fmt: skip


def figure(measure: str, protocol: str) -> float:
    found = np.array(list(terms(SLICES, measure, PROTOCOLS[protocol]).values()))[:, 0]
    return float(found[:, 0].sum() / found[:, 1].sum())


@pytest.mark.parametrize(
    ("measure", "protocol", "expected"),
    [
        ("dice", "per_image", (20 / 30 + 60 / 70) / 2),  # b and d have no target
        ("iou", "per_image", (10 / 20 + 30 / 40) / 2),
        ("sensitivity", "per_image", (10 / 20 + 30 / 30) / 2),  # d has no truth
        ("precision", "per_image", (10 / 10 + 30 / 40) / 2),
        ("dice", "per_volume", (20 / 30 + 60 / 70) / 2),
        ("dice", "nnunet", (20 / 30 + 60 / 70 + 0) / 3),  # d is predicted where there is nothing
        ("dice", "pooled", 80 / (80 + 15 + 10)),
        ("precision", "pooled", 40 / 55),
        ("dice", "transunet", (20 / 30 + 60 / 70 + 1) / 3),  # d is predicted where there is nothing, and gets 1
        ("hd95", "per_image", (4 + 8) / 2),
        ("hd95", "per_volume", (5 + 7) / 2),
    ],
)
def test_by_hand(measure, protocol, expected):
    assert figure(measure, protocol) == pytest.approx(expected)


OWN = scores(
    ("a", "", 10, 0, 10, 4.0), ("b", "", 0, 5, 0, 20.0), ("c", "", 10, 0, 0, 1.0), ("d", "", 0, 0, 0, math.nan)
)
OTHER = {  # of the images a to d; b and d have no target
    "failed": (0.0, math.nan, 1.0, math.nan), "missed": (0.5, math.nan, 0.25, math.nan),
    "nsd": (0.25, 0.0, 0.75, math.nan), "assd": (2.0, 9.0, 4.0, math.nan),
    "false_alarm": (math.nan, 1.0, math.nan, 0.0),
}  # fmt: skip


@pytest.mark.parametrize(
    ("measure", "expected", "units"),
    [("failed", 0.5, 2), ("missed", 0.375, 2), ("nsd", 0.5, 2), ("assd", 3.0, 2), ("false_alarm", 0.5, 2)],
)
def test_only_false_alarms_are_counted_where_there_is_no_target(measure, expected, units):
    images = tuple(
        ImageScore(**{**image.model_dump(), measure: OTHER[measure][n]}) for n, image in enumerate(OWN.images)
    )
    found = np.array(list(terms(OWN.model_copy(update={"images": images}), measure, PROTOCOLS["per_image"]).values()))
    assert found[:, 0].sum(0).tolist() == [expected * units, units]


def test_dice_on_the_own_grid_is_of_the_counts_there_and_of_no_others():
    (image,) = scores(("a", "v", 10, 0, 10, 4.0)).images
    own = image.model_copy(update={"own_tp": 3, "own_fp": 1, "own_fn": 1})
    with_own, without = (SLICES.model_copy(update={"images": (one,), "volumes": ()}) for one in (own, image))
    for protocol in ("per_image", "per_volume", "nnunet"):
        (found,) = terms(with_own, "dice_own", PROTOCOLS[protocol]).values()
        assert found.tolist() == [[6 / 8, 1.0]]
    assert [value[..., 1].any() for value in terms(without, "dice_own", PROTOCOLS["per_image"]).values()] == [False]
    assert terms(without, "dice_own", PROTOCOLS["pooled"]) == {}


def test_by_transunets_convention_two_empty_masks_are_0():
    found = terms(scores(("a", "", 0, 0, 0, math.nan)), "dice", PROTOCOLS["transunet"])
    assert found["a"].tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("protocol", ["pooled", "transunet"])
def test_there_is_no_distance_where_none_has_a_meaning(protocol):
    assert terms(SLICES, "hd95", PROTOCOLS[protocol]) == {}


def test_an_image_of_no_volume_is_one_of_its_own():
    lone = scores(("a", "", 1, 1, 1, 2.0))
    per_image, per_volume = (terms(lone, "dice", PROTOCOLS[name]) for name in ("per_image", "per_volume"))
    assert per_image.keys() == per_volume.keys()
    assert (per_image["a"] == per_volume["a"]).all()


def test_an_unknown_protocol_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="unknown protocol 'poled'; did you mean 'pooled'"):
        find_protocol("poled")
