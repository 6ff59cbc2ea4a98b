"""What is on record, run and reported from Python: the same as the commands give, as records and tables of pandas."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from handmade import cost_record, dice_record, foreign_record, home_record, latency_record, record
from orders import tiny

import bench
from bench.api.recorded import Records
from bench.quantities import CostSpec
from bench.quantities.scores import SCORES
from bench.read.sections import sections
from bench.report.tidy import tidy_rows
from bench.run.store import Store


@pytest.fixture
def folder(reference, tmp_path) -> Path:
    """Records on a disk, and a file that is none."""
    results = tmp_path / "results"
    for one in reference:
        Store(results).write(one)
    (results / "unet-cost-0123456789ab.json").write_text("{}")
    return results


@pytest.mark.filterwarnings("ignore:left out")
def test_a_line_for_each_network_is_that_of_the_report(folder, reference):
    found = bench.records(folder)
    assert isinstance(found, pd.DataFrame)
    assert found.to_dict("records")[0].keys() == tidy_rows(sections(reference))[0].keys()
    mine = found.set_index("network").loc["mdsa_unet"]
    assert (mine.parameters, mine.latency_s) == (6_576_225, pytest.approx(0.11))
    assert mine.dice == pytest.approx((0.6 + 0.8 + 0.95) / 3)


@pytest.mark.filterwarnings("ignore:left out")
def test_a_line_for_each_record_has_its_conditions_and_figures(folder):
    Store(folder).write(record("unext", CostSpec(size=64), None, "refused", "it takes other images"))
    found = bench.records(folder, each="record")
    assert len(found) == 7
    latency = found[(found.quantity == "latency") & (found.network == "mdsa_unet")].iloc[0]
    assert (latency.latency_s, latency.variant, latency.batch) == (pytest.approx(0.11), "eager", 1)
    assert math.isnan(latency.parameters)
    scored = found[(found.quantity == "dice") & (found.network == "unet")].iloc[0]
    assert (scored.dice, scored.seed, scored.steps) == (pytest.approx(0.7), 0, 80)
    failed = found[found.status == "refused"].iloc[0]
    assert (failed.network, failed["size"], failed.error) == ("unext", 64, "it takes other images")
    assert set(SCORES) <= set(found)
    assert found.loc[found.quantity == "cost", "macs_torch"].notna().sum() == 2


def test_lines_of_foreign_weights_say_both_data_sets(tmp_path):
    records = [home_record("unext", (0.5, 0.6), "isic2017"), foreign_record("unext", (0.3, 0.4), "isic2017", "ddti")]
    for each in ("record", "image"):
        found = Records([*records, cost_record("unext")], tmp_path).frame(each)
        assert set(zip(found.dataset.dropna(), found.trained_on.dropna(), strict=True)) == {
            ("isic2017", "isic2017"), ("ddti", "isic2017"),
        }  # fmt: skip


@pytest.mark.filterwarnings("ignore:left out")
def test_a_line_for_each_image_and_for_each_call(folder):
    images = bench.records(folder, each="image")
    assert list(images[images.network == "unet"].dice) == [0.5, 0.7, 0.9]
    assert list(images[images.network == "unet"].patient) == ["image-0", "image-1", "image-2"]
    assert set(images.distance_unit) == {"px"}
    calls = bench.records(folder, each="call")
    assert list(calls[calls.network == "mdsa_unet"].latency_s) == [0.1, 0.11, 0.12]
    assert list(calls[calls.network == "mdsa_unet"].call) == [0, 1, 2]


def test_what_is_left_out_is_told_in_one_warning_of_the_callers_line(folder):
    with pytest.warns(UserWarning, match="left out:\n.*unet-cost-0123456789ab") as told:
        bench.records(folder)
    assert len(told) == 1
    assert told[0].filename == __file__


def test_records_show_as_the_reports_tables_and_are_a_sequence(reference, tmp_path):
    failed = record("unext", CostSpec(), None, "crashed", "ValueError: <b>no</b>")
    found = Records([*reference, failed], tmp_path, ["all is well"])
    assert (len(found), found[0], list(found[-2:])) == (7, reference[0], [reference[-1], failed])
    assert found.failures == (failed,)
    text = str(found)
    assert repr(found) == text
    header, *lines = next(block for block in text.split("\n\n") if "MDSA-UNet" in block).splitlines()[1:]
    assert "Latency (ms)" in header
    assert all(len(line) <= len(header) for line in lines)
    assert "all is well" in text
    assert "unext, cost: crashed: ValueError: <b>no</b>" in text
    page = found._repr_html_()
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert "<b>6.58</b>" in page, "the best of its column"
    assert found.frame("call").latency_s.tolist()[:3] == [0.3, 0.31, 0.32]


@pytest.mark.filterwarnings("ignore:left out")
def test_a_report_of_folders_and_of_records_is_that_of_the_command(folder, reference, tmp_path):
    paths = bench.report(folder, tmp_path / "a", formats=["csv", "markdown"], against="unet")
    assert {path.name for path in paths} >= {"table.csv", "report.md"}
    again = bench.report(Records(reference, folder), to=tmp_path / "b", formats="csv,markdown", against="unet")
    assert [path.name for path in again] == [path.name for path in paths]
    assert (tmp_path / "a" / "table.csv").read_text() == (tmp_path / "b" / "table.csv").read_text()
    assert "Paired with U-Net" in (tmp_path / "a" / "report.md").read_text()
    table = pd.read_csv(tmp_path / "a" / "table.csv").set_index("network")
    assert np.isclose(table.dice, bench.records(folder).set_index("network").dice).all()
    (only,) = bench.report(folder, tmp_path / "c", group="hybrid", formats="csv")
    assert list(pd.read_csv(only).network) == ["mdsa_unet"]


def test_a_report_names_what_it_does_not_have(reference, tmp_path):
    given = Records(reference, tmp_path)
    with pytest.raises(bench.UserError, match="unknown network in these records 'unett'"):
        bench.report(given, tmp_path / "a", against="unett")
    with pytest.raises(bench.UserError, match="no record is of a network of transformer"):
        bench.report(given, tmp_path / "a", group="transformer")
    assert not (tmp_path / "a").exists()


def test_a_run_is_planned_as_asked_and_gives_all_its_records(tmp_path, monkeypatch):
    """What the engine does is tested elsewhere: here it only gives the records of its jobs."""
    import bench.run.local

    planned = []

    def carry_out(plan, waiting, out, listener):
        planned.append((plan, len(waiting), out))
        made = {"cost": cost_record, "latency": latency_record, "dice": dice_record}
        return [made[job.spec.quantity](job.network) for job in plan.jobs if job.spec.quantity in made]

    monkeypatch.setattr(bench.run.local, "carry_out", carry_out)
    own = tiny(tmp_path)
    found = bench.run(
        [own, "unet"], arguments={"width": 8}, measure=["cost", "latency"], budget="smoke", device="cpu",
        size=[64, 32], batch=2, out=tmp_path / "out", quiet=True,
    )  # fmt: skip
    ((plan, waiting, out),) = planned
    assert plan.study.networks == (f"{own}?width=8", "unet")
    assert (plan.study.size, plan.study.sizes, plan.study.batches) == (64, (32,), (2,))
    assert (plan.study.measures, plan.study.budget.name, out) == (("cost", "latency"), "smoke", tmp_path / "out")
    assert waiting == len(plan.jobs)
    assert [one.job.spec.quantity for one in found].count("cost") == 4
    assert "U-Net" in str(found)


@pytest.mark.slow
def test_a_run_measures_and_a_second_one_finds_it_on_record(tmp_path):
    asked = {"measure": "cost", "device": "cpu", "size": 64, "out": tmp_path / "out", "quiet": True}
    first = bench.run("malunet", **asked)
    assert [one.job.spec.quantity for one in first if one.status == "ok"].count("cost") == 1
    again = bench.run("malunet", **asked)
    assert list(again) == list(first)
    assert bench.records(tmp_path / "out").network.tolist() == ["malunet"]
