"""`bench score`: from folders of masks and files of scores to the report, and what is wrong is told with code 2."""

import json
import shutil
from contextlib import nullcontext

import pytest
from commanding import bench
from predicting import counted, names, predicted, summary, truth

from bench.cli.terminal import Status
from bench.locks import take

PATIENT = ("--patient", r"(P\d+)_", "--size", "64")


def test_two_folders_and_a_summary_from_the_command_to_the_report(tmp_path):
    truth(tmp_path / "truth")
    predicted(tmp_path / "predsA", 1)
    predicted(tmp_path / "predsB", 2)
    summary(tmp_path / "summary.json", {name: {"1": counted(350, 50, 50)} for name in names()})
    asked = ["score", "mine=predsA,predsB", "nnunet=summary.json", "--data-root", "truth", *PATIENT]
    done = bench(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr  # a slow machine tells its progress there
    assert "mine, training 1: predsB, a mask for each of 6 images" in done.stdout
    assert "nnunet, training 0: summary.json, scores of 6 cases, each matched" in done.stdout
    assert "0.925" in done.stdout  # the mean of 0.95 and 0.9
    assert "0.875" in done.stdout
    reported = bench("report", "results", "--to", "report", "--format", "markdown,csv,html", cwd=tmp_path)
    assert reported.returncode == 0
    text = (tmp_path / "report" / "report.md").read_text()
    for line in (
        "mine (predicted elsewhere): predicted elsewhere, from predsA",
        "nnunet (predicted elsewhere): predicted elsewhere, from summary.json",
    ):
        assert line in text
    rows = [line for line in text.splitlines() if line.startswith(("| mine (predicted", "| nnunet (predicted"))]
    assert any("0.925" in row for row in rows if "mine" in row)
    assert any("0.875" in row for row in rows if "nnunet" in row)
    table = (tmp_path / "report" / "table.csv").read_text().splitlines()
    assert len(table) == 3


def test_a_network_of_the_table_stands_in_the_report_of_other_commands(tmp_path):
    truth(tmp_path / "truth")
    predicted(tmp_path / "preds", 1)
    done = bench("score", "unet=preds", "mine=preds", "--data-root", "truth", *PATIENT, cwd=tmp_path)
    assert done.returncode == 0
    assert "U-Net" in done.stdout
    assert "have the same predictions" in done.stdout
    picked = bench("pick", "results", "--min-dice", "0.5", cwd=tmp_path)
    assert picked.returncode == 0
    assert "Traceback" not in picked.stderr
    checked = bench("check", "results", cwd=tmp_path)
    assert "Traceback" not in checked.stderr
    compared = bench("compare", "results", "results", cwd=tmp_path)
    assert compared.returncode == 0
    assert "same" in compared.stdout


def test_a_table_of_teams_alone(tmp_path):
    lines = [f"{team},c{case},{0.5 + case / 40}" for team in ("A", "B") for case in range(12)]
    (tmp_path / "teams.csv").write_text("\n".join(["team,case,dice", *lines]))
    done = bench("score", "teams.csv", "--json", cwd=tmp_path)
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert [(record["network"], record["dataset"], record["images"]) for record in found["records"]] == [
        ("A", "cases", 12), ("B", "cases", 12),
    ]  # fmt: skip
    assert [row["dice"] for row in found["rows"]] == pytest.approx([0.6375] * 2)
    assert found["remarks"] == ["A and B have the same predictions"]
    again = bench("score", "teams.csv", cwd=tmp_path)
    assert "it is on record already" in again.stdout
    reported = bench("report", "results", "--format", "markdown,latex", cwd=tmp_path)
    assert reported.returncode == 0
    assert "12 cases, scored elsewhere" in (tmp_path / "reports" / "report.md").read_text()


def test_paths_with_a_comma_or_an_equals_sign(tmp_path):
    truth(tmp_path / "truth")
    for number, name in enumerate(("a,b", "c=d", "e")):
        predicted(tmp_path / name, number)
    done = bench("score", "mine=a,b", "mine=c=d", "mine=e", "--data-root", "truth", *PATIENT, cwd=tmp_path)
    assert done.returncode == 0
    assert "mine, training 2: e" in done.stdout


def test_masks_of_all_splits_can_be_scored(tmp_path):
    """A folder without a split has one drawn."""
    truth(tmp_path / "parts")
    predicted(tmp_path / "preds", 1)
    for kind in ("images", "masks"):
        shutil.copytree(tmp_path / "parts" / "test" / kind, tmp_path / "truth" / kind)
    asked = ["score", "mine=preds", "--data-root", "truth", "--size", "64"]
    refused = bench(*asked, cwd=tmp_path)
    assert refused.returncode == 2
    assert "5 of another split; --split test, val or all is what is scored" in refused.stderr
    done = bench(*asked, "--split", "all", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["records"][0]["images"] == 6


WRONG = {
    "no such path": (["a=nowhere"], "no such folder or file: 'nowhere'"),
    "no name": (["preds", "--data-root", "truth"], "does not say which network"),
    "half a list": (["a=preds,nowhere", "--data-root", "truth"], "a path that holds a comma is given alone"),
    "a name that is none": (["a/b=preds"], "cannot be a network's name"),
    "the machine": (["machine=preds"], "cannot be a network's name"),
    "no truth": (["a=preds"], "give --data-root FOLDER"),
    "no such data set": (["a=preds", "--dataset", "acdd", "--data-root", "truth"], "did you mean 'acdc'?"),
    "classes of cases": (["a=x.csv", "--classes", "b"], "--classes is for a data set"),
    "twice the same": (["a=preds,preds", "--data-root", "truth"], "two trainings of a that are the same"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_in_words(tmp_path, wrong):
    arguments, told = WRONG[wrong]
    truth(tmp_path / "truth")
    predicted(tmp_path / "preds", 1)
    (tmp_path / "x.csv").write_text("case,dice\na,0.5\n")
    done = bench("score", *arguments, cwd=tmp_path)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_it_shares_the_machine_with_all_but_times_and_waits_for_another_that_writes_there(tmp_path, monkeypatch):
    truth(tmp_path / "truth")
    predicted(tmp_path / "preds", 1)
    asked = []
    locked = lambda exclusive, tell: (asked.append(exclusive), nullcontext())[1]  # noqa: E731
    monkeypatch.setattr("bench.run.elsewhere.machine_lock", locked)
    other = take(tmp_path / "results" / "locks" / "score.lock")
    monkeypatch.setattr("bench.locks.POLL_S", 0.0)
    told = []
    monkeypatch.setattr(Status, "show", lambda self, text, *_, **__: (told.append(text), other.release()))
    done = bench("score", "mine=preds", "--data-root", "truth", *PATIENT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert asked == [False]
    assert told[0] == "another bench score writes to results"
