"""Reports of several data sets: what foreign weights lose, folds, ranks over data sets, in every format."""

import csv

import numpy as np
import pandas as pd
import pytest
from handmade import TRAIN, altered, cost_record, dice_record, foreign_record, home_record

from bench.read.across import transfers
from bench.read.sections import sections
from bench.report import latex, markdown, pdf
from bench.report.across_tables import transfer_sentences, transfer_table
from bench.report.document import document
from bench.report.html import page
from bench.report.tidy import foreign_rows, tidy_rows, write_csv, write_parquet
from bench.report.write import write_report

RNG = np.random.default_rng(3)
OWN = tuple((0.6 + 0.2 * RNG.random(20)).round(3))
LESS = tuple((np.array(OWN) - 0.1 - 0.03 * RNG.random(20)).round(3))
LEVEL = tuple((np.array(OWN) + 0.03 * RNG.standard_normal(20)).round(3))


def network(name, there, own=OWN, seed=0, **result):
    """On isic2017, from there on ddti, and trained on ddti; without the last if `own` is None."""
    made = [home_record(name, OWN, "isic2017", seed), foreign_record(name, there, "isic2017", "ddti", seed)]
    made[1] = altered(made[1], result)
    return made + ([home_record(name, own, "ddti", seed)] if own else [])


RECORDS = [*network("unet", LESS), *network("mdsa_unet", LEVEL), *network("unext", LESS, None)]


def made(records):
    return document(records, sections(records), [])


def the(records):
    (found,) = transfers(sections(records))
    return found


def test_every_part_says_where_it_was_trained_and_where_it_was_tested():
    found = made(RECORDS)
    assert [part.title for part in found.parts] == [
        "ISIC2017 at 224x224", "DDTI, trained on isic2017, at 224x224", "DDTI at 224x224",
        "Weights on data that they were not trained on", "Mean ranks of these weights over data sets",
    ]  # fmt: skip
    foreign = found.parts[1]
    assert "of 3 networks, trained on isic2017, 80 steps of 4 images, one training each." in foreign.says[0]
    assert any("ddti test split, trained on isic2017, 20 images" in note for note in foreign.tables[0].notes)
    captions = [picture.caption for picture in foreign.pictures]
    assert captions == ["Paired differences of Dice, ddti, trained on isic2017"]
    assert "published" not in [table.key for table in foreign.tables]
    assert "published" in [table.key for table in found.parts[2].tables]


def test_the_table_has_a_line_a_network_with_a_dash_where_nothing_is_known():
    (table,) = made(RECORDS).parts[3].tables
    assert table.caption == "Trained on isic2017, tested on ddti: what is lost"
    assert [column.header for column in table.columns] == [
        "Dice (on isic2017)", "Dice (on ddti)", "Dice (on ddti, trained on it)", "Difference (on ddti)", "Patients",
        "Trainings", "p (Holm)", "Verdict",
    ]  # fmt: skip
    lines = {title: [cell.figure for cell in cells] for title, cells in table.lines}
    own, less, level = (f"{np.mean(dice):.3f}" for dice in (OWN, LESS, LEVEL))
    assert lines["U-Net"][:4] == [own, less, own, f"{np.mean(LESS) - np.mean(OWN):+.3f}"]
    assert lines["U-Net"][4:] == ["20", "1 and 1", "< 0.001", "worse (these weights)"]
    assert lines["MDSA-UNet"][1] == level
    assert lines["MDSA-UNet"][-1] == "undecided"
    assert lines["UNeXt"] == [own, less, *["–"] * 6]


def test_sentences_say_what_the_intervals_allow_and_no_more():
    lost = f"{np.mean(OWN) - np.mean(LESS):.3f}"
    assert transfer_sentences(the(RECORDS)) == [
        f"On ddti the weights of U-Net trained on isic2017 are worse than those trained on ddti, by {lost}: also on "
        "other patients, but another training may turn it round.",
        "Whether MDSA-UNet loses on ddti by being trained on isic2017 is not decided.",
    ]
    three = [record for seed in range(3) for record in network("unet", LESS, seed=seed)]
    assert transfer_sentences(the(three)) == [
        f"Trained on isic2017 instead of ddti, U-Net is worse on ddti, by {lost}: also when trained again and on other "
        "patients.",
    ]
    assert transfer_sentences(the(network("unet", LESS, None))) == []
    assert transfer_sentences(the(network("unet", OWN[:5], OWN[:5]))) == [
        "Whether U-Net loses on ddti by being trained on isic2017 is not decided."
    ]


@pytest.mark.parametrize(
    ("records", "told"),
    [
        (network("unet", LESS, None), "no network of these records was trained on ddti with the same budget"),
        (network("unet", OWN[:5], OWN[:5]), "nothing is decided: there are fewer than 10 patients"),
        ([altered(record, test_images=20) for record in network("unet", LESS)],
         "nothing is decided: only a part of the test split was scored"),
        (network("unet", LESS, copies=2), "2 of 20 test images are copies of images of isic2017 that were trained on: "
         "a network is scored on what it learned, and nothing is decided by it"),
        (network("unet", LESS, near_copies=1), "1 of 20 test images look like images of isic2017 that were trained on"),
    ],
)  # fmt: skip
def test_notes_say_why_nothing_is_decided(records, told):
    notes = transfer_table(the(records)).notes
    assert any(note.startswith(told) for note in notes), notes
    assert all("worse" not in line for line in transfer_sentences(the(records))) or "look like" in told


def test_a_section_with_copies_says_so_and_compares_nothing():
    records = [record for name in ("unet", "unext") for record in network(name, LESS, copies=2)]
    part = made(records).parts[1]
    assert "Some of the test images were trained on, so nothing is said of which network is better." in part.says[0]
    paired = next(table for table in part.tables if table.key == "paired")
    assert paired.notes[-1].startswith("some of the test images were trained on: the differences are shown")
    assert any(note.startswith("2 of 20 test images are copies") for note in part.tables[0].notes)
    assert "ranks" not in [table.key for table in part.tables]


def test_every_format_has_the_table(tmp_path):
    found = made(RECORDS)
    caption, lost = "Trained on isic2017, tested on ddti: what is lost", f"{np.mean(LESS) - np.mean(OWN):+.3f}"
    for made_by, name in ((markdown, "report.md"), (latex, "tables.tex")):
        made_by.write(found, tmp_path)
        text = (tmp_path / name).read_text()
        assert (caption in text, lost in text) == (True, True), name
    assert caption in page(found)
    assert lost in page(found)
    told = [table["caption"] for part in pdf._data(found)["parts"] for table in part["tables"]]
    assert caption in told


def test_csv_and_parquet_say_both_names_and_home_rows_too_where_there_are_foreign_ones(tmp_path):
    assert [path.name for path in write_csv(made(RECORDS), tmp_path)] == ["table.csv", "paired.csv", "foreign.csv"]
    with (tmp_path / "table.csv").open() as file:
        rows = [(row["network"], row["dataset"], row["trained_on"]) for row in csv.DictReader(file)]
    assert sorted(set(rows)) == [
        *(("mdsa_unet", *two) for two in (("ddti", "ddti"), ("ddti", "isic2017"), ("isic2017", "isic2017"))),
        *(("unet", *two) for two in (("ddti", "ddti"), ("ddti", "isic2017"), ("isic2017", "isic2017"))),
        *(("unext", *two) for two in (("ddti", "isic2017"), ("isic2017", "isic2017"))),
    ]  # fmt: skip
    write_parquet(made(RECORDS), tmp_path)
    found = pd.read_parquet(tmp_path / "foreign.parquet").set_index("network")
    assert found.loc["unet", "dice_difference"] == pytest.approx(np.mean(LESS) - np.mean(OWN), abs=1e-3)
    assert (found.loc["unet", "verdict"], found.loc["unet", "trained_on"]) == ("worse", "isic2017")
    assert pd.isna(found.loc["unext", "dice_difference"])
    assert pd.isna(found.loc["unext", "verdict"])


def test_without_foreign_weights_nothing_of_it_is_there(tmp_path, reference):
    at_home = [home_record("unet", OWN, "ddti"), home_record("unext", LESS, "ddti"), cost_record()]
    assert foreign_rows(sections(at_home)) == []
    assert not {"dataset", "trained_on"} & {name for row in tidy_rows(sections(at_home)) for name in row}
    assert "foreign" not in [part.name for part in made(at_home).parts]
    assert "foreign.csv" not in [path.name for path in write_csv(made(reference), tmp_path)]


def test_a_later_report_without_foreign_weights_removes_their_file(tmp_path):
    write_report(made(RECORDS), tmp_path, ["csv"])
    assert (tmp_path / "foreign.csv").exists()
    write_report(made(RECORDS[:1]), tmp_path, ["csv"])
    assert not (tmp_path / "foreign.csv").exists()


def test_the_commands_train_once_and_test_on_the_other_data_set():
    with_homes, alone = made(RECORDS).commands, made([one for one in RECORDS if one.job.spec.trained_on]).commands
    first = "--dataset isic2017 --data-root ISIC2017 --test-on ddti=DDTI --budget quick --steps 80"
    assert [command.partition("--dataset")[1:] for command in with_homes] == [
        ("--dataset", first.partition("--dataset")[2]),
        ("--dataset", " ddti --data-root DDTI --budget quick --steps 80"),
    ]
    (only,) = alone
    assert only.endswith(first)


# ---- folds -----------------------------------------------------------------------------------------------------------


def folds(name, seeds=(0,), numbers=(0, 1, 2, 3, 4)):
    return [
        altered(dice_record(name, tuple(np.array(OWN) + 0.01 * fold), seed), dataset="tn3k", data=f"{fold}" * 12,
                fold=fold)
        for seed in seeds for fold in numbers
    ]  # fmt: skip


def test_a_report_says_how_many_folds_and_what_each_gave():
    found = made([*folds("unet", (0, 1)), *folds("unext")])
    (part,) = found.parts
    assert part.title == "TN3K at 224x224, 5 folds"
    assert "80 steps of 4 images, 1 to 2 trainings of 5 folds each" in part.says[0]
    notes = " ".join(part.tables[0].notes)
    assert "the 5 folds of a seed are one training, pooled by patient" in notes
    assert "seed 0, U-Net also with seed 1; folds 0, 1, 2, 3, 4, the best of" in notes
    each = ", ".join(f"{fold} {np.mean(OWN) + 0.01 * fold:.3f}" for fold in range(5))
    assert f"UNeXt: Dice of fold {each}" in part.tables[0].notes
    assert found.commands[0].partition("--dataset ")[2].startswith("tn3k --data-root TN3K --folds 0,1,2,3,4 --budget")


def test_one_fold_is_told_by_its_number_and_a_network_with_more_is_named():
    (part,) = made(folds("unet", numbers=(3,))).parts
    assert part.title == "TN3K at 224x224"
    assert "seed 0; fold 3, the best of" in " ".join(part.tables[0].notes)
    assert "folds" not in " ".join(part.tables[0].notes)
    uneven = made([*folds("unet", numbers=(0,)), *folds("unext", numbers=(0, 1))])
    assert "fold 0, UNeXt also with fold 1" in " ".join(uneven.parts[0].tables[0].notes)


def test_a_lost_fold_is_named():
    records = folds("unet")
    failed = records[3].model_copy(update={"status": "crashed", "error": "segfault", "result": None})
    (part,) = made([*records[:3], failed, records[4]]).parts
    assert "U-Net: dice with seed 0 of fold 3 crashed: segfault" in part.tables[0].notes
    assert "§ U-Net: 4 of 5 trainings gave a result; the others failed" in part.tables[0].notes


# ---- ranks over data sets --------------------------------------------------------------------------------------------


def test_mean_ranks_stand_beside_the_rank_on_each_data_set_and_say_of_what_they_are():
    better, worse = OWN, tuple(np.array(OWN) - 0.2)
    order = {"ddti": ("unet", "unext"), "isic2017": ("unext", "unet"), "tn3k": ("unet", "unext")}
    records = [
        home_record(name, dice, data)
        for data, names in order.items() for name, dice in zip(names, (better, worse), strict=True)
    ]  # fmt: skip
    (table,) = made(records).parts[-1].tables
    assert [column.header for column in table.columns] == [
        "Rank", "95 %", "P(best)", "Rank (ddti)", "Rank (isic2017)", "Rank (tn3k)",
    ]  # fmt: skip
    assert [(title, *(cell.figure for cell in cells)) for title, cells in table.lines] == [
        ("U-Net", "1.33", "1.33 to 1.33", "1.000", "1 (1 to 1)", "2 (2 to 2)", "1 (1 to 1)"),
        ("UNeXt", "1.67", "1.67 to 1.67", "< 0.001", "2 (2 to 2)", "1 (1 to 1)", "2 (2 to 2)"),
    ]
    assert table.notes[0].startswith("mean over 3 data sets, ddti, isic2017, tn3k, of the ranks among the networks")
    assert "no sample of all data sets" in table.notes[1]


def test_mean_ranks_of_trainings_as_many_epochs_long_tell_their_steps():
    longer = TRAIN.model_copy(update={"steps": 160, "checkpoint_interval": 40})
    records = [home_record(name, dice, "ddti") for name, dice in (("unet", OWN), ("unext", LESS))]
    records += [altered(home_record(r.job.network, OWN, "tn3k"), train=longer) for r in records]
    (table,) = made(records).parts[-1].tables
    assert any(note.endswith("and not as many steps: ddti 80, tn3k 160") for note in table.notes)
