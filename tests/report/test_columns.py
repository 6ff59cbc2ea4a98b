"""Cells: the best is marked, an interval only where there is one, a dash where there is nothing."""

from handmade import STATE, altered, cost_record, dice_record, latency_record, record

from bench.quantities import CostSpec
from bench.read.sections import sections
from bench.report.columns import MAIN, accuracy, cells, main, surfaces


def by_header(section, columns):
    return [
        dict(zip((column.header for column in columns), found, strict=True)) for found in cells(columns, section.rows)
    ]


def test_the_least_cost_is_best_and_of_three_patients_no_dice_is(reference):
    section = sections(reference)[0]
    mdsa, unet = by_header(section, main(section))
    assert (mdsa["Params (M)"].best, unet["Params (M)"].best) == (True, False)
    assert (mdsa["Dice"].best, unet["Dice"].best) == (False, False)


def bold(records, protocol=None):
    """The titles of the rows whose Dice is bold; the same in both tables that have it."""
    section = sections(records, protocol)[0]
    tables = [by_header(section, columns) for columns in (main(section), accuracy(section))]
    marked = [
        [row.title for row, line in zip(section.rows, table, strict=True) if line["Dice"].best] for table in tables
    ]
    assert marked[0] == marked[1]
    assert not any(cell.second for table in tables for line in table for name, cell in line.items() if "Dice" in name)
    return marked[0]


LEVEL = tuple(0.5 + n / 100 for n in range(20))
NEAR = tuple(dice + (-1) ** n * 0.1 - 0.01 for n, dice in enumerate(LEVEL))
FAR = tuple(dice - 0.3 + n % 3 / 100 for n, dice in enumerate(LEVEL))


def test_of_dice_all_are_bold_that_cannot_be_told_from_the_highest():
    assert bold([dice_record("unet", LEVEL), dice_record("unetpp", NEAR), dice_record("swin_unet", FAR)]) == [
        "U-Net", "UNet++",
    ]  # fmt: skip
    assert bold([dice_record("unet", LEVEL), dice_record("swin_unet", FAR)]) == ["U-Net"]


def test_what_trainings_leave_open_is_bold_too():
    """Each training's figure is far from the other network's, and as far from those of its own network."""
    seeds = [(seed, tuple(dice - 0.1 * seed for dice in LEVEL)) for seed in range(3)]
    records = [dice_record(name, dice, seed) for name in ("unet", "unetpp") for seed, dice in seeds]
    assert bold([*records, dice_record("swin_unet", tuple(dice - 0.25 for dice in FAR))]) == ["U-Net", "UNet++"]


def test_where_nothing_can_be_said_no_dice_is_bold():
    records = [dice_record("unet", LEVEL), dice_record("swin_unet", FAR)]
    old = [r.model_copy(update={"result": r.result.model_copy(update={"patients": ""})}) for r in records]
    assert bold(old) == []
    assert bold([dice_record("unet", LEVEL[:9]), dice_record("swin_unet", FAR[:9])]) == []
    assert bold([dice_record("unet", LEVEL)]) == []


def test_no_other_score_is_bold():
    section = sections([dice_record("unet", LEVEL), dice_record("swin_unet", FAR)])[0]
    lines = by_header(section, (*accuracy(section), *surfaces(section)))
    assert {name for line in lines for name, cell in line.items() if cell.best} == {"Dice", "Training (images/s)"}


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
    (found,) = by_header(section, (*accuracy(section), *surfaces(section)))
    assert (found["Dice (left)"].text, found["Dice (right)"].text) == ("0.700", "0.700")
    assert found["HD95 (mm)"].text == "3.00"
    assert found["Training (images/s)"].text == "4.50"


def test_a_disturbed_time_is_marked_and_never_the_best():
    quiet, busy = latency_record("unet"), latency_record("unetpp", samples_s=(0.1, 0.1, 0.1))
    before = STATE.model_copy(update={"clock_s": 0.0, "cpu_busy_s": 0.0, "own_cpu_s": 0.0})
    after = STATE.model_copy(update={"clock_s": 10.0, "cpu_busy_s": 15.0, "own_cpu_s": 5.0})
    section = sections([quiet, busy.model_copy(update={"before": before, "after": after})])[0]
    unet, unetpp = by_header(section, MAIN)
    assert (unetpp["Latency (ms)"].mark, unetpp["Latency (ms)"].best, unet["Latency (ms)"].mark) == ("‡", False, "")
    assert "1 of 1 processes were disturbed" in section.rows[1].taints[0]


def test_a_score_that_lacks_a_failed_seed_is_marked_and_never_the_best():
    lost = dice_record("unet", seed=1).model_copy(update={"status": "diverged", "error": "at step 31", "result": None})
    section = sections([dice_record("unet", LEVEL), lost, dice_record("unetpp", NEAR)])[0]
    unet, unetpp = by_header(section, main(section))
    assert (unet["Dice"].mark, unet["Dice"].best) == ("§", False)
    assert (unetpp["Dice"].mark, unetpp["Dice"].best) == ("", True)
    assert section.rows[0].failures == ("dice with seed 1 diverged: at step 31",)


def test_dice_of_other_images_than_those_that_were_timed_tells_their_size():
    section = sections([altered(dice_record(), size=64), cost_record(), latency_record()])[0]
    assert [c.header for c in (*main(section), *accuracy(section)) if c.key == "dice"] == ["Dice (64x64)"] * 2
    section = sections([dice_record(), cost_record(), latency_record()])[0]
    assert [column.header for column in main(section) if column.key == "dice"] == ["Dice"]
