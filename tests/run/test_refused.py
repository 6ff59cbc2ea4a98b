"""What a file system refuses, and what others write meanwhile, costs no record: a line tells it, the rest goes on."""

import errno
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from handmade import ENVIRONMENT, STATE, cost_record, dice_record, record

from bench.data import DataAt
from bench.errors import UserError
from bench.files import Unusable, host
from bench.quantities import Cost, CostSpec, Count
from bench.quantities.budget import find_budget
from bench.run import local
from bench.run.local import carry_out, lock_of
from bench.run.plan import missing, plan
from bench.run.store import Record, Store, read_record, record_files
from bench.run.study import Study

COUNT = Count(counter="c", macs=1)
COST = Cost(parameters=1, trainable_parameters=1, parameter_bytes=4, buffer_bytes=0, fvcore=COUNT, torch=COUNT)
FAILED = record("unet", CostSpec(), None, status="crashed", error="it fell over")
PLAN = plan(Study(("unet", "unetpp", "mdsa_unet"), ("cost",), find_budget("quick"), (DataAt("synthetic"),), "cpu"))
GONE = f"{host()}-{2**22 + 1}-0123abcd.tmp"  # of a process that no longer runs


class Listener:
    def __init__(self):
        self.told = []

    def begin(self, job, seconds_left):
        pass

    def event(self, event, job=None):
        self.told.append(event["waiting"])

    def end(self, record):
        pass


def measured(order, tell, server=None):
    made = Record(job=order.job, status="ok", machine=ENVIRONMENT, before=STATE, after=STATE, wall_s=1.0, result=COST)
    Store(order.out).write(made)
    return made


def carry(out):
    listener = Listener()
    try:
        return carry_out(PLAN, missing(PLAN, Store(out)), out, listener), listener.told
    except UserError as error:
        return str(error), listener.told


# ---- a record is written in one step ---------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [FAILED, cost_record(parameters=5)], ids=["a failure", "another result"])
def test_what_another_finished_meanwhile_stays(tmp_path, late, monkeypatch):
    good, flush = cost_record(), os.fsync

    def another_is_faster(number):
        monkeypatch.setattr(os, "fsync", flush)
        Store(tmp_path).write(good)
        flush(number)

    monkeypatch.setattr(os, "fsync", another_is_faster)
    Store(tmp_path).write(late)
    assert Store(tmp_path).find(good.job) == good


@pytest.mark.parametrize("links", [True, False], ids=["with links", "without links"])
def test_to_look_for_a_failure_and_to_replace_it_is_one_step(tmp_path, monkeypatch, links):
    """While one replaces a failure by a failure, another one finishes the job: in another thread, as on a machine."""
    if not links:
        monkeypatch.setattr(os, "link", lambda *paths: os_error(errno.EPERM))
    good, find, store = cost_record(), Store.find, Store(tmp_path)
    store.write(FAILED)
    other = threading.Thread(target=lambda: Store(tmp_path).write(good))

    def find_and_be_overtaken(self, job):
        monkeypatch.setattr(Store, "find", find)
        found = find(self, job)
        other.start()
        other.join(0.2)  # it cannot end before this one, unless nothing keeps it from writing
        return found

    monkeypatch.setattr(Store, "find", find_and_be_overtaken)
    store.write(FAILED.model_copy(update={"error": "it fell over again"}))
    other.join()
    assert store.find(good.job) == good
    assert [path.name for path in tmp_path.iterdir()] == [store.path(good.job).name], "no lock and no part is left"


def os_error(number, *paths):
    raise OSError(number, os.strerror(number), *paths)


def test_many_that_write_at_once_leave_one_finished_record(tmp_path):
    made = [cost_record(parameters=n + 1) for n in range(8)] + [FAILED] * 8
    begin = threading.Barrier(len(made))

    def write(one):
        begin.wait()
        Store(tmp_path).write(one)

    with ThreadPoolExecutor(len(made)) as threads:
        list(threads.map(write, made))  # raises what any of them raised
    assert Store(tmp_path).find(FAILED.job) in made[:8]
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_a_full_disk_leaves_no_part_of_a_record_and_keeps_the_one_that_is_there(tmp_path, monkeypatch):
    store, full = Store(tmp_path), lambda number: os_error(errno.ENOSPC)
    store.write(FAILED)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as told:
        store.write(cost_record())
    assert told.value.filename == str(store.path(FAILED.job))
    assert store.find(FAILED.job) == FAILED
    assert list(tmp_path.iterdir()) == [store.path(FAILED.job)]


@pytest.mark.parametrize("odd", [PermissionError(13, "Permission denied"), MemoryError()], ids=["forbidden", "memory"])
def test_what_cannot_be_read_now_may_be_good_and_is_not_moved(tmp_path, monkeypatch, odd):
    store = Store(tmp_path)
    path = store.write(cost_record())
    text = path.read_bytes()

    def refuses(path):
        raise odd

    monkeypatch.setattr("bench.run.store.content_of", refuses)
    with pytest.raises(Unusable, match="cannot be read"):
        store.find(FAILED.job)
    with pytest.raises(Unusable, match="cannot be read"):
        store.write(FAILED)
    monkeypatch.undo()
    assert path.read_bytes() == text
    assert list(tmp_path.glob("*.damaged*")) == []


# ---- links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["somebody's", "nothing"])
def test_a_link_in_the_place_of_a_record_is_replaced_and_what_it_names_is_not(tmp_path, target):
    outside, out = tmp_path / "outside.json", tmp_path / "results"
    out.mkdir()
    if target != "nothing":
        outside.write_text(target)
    store = Store(out)
    store.path(FAILED.job).symlink_to(outside)
    store.write(cost_record())
    assert store.find(FAILED.job) == cost_record()
    assert outside.exists() == (target != "nothing")
    assert not store.path(FAILED.job).is_symlink()


@pytest.mark.parametrize("inner", ["locks", "logs", "checkpoints", "checkpoints/unet-x", "cache", "splits"])
def test_a_folder_inside_that_is_a_link_is_refused_and_the_folder_itself_may_be_one(tmp_path, inner, monkeypatch):
    monkeypatch.setattr(local, "run", measured)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / f".x.{GONE}").touch()
    (tmp_path / "real").mkdir()
    out = tmp_path / "results"
    out.symlink_to(tmp_path / "real")
    (out / inner).parent.mkdir(exist_ok=True)
    (out / inner).symlink_to(tmp_path / "elsewhere")
    told, _ = carry(out)
    assert "is a symbolic link" in told
    assert f"let {out} as a whole be a link" in told
    assert inner in told
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1, "nothing is written or removed there"
    (out / inner).unlink()
    records, _ = carry(out)
    assert len(records) == 3


# ---- a plan goes on --------------------------------------------------------------------------------------------------


def test_a_job_that_cannot_be_recorded_is_told_and_the_others_are_done(tmp_path, monkeypatch):
    def full_for_one(order, tell, server=None):
        if order.job.network == "unetpp":
            os_error(errno.ENOSPC, str(order.out / "checkpoints" / "unetpp"))
        return measured(order, tell)

    monkeypatch.setattr(local, "run", full_for_one)
    line, told = carry(tmp_path)
    assert line.startswith(f"{tmp_path}/checkpoints/unetpp: the disk is full; ")
    assert "1 job could not be recorded, 2 others of this run are on record" in line
    assert len(told) == 1
    assert len(line.splitlines()) == 1
    assert [job.network for job in missing(PLAN, Store(tmp_path))] == ["unetpp"]


def test_on_a_full_disk_nothing_is_measured_in_vain(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "run", lambda *_: pytest.fail("it cannot be recorded"))
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: os_error(errno.ENOSPC))
    line, _ = carry(tmp_path)
    assert "the disk is full" in line
    assert "3 jobs could not be recorded, none other of this run is" in line


def test_a_folder_that_vanished_is_told(tmp_path, monkeypatch):
    def removed_at_last(order, tell, server=None):
        made = measured(order, tell)
        if order.job == PLAN.jobs[-1]:
            shutil.rmtree(order.out)
        return made

    monkeypatch.setattr(local, "run", removed_at_last)
    line, _ = carry(tmp_path / "results")
    assert "its records were removed while the run was under way; 3 jobs could not be recorded" in line


def test_what_killed_writers_left_anywhere_in_a_folder_of_records_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "run", measured)
    names = ("", "cache/synthetic-1", "checkpoints/unet-1", "locks", "logs", "predictions", "splits")
    for folder in (tmp_path / name for name in names):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f".left.{GONE}").touch()
    carry(tmp_path)
    assert list(tmp_path.rglob(".*.tmp")) == []


# ---- what is read as a record ----------------------------------------------------------------------------------------


def test_hidden_files_are_no_records(tmp_path):
    path = Store(tmp_path).write(dice_record())
    for name in (f".4711-{path.name}", f"._{path.name}", f".~lock.{path.name}", f"~${path.name}", f".{path.name}.swp",
                 f".{path.name}.{GONE}", f"{path.name}.damaged", f"{path.name}~"):  # fmt: skip
        shutil.copy(path, tmp_path / name)
    assert record_files(tmp_path) == [path]


def test_a_file_that_is_named_is_read_however_it_is_called(tmp_path):
    path = Store(tmp_path).write(dice_record())
    named = Path(shutil.copy(path, tmp_path / f".4711-{path.name}"))
    assert read_record(named) == dice_record()


def test_a_lock_that_another_run_holds_is_not_touched(tmp_path):
    assert lock_of(tmp_path, PLAN.jobs[0]).name != f"{PLAN.jobs[0].key}.record.lock", "who holds one writes the other"
