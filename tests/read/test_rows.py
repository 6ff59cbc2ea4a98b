"""Samples become figures with intervals, scores figures by a protocol."""

import math

import numpy as np
import pytest
from handmade import (
    LATENCY,
    altered,
    dice_record,
    fold_record,
    latency_record,
    predicted_record,
    record,
    unnamed_record,
)

from bench.quantities import CostSpec, Energy, EnergySpec, ImageScore, Memory, MemorySpec
from bench.quantities.scores import PROTOCOLS, SCORES, Score
from bench.read.rows import longest, score_together
from bench.read.sections import sections
from bench.run.store import Record


def test_latency_is_the_geometric_mean_of_process_medians():
    medians = ((0.1, 0.2, 0.9), (0.4, 0.4, 0.4), (0.1, 0.3, 0.3))
    records = [latency_record(samples_s=samples, process=n) for n, samples in enumerate(medians)]
    found = sections(records)[0].rows[0].latency_s
    assert (found.value, found.n) == (pytest.approx((0.2 * 0.3 * 0.4) ** (1 / 3)), 3)
    assert found.low < 0.2
    assert found.high > 0.4


def test_the_scores_of_many_rows_are_those_of_each(monkeypatch):
    def rows():
        records = [dice_record(f"net_{n}.py:Net", dice=(0.1 * n, 0.8, 0.9), seed=0) for n in range(1, 4)]
        return sections(records)[0].rows

    found = rows()
    monkeypatch.setattr("bench.read.rows.MANY", 2)
    score_together(found)
    assert all(("score", "assd", False) in row.kept for row in found)  # nobody asked for it before
    one_by_one = rows()
    assert [[r.score(name) for name in SCORES] for r in found] == [
        [r.score(name) for name in SCORES] for r in one_by_one
    ]


def test_images_without_a_dice_are_counted_and_left_out():
    row = sections([dice_record(dice=(0.4, math.nan, 0.8))])[0].rows[0]
    assert row.dice.value == pytest.approx(0.6)
    assert (row.dice.n, row.left_out("dice")) == (2, 1)


def test_which_of_several_maps_was_scored_is_told_once_or_with_the_seeds():
    first, second = "output[0] (1, 8, 8), of 2 equal maps", "output[1] (1, 8, 8), of 2 equal maps"

    def told(*maps: str) -> tuple[str, ...]:
        records = [altered(dice_record(seed=n), {"predicted_map": one}) for n, one in enumerate(maps)]
        return sections(records)[0].rows[0].notes

    assert told("", "") == ()
    assert told(first, first) == (f"{first}, is scored: it is the best on val",)
    assert told(first, second, first) == (
        f"with seed 0, seed 2 {first}, is scored: it is the best on val",
        f"with seed 1 {second}, is scored: it is the best on val",
    )


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


TWENTY = tuple(np.linspace(0.4, 0.9, 20).round(3))


def row_of(*records: Record, **options):
    (section,) = sections(records, **options)
    return section.rows[0]


def test_the_unit_of_an_interval_is_the_patient():
    from scipy.stats import sem, t

    made = dice_record(dice=TWENTY)
    images = tuple(i.model_copy(update={"patient": f"p{n // 2}"}) for n, i in enumerate(made.result.images))
    found = row_of(altered(made, {"images": images})).dice
    means = np.reshape(TWENTY, (10, 2)).mean(axis=1)
    worse, better = np.append(means, 0), np.append(means, 1)  # one more patient at each bound
    low = t.interval(0.95, 10, worse.mean(), sem(worse))[0]
    high = t.interval(0.95, 10, better.mean(), sem(better))[1]
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(TWENTY), low, high), abs=1e-6)
    assert found.n == 10


@pytest.mark.parametrize("count", [9, 10])
def test_with_fewer_than_ten_patients_there_is_no_interval(count):
    found = row_of(dice_record(dice=TWENTY[:count])).dice
    assert (found.value, found.has_interval) == (pytest.approx(np.mean(TWENTY[:count])), count == 10)


def test_old_records_are_shown_without_an_interval():
    row = row_of(unnamed_record(dice=TWENTY))
    for found in (row.dice, row.pooled_dice, row.score("iou"), row.score("hd95")):
        assert (found.n, found.has_interval) == (20, False)
    assert (row.patients, row.dice.value) == ("", pytest.approx(np.mean(TWENTY)))
    assert row_of(dice_record(dice=TWENTY)).patients == "named"
    assert row_of(altered(dice_record(dice=TWENTY), {"patients": "images"})).patients == "images"


def test_folds_are_put_together_by_patient_and_repeated_ones_are_trainings():
    folds = [fold_record("unet", TWENTY[4 * n : 4 * n + 4], n) for n in range(5)]
    row = row_of(*folds)
    assert (row.dice.n, row.dice.seeds, row.dice.deviation) == (20, 1, None)
    assert row.dice.value == pytest.approx(np.mean(TWENTY))
    assert len(row.by_unit("dice")) == 20
    again = [fold_record("unet", tuple(d + 0.02 for d in TWENTY[4 * n : 4 * n + 4]), n, seed=1) for n in range(5)]
    both = row_of(*folds, *again).dice
    assert (both.n, both.seeds, both.deviation) == (20, 2, pytest.approx(0.02 / 2**0.5))


def test_quantiles_of_patients_are_averaged_over_trainings():
    one, other = TWENTY, tuple(d + 0.05 for d in TWENTY[::-1])
    found = row_of(dice_record(dice=one), dice_record(dice=other, seed=1)).quantiles()
    expected = (np.quantile(one, (0.05, 0.25, 0.5)) + np.quantile(other, (0.05, 0.25, 0.5))) / 2
    assert found == pytest.approx(tuple(expected), abs=1e-3)
    assert row_of(record("unet", CostSpec(), None, status="crashed")).quantiles() == ()


def sized(*targets: tuple[str, int, int], fold: int | None = None) -> Record:
    """A record of (image, pixels of the target, pixels found of them)."""
    images = [
        ImageScore(id=name, label=1, tp=found, fp=0, fn=size - found, patient=name) for name, size, found in targets
    ]
    facts = {} if fold is None else {"data": f"{fold}" * 12, "fold": fold}
    return altered(dice_record(), {"images": tuple(images)}, **facts)


def test_dice_by_thirds_of_the_targets_size():
    targets = [("c", 90, 90), ("a", 10, 0), ("b", 30, 15), ("d", 100, 100), ("e", 20, 0), ("f", 40, 20), ("none", 0, 0)]
    thirds = (0, 2 / 3, 1)  # a and e; b and f; c and d
    assert row_of(sized(*targets)).dice_by_size == pytest.approx(thirds)
    folds = [sized(*targets[:3], fold=0), sized(*targets[3:], fold=1)]
    assert row_of(*folds).dice_by_size == pytest.approx(thirds)


def test_without_the_sizes_of_targets_there_are_no_thirds():
    scores = tuple(ImageScore(id=str(n), label=1, dice=0.5, patient=str(n)) for n in range(12))
    row = row_of(altered(dice_record(), {"images": scores}))
    assert (row.dice.value, row.dice_by_size) == (0.5, ())


@pytest.fixture
def own_grid(monkeypatch):
    for name, parts in (("dice_own", ((2, 0, 0), (2, 1, 1))), ("iou_own", ((1, 0, 0), (1, 1, 1)))):
        monkeypatch.setitem(SCORES, name, Score(name, name, parts, grid="own"))


def on_own_grid(made: Record, alone: bool = True, **counts: int) -> Record:
    """The record with counts on the images' own grid, and none on the network's if they are known there alone."""
    gone = {"tp": None, "fp": None, "fn": None, "dice": math.nan, "iou": math.nan} if alone else {}
    images = (i.model_copy(update={"own_tp": i.tp, "own_fp": i.fp, "own_fn": i.fn} | counts | gone)
              for i in made.result.images)  # fmt: skip
    return altered(made, {"images": tuple(images)})


def test_what_is_known_on_the_own_grid_alone_switches_the_whole_section(own_grid):
    here = on_own_grid(dice_record("unet", TWENTY), alone=False, own_fp=0, own_fn=0)
    (both,) = sections([here, on_own_grid(predicted_record("mdsa_unet", TWENTY))])
    assert both.own_grid
    assert {row.title: row.dice.value for row in both.rows} == {
        "MDSA-UNet (predicted elsewhere)": pytest.approx(np.mean(TWENTY)), "U-Net": 1,
    }  # fmt: skip
    assert both.rows[1].score("iou").value == 1
    assert both.rows[0].dice_by_size
    (alone,) = sections([here])
    assert (alone.own_grid, alone.rows[0].dice.value) == (False, pytest.approx(np.mean(TWENTY)))


def test_a_network_without_any_dice_does_not_switch_the_section(own_grid):
    distances = tuple(ImageScore(id=f"image-{n}", label=1, hd95=3.0, patient=f"image-{n}") for n in range(20))
    without = altered(predicted_record("mdsa_unet", TWENTY), {"images": distances})
    (section,) = sections([dice_record("unet", TWENTY), without])
    assert not section.own_grid
    assert [row.dice and row.dice.value for row in section.rows] == [None, pytest.approx(np.mean(TWENTY))]
    assert section.rows[0].score("hd95").value == 3


def test_a_score_that_one_training_lacks_is_none():
    lacking = altered(dice_record(dice=TWENTY, seed=1), {"images": tuple(
        i.model_copy(update={"hd95": math.nan}) for i in dice_record(dice=TWENTY).result.images)})  # fmt: skip
    row = row_of(dice_record(dice=TWENTY), lacking)
    assert (row.score("hd95"), row.dice.seeds) == (None, 2)


def test_the_longest_protocol_of_what_has_no_number_of_samples():
    conditions = {"machine": LATENCY.machine, "device": "cpu", "threads": 2}
    memory = [record("unet", MemorySpec(**conditions, process=n), Memory(weights_bytes=1, peak_bytes=2))
              for n in range(2)]  # fmt: skip
    assert longest(memory) == memory
    energy = [record("unet", EnergySpec(**conditions, seconds=seconds), Energy(joules_per_image=1.0, idle_watts=None))
              for seconds in (5, 10)]  # fmt: skip
    assert longest(energy) == energy[1:]
