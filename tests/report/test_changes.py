import json

from claiming import counted, timed, trained

from bench.judge.compare import compare
from bench.report.changes import as_json, as_markdown, as_text, moved, sentence


def test_a_change_is_one_line():
    (change,) = [c for c in compare([counted(parameters=100)], [counted(parameters=103)]) if c.outcome == "worse"]
    assert sentence(change) == "parameters of mdsa_unet: 100 -> 103, +3.0 %, (size 224)"


def test_text_shows_what_is_worse_last_and_only_counts_what_is_the_same():
    base = [counted(parameters=100), counted("unet", 100)]
    lines = as_text(compare(base, [counted(parameters=103), counted("unet", 90)])).splitlines()
    assert [line.split()[1] for line in lines[:2]] == ["better", "worse"]
    assert lines[-1] == "1 worse, 1 better, 4 same"
    assert as_text([]) == "nothing to compare"


def test_intervals_are_written_in_the_changes_unit():
    changes = compare(timed("unet", [1.0, 1.1]), timed("unet", [2.0, 2.2]))
    assert moved(changes[0]).startswith("+100.0 % [")
    few = compare([trained("unet", (0.5, 0.7))], [trained("unet", (0.6, 0.9))])
    assert moved(next(c for c in few if c.metric.name == "dice")) == "+0.150"  # of two patients there is no interval
    before, after = (tuple(0.5 + n / 100 + k * (0.1 + n % 2 / 10) for n in range(20)) for k in (0, 1))
    scores = compare([trained("unet", before)], [trained("unet", after)])
    # Twenty differences of 0.1 and 0.2: mean 0.15, Student's 2.093 times 0.0513 over the root of 20 is 0.024.
    assert moved(next(c for c in scores if c.metric.name == "dice")) == "+0.150 [+0.126, +0.174]"


def test_json_has_null_for_an_endless_interval():
    (change,) = json.loads(as_json(compare(timed("unet", [1.0]), timed("unet", [2.0]))))
    assert (change["low"] is None or change["low"] == -1.0, change["high"], change["outcome"]) == (
        True,
        None,
        "undecided",
    )


def test_markdown_is_a_table_of_all():
    text = as_markdown(compare([counted()], [counted()]))
    assert text.count("= same") == 3
    assert text.endswith("3 same")
