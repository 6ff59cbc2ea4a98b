"""Which tables a section has, and what stands below them."""

from handmade import DICE, altered, cost_record, dice_record, latency_record, record

from bench.read.sections import sections
from bench.report.tables import notes, tables


def test_cost_beside_accuracy_then_accuracy_in_full_then_the_pairs(reference):
    found = tables(sections(reference)[0])
    assert [table.caption for table in found] == [
        "Accuracy and cost", "Accuracy in full", "Outlines and failures", "Spread of Dice", "Paired with MDSA-UNet",
    ]  # fmt: skip
    assert [[title for title, _ in table.lines] for table in found] == [["MDSA-UNet", "U-Net"]] * 4 + [["U-Net"]]


def test_tables_of_scores_tell_the_size_of_the_images_where_cost_was_measured_at_another(reference):
    small = [altered(dice_record(name), size=64) for name in ("mdsa_unet", "unet")]
    main, *others = tables(sections([*reference[:4], *small])[0])
    assert main.caption == "Accuracy and cost"
    assert [table.caption.partition(", at ")[2] for table in others] == ["64x64"] * len(others) != []


def test_where_nothing_was_scored_there_is_one_table():
    assert [table.caption for table in tables(sections([cost_record(), latency_record()])[0])] == ["Accuracy and cost"]


def test_a_network_of_the_same_function_shows_the_dice_it_shares_marked_and_never_bold(reference):
    plain = [cost_record("mdsa_unet_plain", 6_576_225), latency_record("mdsa_unet_plain", (0.2, 0.21, 0.22))]
    many = tuple(0.5 + n / 100 for n in range(12))
    scored = [dice_record("mdsa_unet", many), dice_record("unet", tuple(d - 0.2 for d in many))]
    main, *others = tables(sections([*reference[:4], *plain, *scored])[0])
    place = [column.key for column in main.columns].index("dice")
    dice = {title: cells[place] for title, cells in main.lines}
    assert list(dice) == ["MDSA-UNet", "MDSA-UNet, plain form", "U-Net"]
    assert dice["MDSA-UNet"].figure == dice["MDSA-UNet, plain form"].figure == "0.555"
    assert dice["MDSA-UNet, plain form"].interval == dice["MDSA-UNet"].interval != ""
    assert [(cell.mark, cell.best) for cell in dice.values()] == [("", True), ("¶", False), ("", False)]
    told = "¶ MDSA-UNet, plain form: the same function as MDSA-UNet, whose Dice it shares; it is not ranked"
    assert told in main.notes
    assert sum("MDSA-UNet runs in this repository's fast form" in note for note in main.notes) == 1
    assert all(title in ("MDSA-UNet", "U-Net") for table in others for title, _ in table.lines)


def test_the_fast_form_is_told_beside_the_plain_one_alone(reference):
    assert "fast form" not in "\n".join(notes(sections(reference)[0]))
    timed = [latency_record("mdsa_unet"), latency_record("mdsa_unet_plain")]
    told = "\n".join(notes(sections(timed)[0]))
    assert "the paper's claims of speed and memory are judged" in told
    assert "whose Dice it shares" not in told


def test_another_network_to_compare_with(reference):
    assert tables(sections(reference, against="unet")[0])[-1].caption == "Paired with U-Net"


def test_seeds_are_told_with_their_deviation():
    low, high = (tuple(start + n / 100 for n in range(11)) for start in (0.45, 0.65))
    section = sections([dice_record(dice=low, seed=0), dice_record(dice=high, seed=1)])[0]
    dice = dict(zip((c.header for c in tables(section)[0].columns), tables(section)[0].lines[0][1], strict=True))[
        "Dice"
    ]
    assert dice.text.startswith("0.600 ± 0.141 [")
    assert (
        "with a score of 0 or of 1, after ± the standard deviation over trainings; no pre-training"
        in notes(section)[-1]
    )
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


WORSE = tuple(0.3 + n / 100 for n in range(12))
BETTER = tuple(0.7 + n / 100 + n % 2 / 50 for n in range(12))


def test_each_note_stands_alone_and_shows_no_sign_that_ends_it(reference):
    told = [note for section in sections(reference) for shown in tables(section) for note in shown.notes]
    assert "Dice pooled: one confusion matrix for the whole split" in told
    assert not [note for note in told if "\\x" in note or "\x1e" in note]


def table_of(records, key):
    (section,) = sections(records)
    (found,) = (table for table in tables(section) if table.key == key)
    return found


def test_pairs_say_what_holds_of_these_weights_and_what_of_the_networks():
    seeds = [
        dice_record(name, dice, seed) for name, dice in (("mdsa_unet", BETTER), ("unet", WORSE)) for seed in range(3)
    ]
    found = table_of([*seeds, dice_record("unetpp", WORSE)], "paired")
    keys = [column.key for column in found.columns]
    lines = {title: dict(zip(keys, (cell.text for cell in cells), strict=True)) for title, cells in found.lines}
    assert (lines["U-Net"]["trainings"], lines["U-Net"]["verdict"]) == ("3 and 3", "worse (networks)")
    assert lines["U-Net"]["networks"].startswith("-0.410 [")
    assert (lines["UNet++"]["trainings"], lines["UNet++"]["verdict"]) == ("1 and 3", "worse (these weights)")
    assert lines["UNet++"]["networks"] == "–"


def test_pairs_without_patients_show_differences_and_decide_nothing():
    records = [dice_record("unet", WORSE), dice_record("mdsa_unet", BETTER)]
    old = [r.model_copy(update={"result": r.result.model_copy(update={"patients": ""})}) for r in records]
    found = table_of(old, "paired")
    names = [column.header for column in found.columns]
    assert names == ["Dice (these weights)", "Images", "Trainings", "Won", "Lost", "Verdict"]
    assert [cell.text for cell in found.lines[0][1]] == ["-0.410", "12", "1 and 1", "0 %", "100 %", "undecided"]
    assert found.notes[-1] == "the records name no patients: the differences are shown, and nothing is said of them"
    assert not [note for note in found.notes if "p-value" in note]


def test_why_nothing_is_said_of_pairs_stands_below_them(reference):
    few = table_of(reference, "paired").notes[-1]
    assert few == "these are fewer than 10 patients: the differences are shown, and nothing is said of them"
    records = [dice_record("unet", WORSE), dice_record("mdsa_unet", BETTER)]
    spec = {"spec": records[0].job.spec.model_copy(update={"test_images": 12})}
    part = [r.model_copy(update={"job": r.job.model_copy(update=spec)}) for r in records]
    assert table_of(part, "paired").notes[-1].startswith("only a part of the test split was scored")


def test_ranks_say_whose_they_are():
    one = [dice_record("unet", WORSE), dice_record("mdsa_unet", BETTER)]
    assert table_of(one, "ranks").caption == "Ranks by Dice of these weights"
    three = [
        dice_record(name, dice, seed) for name, dice in (("unet", WORSE), ("mdsa_unet", BETTER)) for seed in range(3)
    ]
    found = table_of(three, "ranks")
    assert found.caption == "Ranks by Dice of the networks"
    assert [(title, *(cell.text for cell in cells)) for title, cells in found.lines] == [
        ("MDSA-UNet", "1", "1 to 1", "1.000"), ("U-Net", "2", "2 to 2", "< 0.001"),
    ]  # fmt: skip


def test_what_bold_means_stands_below_the_table_where_anything_of_dice_is_bold(reference):
    told = "Dice in bold: the highest, and all that nothing here shows to be worse"
    few = notes(sections(reference)[0])
    many = notes(sections([dice_record("unet", WORSE), dice_record("mdsa_unet", BETTER)])[0])
    assert [any(note.startswith(told) for note in found) for found in (few, many)] == [False, True]
