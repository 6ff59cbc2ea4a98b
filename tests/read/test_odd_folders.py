"""What else lies in a folder of records is no record; of several of one job the right one is used."""

import os

import pytest
from claiming import at, now
from handmade import cost_record, latency_record, record

from bench.errors import UserError
from bench.judge.compare import compare
from bench.judge.verdict import judge
from bench.networks import find_network, network_on_record
from bench.quantities import CostSpec
from bench.read.code import moment
from bench.read.load import load, read, record_folders
from bench.read.sections import outdated, sections
from bench.read.versions import unsealed
from bench.report.verdicts import as_text
from bench.run.store import Record, Store

FUTURE = "2999-01-01T00:00:00+00:00"


def test_hidden_files_and_others_are_no_records_and_what_is_named_like_one_is_told(tmp_path):
    path = Store(tmp_path).write(cost_record())
    for name in (".1234-" + path.name, f".{path.name}.host-1-00000000.tmp", "notes.json", "a.json.damaged"):
        (tmp_path / name).write_text("{")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / path.name).write_text("{")
    os.mkfifo(tmp_path / "pipe-cost-000000000000.json")
    (tmp_path / "folder-cost-000000000000.json").mkdir()
    (tmp_path / "loop-cost-000000000000.json").symlink_to("loop-cost-000000000000.json")
    (tmp_path / "binary-cost-000000000000.json").write_bytes(b"\x00\xff\xfe" * 1000)
    found = load(record_folders(tmp_path))
    assert [one.job.network for one in found.records] == ["unet"]
    named = sorted(line.split("/")[-1].partition("-")[0].partition(":")[0] for line in found.problems)
    assert named == ["binary", "folder", "loop", "notes.json", "pipe"]
    assert all("it is left alone" in line and "\n" not in line for line in found.problems)


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("bench.run.store.os.scandir", refuse)
    with pytest.raises(UserError, match=f"^{tmp_path}: permission denied; get the right to use it"):
        record_folders(tmp_path)


def test_of_one_job_a_finished_record_counts_then_the_newest_but_no_time_in_the_future(tmp_path):
    first, second, wrong = (cost_record().model_copy(update={"before": at(n)}) for n in (1, 2, 3))
    wrong = wrong.model_copy(update={"before": wrong.before.model_copy(update={"at": FUTURE})})
    failed = record("unet", CostSpec(), None, status="crashed", error="x").model_copy(update={"before": at(9)})
    for number, one in enumerate((second, first, wrong, failed)):
        Store(tmp_path / f"{number}").write(one)
    (kept,) = read([tmp_path]).records
    assert kept.before == second.before
    assert kept.status == "ok"


@pytest.mark.parametrize("written", ["", "yesterday", FUTURE, "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00"])
def test_any_time_can_be_compared(written):
    one = cost_record()
    one = one.model_copy(update={"before": one.before.model_copy(update={"at": written})})
    assert moment(one) <= moment(cost_record())


@pytest.mark.parametrize("clocks", [(1, 2), (2, 1)])
def test_a_clock_set_back_does_not_make_older_code_current(clocks):
    present, edited = now(cost_record(parameters=5), before=at(clocks[0])), cost_record(parameters=7)
    edited = edited.model_copy(update={"before": at(clocks[1])})
    assert outdated([present, edited]) == outdated([edited, present]) == [edited]
    (section,) = sections([edited, present])
    assert section.rows[0].cost.parameters == 5
    change = next(c for c in compare([edited], [present, edited]) if c.metric.name == "parameters")
    assert (change.base, change.head) == (7, 5)


def test_nothing_that_a_record_names_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\ndef Net(**k): pass\n")
    os.mkfifo(tmp_path / "pipe.py")
    for name in ("evil.py:Net", "evil:Net", "pipe.py:Net", "\0.py:Net", "../../x.py:Net", "smp:", "unet?a=1", "os:x"):
        made = cost_record(name)
        assert outdated([made, made.model_copy(update={"before": at(2)})]) == []
        assert network_on_record(name) is None
        judge([], [made], "")
    assert not (tmp_path / "ran").exists()
    assert network_on_record("unet") is find_network("unet")


def test_a_record_without_a_digest_is_marked(monkeypatch):
    made = now(cost_record("mdsa_unet"))
    monkeypatch.setattr(Record, "is_sealed", False)
    (note,) = unsealed([made, made])
    assert note == f"1 record has no digest, so edits would not be seen: {made.id}"
    from claiming import claim

    (verdict,) = judge([claim(network="mdsa_unet", metric="parameters", relation="at_most", value=1e9)], [made], "")
    assert verdict.unsealed == (made.id,)
    assert "1 of its records has no digest" in as_text([verdict])


def test_networks_of_one_section_are_looked_at_once_each(monkeypatch):
    """Twice as many networks take twice as many steps, and not four times."""
    counts = []
    for count in (20, 40):
        made = [one for n in range(count) for one in (cost_record(f"net{n}"), latency_record(f"net{n}"))]
        calls = []
        from bench.read import sections as module

        original = module._by_origin
        monkeypatch.setattr(
            module, "_by_origin", lambda own, original=original, calls=calls: (calls.extend(own), original(own))[1]
        )
        sections(made)
        monkeypatch.setattr(module, "_by_origin", original)
        counts.append(len(calls))
    assert counts[1] == 2 * counts[0]
