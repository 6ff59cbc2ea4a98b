"""What belongs together is put together; samples become figures with intervals."""

import math

import numpy as np
import pytest
from handmade import cost_record, dice_record, latency_record, record

from bench.quantities import CostSpec, ImageScore, LatencySpec
from bench.records import Record
from bench.report.summary import bootstrap, outdated, sections


def test_one_section_with_a_row_a_network(reference):
    (section,) = sections(reference)
    assert [row.network for row in section.rows] == ["mdsa_unet", "unet"]
    row = section.rows[1]
    assert row.title == "U-Net"
    assert row.cost.parameters == 31_037_633
    assert row.latency_s.value == 0.31
    assert row.dice.value == pytest.approx(0.7)
    assert len(row.records) == 3
    assert section.name == "synthetic-224-cpu"


def test_latency_is_the_median_of_process_medians_between_their_extremes():
    medians = ((0.1, 0.2, 0.9), (0.4, 0.4, 0.4), (0.1, 0.3, 0.3))
    records = [latency_record(samples_s=samples, process=n) for n, samples in enumerate(medians)]
    found = sections(records)[0].rows[0].latency_s
    assert (found.value, found.low, found.high, found.n) == (0.3, 0.2, 0.4, 3)


def test_images_without_a_dice_are_counted_and_left_out():
    row = sections([dice_record(dice=(0.4, math.nan, 0.8))])[0].rows[0]
    assert row.dice.value == pytest.approx(0.6)
    assert (row.dice.n, row.undefined) == (2, 1)


def test_other_sizes_machines_and_trainings_are_never_mixed():
    other_size = record("unet", CostSpec(size=256), cost_record().result)
    other_machine = record("unet", LatencySpec(machine="m2", device="cpu", threads=2), latency_record().result)
    found = sections([cost_record(), latency_record(), dice_record(), other_size, other_machine])
    assert [section.name for section in found] == ["synthetic-224-cpu", "synthetic-224-cpu", "256"]
    assert [section.latency and section.latency.machine for section in found] == [
        latency_record().job.spec.machine, "m2", None,
    ]  # fmt: skip
    assert [len(row.records) for section in found for row in section.rows] == [3, 3, 1]


def test_of_two_protocols_that_a_network_was_timed_by_the_longer_is_shown():
    short, other = latency_record(samples_s=(9.0,)), latency_record("unetpp", samples_s=(8.0,))
    spec = short.job.spec.model_copy(update={"samples": 60})
    long = record("unet", spec, latency_record(samples_s=(1.0,) * 5).result)
    (section,) = sections([short, long, other])
    assert [row.latency_s.value for row in section.rows] == [1.0, 8.0]


def test_every_record_is_shown_somewhere(reference):
    other = record("unet", LatencySpec(machine="m", device="cpu", threads=2, size=256), latency_record().result)
    records = [*reference, other, record("unetpp", CostSpec(size=512), cost_record().result)]
    shown = {r.id for section in sections(records) for row in section.rows for r in row.records}
    assert shown == {r.id for r in records}


def test_a_network_whose_code_was_edited_is_not_mixed_with_what_it_was():
    def made(dice: float, digest: str, at: str) -> Record:
        before = dice_record(dice=(dice, dice))
        job = before.job.model_copy(update={"network_digest": digest})
        return before.model_copy(update={"job": job, "before": before.before.model_copy(update={"at": at})})

    old, new = made(0.2, "a", "2026-01-01"), made(0.8, "b", "2026-02-01")
    assert sections([old, new])[0].rows[0].dice.value == pytest.approx(0.8)
    assert outdated([old, new]) == [old]


def test_a_failure_is_a_row_with_its_reason():
    failed = record("unet", CostSpec(), None, status="out_of_memory", error="want of memory")
    row = sections([failed])[0].rows[0]
    assert row.cost is None
    assert row.failures == ("cost out of memory: want of memory",)


def test_no_records_make_no_section():
    assert sections([]) == []


def test_the_bootstrap_interval_covers_the_mean_about_95_times_in_100():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        found = bootstrap(rng.beta(8, 2, size=(100, 1)))
        covered += found.low <= 0.8 <= found.high
    assert 180 <= covered <= 199


def test_the_bootstrap_is_the_same_every_time():
    values = np.linspace(0, 1, 30)[:, None]
    assert bootstrap(values) == bootstrap(values)


def scored(*images: tuple[str, str, int, int, int, int]) -> Record:
    """A record of (slice, volume, label, tp, fp, fn)."""
    made = [
        ImageScore(id=name, volume=volume, label=label, tp=tp, fp=fp, fn=fn, dice=0.0, iou=0.0)
        for name, volume, label, tp, fp, fn in images
    ]
    before = dice_record()
    return record("unet", before.job.spec, before.result.model_copy(update={"images": tuple(made)}))


def test_a_volume_is_scored_from_the_counts_of_its_slices_then_volumes_then_classes():
    found = scored(
        ("s1", "v1", 1, 10, 0, 0), ("s2", "v1", 1, 0, 10, 10),  # class 1 of volume 1: 20 / 40
        ("s3", "v2", 1, 5, 0, 0), ("s1", "v1", 2, 0, 3, 0), ("s2", "v1", 2, 3, 0, 0),  # 1; class 2: 6 / 9
        ("s3", "v2", 2, 0, 0, 0),  # undefined, left out of its class's mean
    )  # fmt: skip
    row = sections([found])[0].rows[0]
    assert row.dice_by_class == pytest.approx(((0.5 + 1) / 2, 2 / 3))
    assert row.dice.value == pytest.approx((0.75 + 2 / 3) / 2)
    assert (row.dice.n, row.undefined) == (2, 1)


def test_a_network_scored_on_another_data_set_alone_is_no_empty_row_here(reference):
    before = dice_record("unet")
    spec = before.job.spec.model_copy(update={"dataset": "ddti"})
    found = sections([*reference, latency_record("unetpp"), record("unet", spec, before.result)])
    rows = {section.dice.dataset: [row.network for row in section.rows] for section in found}
    assert rows == {"synthetic": ["mdsa_unet", "unet", "unetpp"], "ddti": ["unet", "unetpp"]}
