"""`bench compare` and `bench history` as a user types them."""

import json
from functools import partial

import commanding
import pytest
from claiming import counted, timed
from gitting import commit
from handmade import ENVIRONMENT


@pytest.fixture
def bench(tmp_path):
    return partial(commanding.bench, cwd=tmp_path)


def test_two_revisions_are_compared_and_worse_fails_where_it_should(tmp_path, bench):
    commit(tmp_path, [counted(parameters=100)], "first")
    commit(tmp_path, [counted(parameters=103)], "second")
    shown = bench("compare", "HEAD~1", "HEAD")
    assert shown.returncode == 0, shown.stderr
    assert "✗ worse      parameters of mdsa_unet: 100 -> 103, +3.0 %" in shown.stdout
    assert bench("compare", "HEAD~1", "HEAD", "--fail-on", "worse").returncode == 1
    assert bench("compare", "HEAD", "HEAD~1", "--fail-on", "worse").returncode == 0
    same = bench("compare", "HEAD", "results", "--format", "json")
    assert {change["outcome"] for change in json.loads(same.stdout)} == {"same"}


def test_another_machine_is_refused_with_the_fact(tmp_path, bench):
    commit(tmp_path, timed("unet", [1.0] * 5), "here")
    other = ENVIRONMENT.model_copy(update={"cpu": "B CPU"})
    commit(tmp_path, [r.model_copy(update={"machine": other}) for r in timed("unet", [1.0] * 5)], "there")
    done = bench("compare", "HEAD~1", "HEAD")
    assert done.returncode == 2
    assert "processor differs: A CPU and B CPU" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compare", "nowhere"], "'nowhere' is no folder, no file and no git revision"),
        (["compare", "."], "no records in ."),
        (["history", "unett", "latency"], "did you mean 'unet'"),
        (["history", "unet", "latancy"], "did you mean 'latency'"),
    ],
)
def test_mistakes_are_answered_in_words(bench, arguments, told):
    done = bench(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_history_is_listed_drawn_and_written_as_json(tmp_path, bench):
    commit(tmp_path, [counted(parameters=100)], "first")
    commit(tmp_path, [counted(parameters=103)], "second")
    shown = bench("history", "mdsa_unet", "parameters")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("█") > 30
    assert (tmp_path / "reports" / "history-mdsa_unet-parameters.svg").exists()
    assert [point["value"] for point in json.loads(bench("history", "mdsa_unet", "parameters", "--json").stdout)] == [
        100,
        103,
    ]
    nothing = bench("history", "unet", "dice")
    assert (nothing.returncode, "no commit has a record of unet's dice" in nothing.stderr) == (2, True)


def test_records_of_uncommitted_code_are_told_of(tmp_path, bench):
    commit(tmp_path, [counted(parameters=100)], "first")
    machine = ENVIRONMENT.model_copy(update={"commit": "abc+"})
    commit(tmp_path, [counted(parameters=103).model_copy(update={"machine": machine})], "second")
    done = bench("compare", "HEAD~1", "HEAD")
    assert done.stderr.strip() == "HEAD: 1 of 1 record is of a tree with uncommitted changes"
