"""Cells: the best is marked, an interval only where there is one, a dash where there is nothing."""

from handmade import STATE, cost_record, dice_record, latency_record, record

from bench.quantities import CostSpec
from bench.read.sections import sections
from bench.report.columns import MAIN, accuracy, cells


def by_header(section, columns):
    return [
        dict(zip((column.header for column in columns), found, strict=True)) for found in cells(columns, section.rows)
    ]


def test_least_cost_and_most_dice_are_best(reference):
    section = sections(reference)[0]
    mdsa, unet = by_header(section, MAIN)
    assert (mdsa["Params (M)"].best, unet["Params (M)"].best) == (True, False)
    assert (mdsa["Dice"].best, unet["Dice"].best) == (True, False)


def test_what_was_not_measured_is_a_dash():
    (found,) = by_header(sections([record("unet", CostSpec(), cost_record().result)])[0], MAIN)
    assert (found["Dice"].text, found["Latency (ms)"].text) == ("–", "–")


def test_accuracy_in_full_has_a_column_a_class_and_names_its_unit():
    before = dice_record()
    spec = before.job.spec.model_copy(update={"classes": 3, "labels": ("left", "right")})
    scores = before.result.model_copy(
        update={
            "images": tuple(i.model_copy(update={"label": label}) for i in before.result.images for label in (1, 2)),
            "distance_unit": "mm",
        }
    )
    section = sections([record("unet", spec, scores)])[0]
    (found,) = by_header(section, accuracy(section))
    assert (found["Dice (left)"].text, found["Dice (right)"].text) == ("0.700", "0.700")
    assert found["HD95 (mm)"].text.startswith("3.00 [")
    assert found["Training (images/s)"].text == "4.50"


def test_a_disturbed_time_is_marked_and_never_the_best():
    quiet, busy = latency_record("unet"), latency_record("unetpp", samples_s=(0.1, 0.1, 0.1))
    before = STATE.model_copy(update={"clock_s": 0.0, "cpu_busy_s": 0.0, "own_cpu_s": 0.0})
    after = STATE.model_copy(update={"clock_s": 10.0, "cpu_busy_s": 15.0, "own_cpu_s": 5.0})
    section = sections([quiet, busy.model_copy(update={"before": before, "after": after})])[0]
    unet, unetpp = by_header(section, MAIN)
    assert (unetpp["Latency (ms)"].mark, unetpp["Latency (ms)"].best, unet["Latency (ms)"].mark) == ("‡", False, "")
    assert "1 of 1 processes were disturbed" in section.rows[1].taints[0]


def test_a_precision_from_two_images_is_not_the_best():
    silent = dice_record("unet", (1.0, 1.0))
    images = tuple(i.model_copy(update={"tp": 0, "fp": 0}) for i in dice_record("unet", (0.5,) * 8).result.images)
    images = silent.result.images + tuple(i.model_copy(update={"id": f"more-{i.id}"}) for i in images)
    silent = silent.model_copy(update={"result": silent.result.model_copy(update={"images": images})})
    others = [dice_record("unetpp", (0.9,) * 10), dice_record("swin_unet", (0.8,) * 10)]
    section = sections([silent, *others])[0]
    _, unet, unetpp = by_header(section, accuracy(section))
    assert (unet["Precision"].figure, unet["Precision"].best, unetpp["Precision"].best) == ("1.000", False, True)


def test_a_score_that_lacks_a_failed_seed_is_marked_and_never_the_best():
    lost = dice_record("unet", seed=1).model_copy(update={"status": "diverged", "error": "at step 31", "result": None})
    section = sections([dice_record("unet", (0.9, 0.9)), lost, dice_record("unetpp", (0.5, 0.5))])[0]
    unet, unetpp = by_header(section, MAIN)
    assert (unet["Dice"].mark, unet["Dice"].best, unetpp["Dice"].mark) == ("§", False, "")
    assert section.rows[0].failures == ("dice with seed 1 diverged: at step 31",)
