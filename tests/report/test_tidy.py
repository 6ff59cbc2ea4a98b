"""Rows for people's own plots: nothing is rounded, and each leads back to its records."""

import csv
import io

import pytest

from bench.read.sections import sections
from bench.report.tidy import csv as as_csv
from bench.report.tidy import paired_rows, tidy_rows


def test_it_is_unrounded_and_leads_back_to_the_records(reference):
    rows = list(csv.DictReader(io.StringIO(as_csv(tidy_rows(sections(reference))))))
    assert [row["network"] for row in rows] == ["mdsa_unet", "unet"]
    assert rows[1]["macs_torch"] == "36878155776"
    assert float(rows[1]["dice"]) == pytest.approx(sum((0.5, 0.7, 0.9)) / 3, rel=1e-9)
    assert rows[1]["records"].split() == [r.id for r in reference if r.job.network == "unet"]


def test_pairs_name_both_networks_and_what_was_tested(reference):
    (row,) = paired_rows(sections(reference))
    assert (row["network"], row["reference"], row["units"], row["n"]) == ("unet", "mdsa_unet", "images", 3)
    assert row["dice_difference_low"] <= row["dice_difference"] <= row["dice_difference_high"]
