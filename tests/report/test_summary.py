"""What belongs together is put together; samples become figures with intervals."""

import math

import numpy as np
import pytest
from handmade import cost_record, dice_record, latency_record, record

from bench.quantities import CostSpec, LatencySpec
from bench.report.summary import bootstrap_mean, sections


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
    assert len(found) == 2
    assert {section.latency.machine for section in found} == {latency_record().job.spec.machine, "m2"}
    assert all(len(row.records) == 3 for section in found for row in section.rows)
    assert all(section.cost.size == 224 for section in found)


def test_of_two_latency_protocols_on_a_machine_the_longer_is_shown():
    short = latency_record(samples_s=(9.0,))
    spec = short.job.spec.model_copy(update={"samples": 5})
    long = record("unet", spec, latency_record(samples_s=(1.0,) * 5).result)
    (section,) = sections([short, long])
    assert section.rows[0].latency_s.value == 1.0


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
        found = bootstrap_mean(rng.beta(8, 2, size=100))
        covered += found.low <= 0.8 <= found.high
    assert 180 <= covered <= 199


def test_the_bootstrap_is_the_same_every_time():
    values = np.linspace(0, 1, 30)
    assert bootstrap_mean(values) == bootstrap_mean(values)
