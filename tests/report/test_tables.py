"""Which tables a section has, and what stands below them."""

from handmade import DICE, cost_record, dice_record, latency_record, record

from bench.read.sections import sections
from bench.report.tables import notes, tables


def test_cost_beside_accuracy_then_accuracy_in_full_then_the_pairs(reference):
    found = tables(sections(reference)[0])
    assert [table.caption for table in found] == ["Accuracy and cost", "Accuracy in full", "Paired with MDSA-UNet"]
    assert [[title for title, _ in table.lines] for table in found] == [["MDSA-UNet", "U-Net"]] * 2 + [["U-Net"]]


def test_where_nothing_was_scored_there_is_one_table():
    assert [table.caption for table in tables(sections([cost_record(), latency_record()])[0])] == ["Accuracy and cost"]


def test_another_network_to_compare_with(reference):
    assert tables(sections(reference, against="unet")[0])[-1].caption == "Paired with U-Net"


def test_seeds_are_told_with_their_deviation():
    section = sections([dice_record(dice=(0.4, 0.6), seed=0), dice_record(dice=(0.6, 0.8), seed=1)])[0]
    dice = dict(zip((c.header for c in tables(section)[0].columns), tables(section)[0].lines[0][1], strict=True))[
        "Dice"
    ]
    assert dice.text.startswith("0.600 ± 0.141 [")
    assert "after ± the standard deviation over seeds; no pre-training" in notes(section)[-1]
    assert "seeds 0, 1" in notes(section)[-1]


def test_who_was_trained_with_more_seeds_is_named():
    records = [dice_record("unet"), dice_record("mdsa_unet"), dice_record("mdsa_unet", seed=2)]
    assert "seed 0, MDSA-UNet also with seed 2" in notes(sections(records)[0])[-1]


def test_weights_from_elsewhere_are_said_to_be():
    spec = DICE.model_copy(update={"train": None, "weights": "0123"})
    scores = dice_record().result.model_copy(update={"weights_file": "theirs.pt"})
    assert "weights from theirs.pt, trained elsewhere" in notes(sections([record("unet", spec, scores)])[0])[-1]


def test_conventions_stand_below_the_table(reference):
    text = "\n".join(notes(sections(reference)[0]))
    assert "one multiply-add counted as one" in text
    assert "mean over images (per_image)" in text
    assert "batch 1, cpu, float32, 2 threads" in text
