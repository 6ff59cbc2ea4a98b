"""The drills find what they are there to find: each is given a program that is broken on purpose."""

import json
import os
import random
import re
import signal
from pathlib import Path

import pytest

from bench.errors import UserError
from drills import calls, damage, points, pool, program, rubbish, scene, table
from drills.case import SHARES, Case, Found, Plan
from drills.events import Point, Watch
from drills.readers import Reader
from drills.study import STUDIES

PLAN = Plan(kills=1, calls=40, seed=0)


def forked(function) -> int:
    """Run a function in a fork of this process; its exit code."""
    process = os.fork()
    if not process:
        try:
            function()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def writes_three(folder: Path, watch: Watch) -> None:
    watch.begin("run")
    for name in "abc":
        (folder / name).write_text(name)
    (folder / "a").rename(folder / "d")


def test_deeds_are_counted_in_order(tmp_path):
    watch = Watch(str(tmp_path), log=str(tmp_path / "log"))
    assert forked(lambda: writes_three(tmp_path, watch)) == 0
    deeds = ["open /a", "open /b", "open /c", "os.rename /a"]
    assert watch.points() == [Point("run", number, deed) for number, deed in enumerate(deeds, 1)]


def test_a_program_is_killed_just_before_its_second_deed(tmp_path):
    watch = Watch(str(tmp_path)).at(Point("run", 2))
    assert forked(lambda: writes_three(tmp_path, watch)) == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.fixture
def at(tmp_path):
    """A scene of the study that trains, with records of an unbroken run."""
    made = scene.Scene(tmp_path, STUDIES["trains"])
    made.out.mkdir()
    return made


@pytest.mark.parametrize(
    "name", ["a-cost-0.json", "x.predictions.npz", "last.ckpt", "weights.safetensors", "images.npy"]
)
def test_half_a_file_is_found(at, name):
    (at.out / name).write_bytes(b'{"half')
    at.check_files()
    assert [line.partition(":")[0] for line in at.broken] == ["half a file"]


def test_half_a_file_under_a_name_of_what_is_being_written_is_none(at):
    (at.out / ".a-cost-0.json.tmp").write_bytes(b'{"half')
    at.check_files()
    assert at.broken == []


def test_another_score_is_found(at):
    record = {"job": {}, "status": "ok", "result": {"parameters": 3, "loaded": False}}
    at.reference = scene.Reference({"a": scene.facts_of(record)})
    (at.out / "a.json").write_text(json.dumps({**record, "wall_s": 3, "result": {"parameters": 3, "loaded": True}}))
    at.check_scores()
    assert at.broken == []
    (at.out / "a.json").write_text(json.dumps({**record, "result": {"parameters": 4}}))
    at.check_scores()
    assert at.broken == ["OTHER SCORES in a: result.parameters is 4, not 3"]


def test_what_is_left_over_is_found(at):
    at.reference = scene.Reference(files=scene.files_of(at.folder))
    (at.folder / "tmp" / "x").touch()
    at.check_left()
    assert at.broken == ["left over: tmp/x"]


@pytest.mark.parametrize(
    ("code", "err", "said"),
    [
        (0, "", ""), (1, "", ""), (2, "bench: no records in results", ""), (None, "", "hangs"),
        (1, "Traceback (most recent call last):\nKeyError: 'x'", "traceback"), (-9, "", "signal"), (3, "odd", "exit 3"),
        (0, "left out: results/.a.json.7-b.tmp: not a record", "hidden"),
        (0, "left out: results/a.json: half", "left out"),
    ],
)  # fmt: skip
def test_what_a_reader_may_not_say(at, code, err, said):
    at.check_reader(("check",), program.Ended(code, "", err))
    assert all(said in line for line in at.broken)
    assert bool(at.broken) == bool(said)


def test_a_reader_that_fails_and_one_that_runs_what_it_reads_are_found(tmp_path, monkeypatch):
    def refuses(path):
        raise UserError("refused")

    def toys(results, scratch, canary):
        reads = {
            "good": lambda path: path.read_bytes(), "refuses": refuses, "raises": lambda path: {}["x"],
            "dies": lambda path: os.kill(os.getpid(), signal.SIGSEGV), "runs": lambda path: canary.mkdir(),
        }  # fmt: skip
        return {name: Reader(read, {"a.json": b'{"a": 1}'}, rubbish.JSON) for name, read in reads.items()}

    monkeypatch.setattr(calls, "readers", toys)
    found = calls.drill(40, PLAN, tmp_path, random.Random(0))
    kinds = {line.partition(" from ")[0].partition(" in ")[0] for line in found.broken}
    assert kinds == {"raises: KeyError", "dies: the process dies of SIGSEGV", "runs: WHAT IT READ WAS RUN []"}
    assert found.calls == 40


def test_rubbish_is_the_same_for_the_same_chance_and_mostly_no_longer_valid():
    content = json.dumps({"a": [1, 2, {"b": "c"}], "d": 1.5}).encode()
    made = [[change(content, random.Random(seed)) for change in rubbish.JSON] for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    assert sum(one == content for one in made[2]) < 5


@pytest.mark.parametrize("harm", damage.HARMS, ids=lambda harm: harm.__name__)
def test_every_harm_changes_the_file(tmp_path, harm):
    def harmed(seed):
        path = tmp_path / f"{seed}.json"
        path.write_text(content)
        harm(path, random.Random(seed))
        return path

    content = '{"a": 12, "b": "word", "c": [1, 2, 3]}'
    left = [path for path in map(harmed, range(5)) if path.is_file() and not path.is_symlink()]
    assert not left or any(path.read_bytes() != content.encode() for path in left)


def test_kills_are_shared_out_without_a_rest():
    for kills in (1, 7, 8, 300):
        assert sum(Plan(kills, 0, 0).kills_of(kind) for kind in SHARES) == kills


def test_a_drill_that_fails_is_no_drill_that_holds(tmp_path):
    cases = [Case("chains", 0, None), Case("chains", 1, None)]

    def drill(what, plan, folder, chance):
        raise KeyError(what)

    found = list(pool.carry_out(cases, {"chains": drill}, PLAN, tmp_path, jobs=2))
    assert [one.broken for _, one in found] == [["the drill itself fails: KeyError: None"]] * 2
    told = table.Told(found, PLAN, 1.0)
    assert told.is_broken
    assert "KeyError" in told.text


def test_the_table_is_put_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    found = Found(kills=1, broken=["half a file: a-cost-0123456789ab.json"])
    table.Told([(Case("points", 0, None), found)], PLAN, 2.0).write(page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| 1 | 1 | 0 | 1 | half a file: a-cost-#.json (1) |" in text


@pytest.mark.slow
def test_a_writer_that_is_not_atomic_is_found(tmp_path, monkeypatch):
    """Records are written in two halves under their own name. Of a worker killed between them, the first is left."""

    from bench.run.store import Store

    def torn(self, record, whole=Store.write):
        content = whole(self, record).read_text()
        path = self.path(record.job)
        path.write_text(content[: len(content) // 2])
        with path.open("a") as rest:
            rest.write(content[len(content) // 2 :])
        return path

    program.warm()
    monkeypatch.setattr(Store, "write", torn)
    reference = scene.refer(tmp_path / "unbroken", STUDIES["counts"])
    opened = [point for point in reference.points if re.match(r"open results/mine.*-cost-.*\.json$", point.deed)]
    plan = Plan(1, 0, 0, references={"counts": reference})
    case = Case("points", 0, ("counts", opened[-1]))
    ((_, found),) = pool.carry_out([case], {"points": points.drill}, plan, tmp_path, jobs=1)
    assert found.kills == 1
    assert any("results/mine.py-Mine-cost" in line for line in found.broken), found.broken
