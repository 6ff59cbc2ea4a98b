"""Rows for people's own plots: nothing is rounded, and each leads back to its records."""

import csv

import pandas as pd
import pytest
from handmade import dice_record

from bench.read.sections import sections
from bench.report.document import document
from bench.report.tidy import paired_rows, write_csv, write_parquet


def test_csv_is_unrounded_and_leads_back_to_the_records(tmp_path, reference):
    table, _ = write_csv(document(reference, sections(reference), []), tmp_path)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows] == ["mdsa_unet", "unet"]
    assert rows[1]["macs_torch"] == "36878155776"
    assert float(rows[1]["dice"]) == pytest.approx(sum((0.5, 0.7, 0.9)) / 3, rel=1e-9)
    assert rows[1]["records"].split() == [r.id for r in reference if r.job.network == "unet"]


def test_pairs_name_both_networks_and_what_was_tested(reference):
    (row,) = paired_rows(sections(reference))
    assert (row["network"], row["reference"], row["of"], row["patients"]) == ("unet", "mdsa_unet", "these trainings", 3)
    assert row["dice_difference"] == pytest.approx((2.1 - 2.35) / 3)
    assert (row["dice_difference_low"], row["dice_difference_high"], row["verdict"]) == (None, None, "undecided")


def test_pairs_of_three_trainings_each_are_of_the_networks():
    dice = tuple(0.3 + n / 100 for n in range(12))
    seeds = [dice_record("unet", tuple(value + seed / 1000 for value in dice), seed) for seed in range(3)]
    better = [dice_record("mdsa_unet", tuple(value + 0.3 + seed / 1000 for value in dice), seed) for seed in range(3)]
    (row,) = paired_rows(sections([*seeds, *better]))
    assert (row["of"], row["trainings"], row["reference_trainings"]) == ("the networks", 3, 3)
    assert row["dice_difference_low"] < row["dice_difference"] < row["dice_difference_high"] < 0
    assert (row["verdict"], row["reference_chosen_after"]) == ("worse", False)


def test_parquet_rows_come_back_typed(tmp_path, reference):
    table, paired = write_parquet(document(reference, sections(reference), []), tmp_path)
    rows = pd.read_parquet(table)
    assert rows.set_index("network").loc["mdsa_unet", "parameters"] == 6_576_225
    assert pd.read_parquet(paired)["network"].tolist() == ["unet"]
