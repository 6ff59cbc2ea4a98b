"""Samples become figures with intervals, scores figures by a protocol."""

import math

import pytest
from handmade import dice_record, latency_record, record

from bench.quantities import CostSpec, ImageScore
from bench.quantities.scores import PROTOCOLS
from bench.read.sections import sections
from bench.run.store import Record


def test_latency_is_the_median_of_process_medians_between_their_extremes():
    medians = ((0.1, 0.2, 0.9), (0.4, 0.4, 0.4), (0.1, 0.3, 0.3))
    records = [latency_record(samples_s=samples, process=n) for n, samples in enumerate(medians)]
    found = sections(records)[0].rows[0].latency_s
    assert (found.value, found.low, found.high, found.n) == (0.3, 0.2, 0.4, 3)


def test_images_without_a_dice_are_counted_and_left_out():
    row = sections([dice_record(dice=(0.4, math.nan, 0.8))])[0].rows[0]
    assert row.dice.value == pytest.approx(0.6)
    assert (row.dice.n, row.left_out("dice")) == (2, 1)


def test_a_failure_is_a_row_with_its_reason():
    failed = record("unet", CostSpec(), None, status="out_of_memory", error="want of memory")
    row = sections([failed])[0].rows[0]
    assert row.cost is None
    assert row.failures == ("cost out of memory: want of memory",)


def scored(*images: tuple[str, str, int, int, int, int]) -> Record:
    """A record of (slice, volume, label, tp, fp, fn)."""
    made = [
        ImageScore(id=name, volume=volume, label=label, tp=tp, fp=fp, fn=fn, dice=0.0, iou=0.0)
        for name, volume, label, tp, fp, fn in images
    ]
    before = dice_record()
    spec = before.job.spec.model_copy(update={"protocol": "per_volume" if images[0][1] else "per_image"})
    return record("unet", spec, before.result.model_copy(update={"images": tuple(made)}))


def test_a_volume_is_scored_from_the_counts_of_its_slices_then_volumes_then_classes():
    found = scored(
        ("s1", "v1", 1, 10, 0, 0), ("s2", "v1", 1, 0, 10, 10),  # class 1 of volume 1: 20 / 40
        ("s3", "v2", 1, 5, 0, 0), ("s1", "v1", 2, 0, 3, 0), ("s2", "v1", 2, 3, 0, 0),  # 1; class 2: 6 / 9
        ("s3", "v2", 2, 0, 0, 0),  # undefined, left out of its class's mean
    )  # fmt: skip
    row = sections([found])[0].rows[0]
    assert row.dice_by_class == pytest.approx(((0.5 + 1) / 2, 2 / 3))
    assert row.dice.value == pytest.approx((0.75 + 2 / 3) / 2)
    assert (row.dice.n, row.left_out("dice")) == (2, 1)


def test_a_protocol_that_was_asked_for_replaces_the_data_sets_own():
    found = scored(("s1", "", 1, 10, 0, 0), ("s2", "", 1, 0, 45, 45))
    own, pooled = (sections([found], protocol)[0].rows[0].dice.value for protocol in (None, PROTOCOLS["pooled"]))
    assert own == pytest.approx((1 + 0) / 2)
    assert pooled == pytest.approx(20 / 110)


def test_seeds_are_averaged_and_their_deviation_is_told():
    (section,) = sections([dice_record(dice=(0.4, 0.6), seed=0), dice_record(dice=(0.6, 0.8), seed=1)])
    found = section.rows[0].dice
    assert (found.value, found.deviation, found.seeds, found.n) == (pytest.approx(0.6), pytest.approx(0.02**0.5), 2, 2)
    assert section.rows[0].by_unit("dice") == pytest.approx({"image-0": 0.5, "image-1": 0.7})


def test_no_hd95_from_records_older_than_the_measure():
    record = scored(("s1", "", 1, 10, 0, 0))
    assert sections([record])[0].rows[0].score("hd95") is None
    assert sections([dice_record(dice=(0.4, 0.6))])[0].rows[0].score("hd95").value == pytest.approx(5)
