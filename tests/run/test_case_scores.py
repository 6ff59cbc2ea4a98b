"""Files of scores made elsewhere: summaries of nnU-Net and tables, refused in words where something does not fit."""

import json
import math

import numpy as np
import pytest
from predicting import counted, names, refusal, scored, summary, truth

from bench.data import Options
from bench.errors import UserError
from bench.read.sections import sections
from bench.run.case_scores import read_case_scores

# ---- files of scores -------------------------------------------------------------------------------------------------


def test_a_summary_over_images_tells_dice_on_their_own_grid(tmp_path):
    path = summary(tmp_path / "summary.json", {name: {"1": counted(300, 100, 100)} for name in names()})
    outcome = scored({"nnunet": path}, tmp_path / "out", truth(tmp_path / "truth"))
    first = outcome.records[0].result.images[0]
    assert (first.own_tp, first.tp, first.dice_own, first.patient) == (300, None, 0.75, "P30")
    assert math.isnan(first.dice)
    assert "kept as Dice and IoU at the image's own size" in outcome.remarks[0]
    del (cases := json.loads(path.read_text()))["metric_per_case"][0]
    path.write_text(json.dumps(cases))
    assert "summary.json: 1 of 6 cases are missing: P30_0" in refusal({"a": path}, tmp_path / "out", tmp_path / "truth")


def test_cases_stand_for_themselves_and_files_over_the_same_cases_are_compared(tmp_path):
    two = {f"case_{n:02d}": {"1": counted(10 + n, 5, 5), "(1, 2)": counted(20, n, 5)} for n in range(4)}
    path = summary(tmp_path / "summary.json", two)
    tidy = tmp_path / "mine.csv"
    tidy.write_text("case,class,dice,hd95_mm\n" + "".join(
        f"case_{n:02d}.nii.gz,{name},{0.5 + n / 10},{n}\n" for n in range(4) for name in ('1', '"(1, 2)"')
    ))  # fmt: skip
    first = scored({"nnunet": path}, tmp_path / "out").records
    second = scored({"mine": tidy}, tmp_path / "out").records
    (section,) = sections([*first, *second])
    assert (section.dice.dataset, section.dice.classes, section.dice.labels) == ("cases", 3, ("1", "(1, 2)"))
    assert [row.network for row in section.rows] == ["mine", "nnunet"]
    mine, nnunet = section.rows
    assert mine.dice.value == pytest.approx(0.65)
    assert nnunet.dice_by_class[0] == pytest.approx(np.mean([2 * t / (2 * t + 10) for t in range(10, 14)]))
    assert mine.score("hd95").value == pytest.approx(1.5)
    assert second[0].result.distance_unit == "mm"
    assert section.paired[0].difference.n == 4


def test_the_first_version_of_nnu_nets_summary(tmp_path):
    """Two pixels of 8 predicted and 4 true ones agree: Dice is 4 / 12."""
    facts = {
        "Dice": 1 / 3, "Jaccard": 0.2, "Precision": 0.25, "Recall": 0.5, "Accuracy": 0.9, "Total Positives Test": 8,
        "Total Positives Reference": 4, "Hausdorff Distance 95": 7.5, "False Positive Rate": 0.1,
    }  # fmt: skip
    case = {"0": {"Dice": 0.99}, "1": facts, "test": "C:\\out\\a.nii.gz", "reference": "/gt/a.nii.gz"}
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({"author": "Fabian", "results": {"all": [case], "mean": {}}}))
    (found,) = read_case_scores(path)
    line = found.lines["a"]["1"]
    assert list(found.lines["a"]) == ["1"]
    assert line.counts == (2, 6, 2)
    assert line.values == {"dice": 1 / 3, "iou": 0.2, "precision": 0.25, "sensitivity": 0.5, "hd95": 7.5}
    assert "Accuracy, False Positive Rate" in found.remarks[0]


def test_empty_truths_are_undefined_or_false_alarms(tmp_path):
    cases = {"a": {"1": counted(0, 0, 0)}, "b": {"1": counted(0, 5, 0)}, "c": {"1": counted(5, 5, 5)}}
    (record,) = scored({"x": summary(tmp_path / "s.json", cases)}, tmp_path / "out").records
    (section,) = sections([record])
    assert section.rows[0].dice.value == 0.5
    assert section.rows[0].score("false_alarm").value == 0.5


TEAMS = """\ufeffTeam;Case;Metric;Value;Seed;Patient
"A, or so";a;DSC;0,8;0;p1
"A, or so";b;DSC;0,6;0;p1
"A, or so";a;DSC;0,7;1;p1
"A, or so";b;DSC;0,5;1;p1

Équipe;a;DSC;0,4;0;p1
Équipe;b;DSC;0,9;0;p1
Équipe;b;Elegance;3;0;p1
"""


def test_a_table_of_teams_with_a_mark_semicolons_and_other_line_ends(tmp_path):
    path = tmp_path / "teams.csv"
    path.write_bytes(TEAMS.replace("\n", "\r\n").encode())
    outcome = scored({"": path}, tmp_path / "out")
    assert [(r.job.network, r.job.spec.training) for r in outcome.records] == [
        ("A, or so", 0),
        ("A, or so", 1),
        ("Équipe", 0),
    ]
    assert [image.dice for image in outcome.records[1].result.images] == [0.7, 0.5]
    assert {image.patient for record in outcome.records for image in record.result.images} == {"p1"}
    assert outcome.records[0].result.patients == "named"
    assert "no scores known here" in outcome.remarks[0]
    assert "Elegance" in outcome.remarks[0]
    (section,) = sections(outcome.records)
    assert [row.title for row in section.rows] == ["A, or so (predicted elsewhere)", "Équipe (predicted elsewhere)"]


def test_folds_without_a_common_case_are_one_training(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("case,fold,dice\na,0,0.5\nb,0,0.6\nc,1,0.7\nd,1,0.8\n")
    outcome = scored({"x": path}, tmp_path / "out")
    assert [image.id for image in outcome.records[0].result.images] == ["a", "b", "c", "d"]
    assert len(outcome.records) == 1
    assert "2 folds without a common case, taken as one training" in outcome.remarks[0]


def test_patients_of_cases_by_a_pattern(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("case,dice\nP1_a,0.5\nP1_b,0.6\nP2_a,0.7\n")
    (record,) = scored({"x": path}, tmp_path / "out", options=Options(patient=r"(P\d+)_")).records
    assert [image.patient for image in record.result.images] == ["P1", "P1", "P2"]
    assert "finds no patient" in refusal({"x": path}, tmp_path / "y", options=Options(patient=r"(Q\d+)_"))


WRONG = {
    "percent": ("case,dice\na,85.3\n", "line 2: dice is 85.3, which seems to be percent"),
    "negative": ("case,dice,hd95_px\na,0.5,-1\n", "hd95 is -1; allowed is 0 to 1e+09"),
    "infinite": ("case,dice,hd95_px\na,0.5,inf\n", "hd95 is infinite"),
    "farther than all": ("case,dice,hd95_px\na,0.5,1e308\n", "hd95 is 1e+308; allowed is 0 to 1e+09"),
    "a word": ("case,dice\na,good\n", "dice is 'good', which is no number"),
    "twice": ("case,metric,value\na,dice,0.5\na,DSC,0.5\n", "line 3: dice of 'a' is there a second time"),
    "a mean": ("case,dice\na,0.5\nMean,0.5\n", "line 3: it names the case 'Mean', which seems to sum up others"),
    "ragged": ("case,dice\na,0.5,7\n", "line 2, has 3 cells, and the header 2"),
    "a class missing": ("case,class,dice\na,1,0.5\na,2,0.5\nb,1,0.5\n", "b (2) lack what other cases have"),
    "a metric missing": ("case,metric,value\na,dice,0.5\na,iou,0.5\nb,dice,0.5\n", "b (foreground) lack"),
    "no unit": ("case,dice,hd95\na,0.5,3\n", "does not say whether hd95 are in mm or px"),
    "no case": ("name of it,dice\na,0.5\n", "has no column of cases"),
    "no metric": ("case,elegance\na,0.5\n", "has no column of a metric"),
    "no score": ("case,metric,value\na,elegance,0.5\n", "has no score that is known here, only elegance"),
    "no value": ("case,metric\na,dice\n", "a column metric and none of values"),
    "two patients": ("case,patient,metric,value\na,1,dice,0.5\na,2,iou,0.5\n", "of two patients, '2' and '1'"),
    "some patients": ("case,patient,dice\na,1,0.5\nb,,0.5\n", "names no patient of 1 cases: b"),
    "only a header": ("case,dice\n", "has 1 lines; a header and a line for each case are needed"),
    "nothing": ("", "the file is empty"),
    "an open quote": ('case,dice\n"a,0.5\n', "cannot read the file of scores"),
    "a header twice": ("case,dice,case\na,0.5,b\n", "two columns called case"),
}


@pytest.mark.parametrize("name", ["machine", "a\nb", "\x1b[31m", "\u202e"])
def test_a_network_of_a_table_has_a_name_that_prints_and_is_not_the_machines(tmp_path, name):
    (tmp_path / "x.csv").write_text(f'team,case,dice\n"{name}",a,0.5\n')
    assert "cannot be a network's name" in refusal({"": tmp_path / "x.csv"}, tmp_path / "out")


def test_a_line_ends_at_a_line_end_alone(tmp_path):
    (tmp_path / "x.csv").write_text("case,dice\na\u2028b,0.5\nc\x0bd,0.6\n")
    assert list(read_case_scores(tmp_path / "x.csv")[0].lines) == ["a\u2028b", "c\x0bd"]


@pytest.mark.parametrize("wrong", WRONG)
def test_tables_that_are_wrong_are_refused_in_words(tmp_path, wrong):
    content, told = WRONG[wrong]
    (tmp_path / "x.csv").write_text(content)
    assert told in refusal({"x": tmp_path / "x.csv"}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_networks_with_other_cases_or_classes_are_refused(tmp_path):
    for name, content in {
        "one": "case,dice\na,0.5\nb,0.5\n", "less": "case,dice\na,0.5\n", "other": "case,class,dice\na,x,1\nb,x,1\n",
        "teams": "team,case,dice\nA,a,0.5\nA,b,0.5\nB,a,0.6\n",
    }.items():  # fmt: skip
        (tmp_path / f"{name}.csv").write_text(content)
    one, less, other, teams = (tmp_path / f"{name}.csv" for name in ("one", "less", "other", "teams"))
    assert "less.csv lacks 1 of the 2 cases of one.csv: b" in refusal({"x": one, "y": less}, tmp_path / "out")
    assert "have other classes: foreground and x" in refusal({"x": one, "y": other}, tmp_path / "out")
    assert "teams.csv (B) lacks 1 of the 2 cases of teams.csv (A): b" in refusal({"": teams}, tmp_path / "out")
    assert "names its networks itself" in refusal({"x": teams}, tmp_path / "out")
    assert "does not say which network" in refusal({"": one}, tmp_path / "out")


CASE = '{"metric_per_case": [{"prediction_file": "a", "metrics": {%s}}]}'
JSON = [
    "[]", "{}", '{"metric_per_case": []}', '{"metric_per_case": [3]}', '{"results": {"all": "x"}}', "[" * 99999, "\0",
    "",
    '{"metric_per_case": [{"metrics": {"1": {"Dice": 0.5}}}]}', '{"results": 1e999}', CASE % "",
    '{"metric_per_case": [{"prediction_file": ".nii.gz", "metrics": {"1": {"Dice": 0.5}}}]}',
    CASE % '"1": {"Dice": Infinity}', CASE % '"1": {"Dice": [1]}',
    CASE % '"1": {"Dice": 0.5, "TP": "x", "FP": 1, "FN": 1}', CASE % '"1": {"Dice": 0.5, "TP": 9, "FP": 1, "FN": 1}',
]  # fmt: skip


@pytest.mark.parametrize("content", JSON, ids=range(len(JSON)))
def test_other_json_is_refused_in_words(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    assert "x.json" in refusal({"x": tmp_path / "x.json"}, tmp_path / "out")


def test_a_case_that_one_team_leaves_empty_is_named_where_others_found_its_target(tmp_path):
    table = tmp_path / "teams.csv"
    table.write_text("case,team,metric,value\n1,a,dice,0.9\n2,a,dice,\n1,b,dice,0.8\n2,b,dice,0.7\n")
    told = refusal({"": table}, tmp_path / "out")
    assert "teams.csv (a): no dice of 2, and others have one above 0" in told
    table.write_text("case,team,metric,value\n1,a,dice,0.9\n2,a,dice,\n1,b,dice,0.8\n2,b,dice,0\n")
    assert len(scored({"": table}, tmp_path / "out").records) == 2


def nnunet(name: str = "a", tp: str = "1") -> str:
    facts = f'{{"Dice": 1, "TP": {tp}, "FP": 0, "FN": 0}}'
    return f'{{"metric_per_case": [{{"prediction_file": "{name}", "metrics": {{"1": {facts}}}}}]}}'


@pytest.mark.parametrize(("name", "text"), [
    ("a.json", "[" * 100_000), ("a.json", nnunet("\\ud800")), ("a.json", nnunet(tp="1" + "0" * 400)),
    ("a.json", nnunet(tp="1e999")), ("a.csv", "," * 5000 + "\n" + "," * 5000 + "\n"), ("a.csv", 'case,dice\n"a,0.5\n'),
    ("a.csv", "case,dice\na," + "9" * 200_000), ("a.csv", "\0" * 100),
])  # fmt: skip
def test_what_is_made_to_harm_is_one_line(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_case_scores(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_of_many_digits_is_a_class(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"case,class,dice\na,{'9' * 5000},0.5\na,10,0.5\na,9,0.5\na,b,1\n")
    assert read_case_scores(path)[0].labels == ["9", "10", "9" * 5000, "b"]
