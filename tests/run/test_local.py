"""A plan is carried out job by job: nothing twice, failures are rows, a stop keeps what was done."""

import json
from contextlib import nullcontext

import pytest
from handmade import ENVIRONMENT, STATE

from bench import locks
from bench.data import DataAt
from bench.errors import UserError
from bench.files import host
from bench.quantities import Cost, Count, Latency, Peak
from bench.quantities.budget import find_budget
from bench.run import engine, local
from bench.run.clock import Clock
from bench.run.local import carry_out, lock_of
from bench.run.plan import missing, plan
from bench.run.store import Record, Store
from bench.run.study import Study

PLAN = plan(Study(("unet", "unetpp"), ("cost", "latency"), find_budget("quick"), (DataAt("synthetic"),), device="cpu"))
COUNT = Count(counter="c", macs=1)
RESULTS = {
    "cost": Cost(parameters=1, trainable_parameters=1, parameter_bytes=4, buffer_bytes=0, fvcore=COUNT, torch=COUNT),
    "latency": Latency(samples_s=(0.1,), warmup_s=(0.2,)),
    "peak": Peak(macs_per_s=1e9, bytes_per_s=1e9),
}


class Listener:
    def __init__(self):
        self.begun, self.ended = [], []

    def begin(self, job, seconds_left):
        self.begun.append(job.key)
        assert seconds_left > 0

    def event(self, event, job=None):
        if "waiting" in event:
            self.on_wait(event["waiting"])

    def on_wait(self, why):
        raise AssertionError(f"nothing should be waited for: {why}")

    def end(self, record):
        self.ended.append(record.status)


def carry(out, listener):
    return carry_out(PLAN, missing(PLAN, Store(out)), out, listener)


@pytest.fixture
def worker(monkeypatch):
    """A stand-in for the worker that writes its record at once; `fails` names networks that crash in it."""

    class Worker:
        def __init__(self):
            self.fails, self.too_large, self.count = set(), 1000, 0

        def __call__(self, order, tell, server=None):
            spec = order.job.spec
            bad, large = order.job.network in self.fails, getattr(spec, "batch", 1) >= self.too_large
            result = None if bad or large else RESULTS[spec.quantity]
            status, error = ("out_of_memory", "no memory") if large else ("ok", "")
            status, error = ("crashed", "it fell over") if bad else (status, error)
            self.count += 1  # no two measurements are equal
            record = Record(job=order.job, status=status, error=error, machine=ENVIRONMENT, before=STATE,
                            after=STATE, wall_s=0.1 * self.count, result=result)  # fmt: skip
            Store(order.out).write(record)
            return record

    fake = Worker()
    monkeypatch.setattr(local, "run", fake)
    return fake


def test_every_job_is_done_once_and_a_second_run_does_nothing(tmp_path, worker):
    first, second = Listener(), Listener()
    records = carry(tmp_path, first)
    assert [record.job for record in records] == list(PLAN.jobs)
    assert first.begun == [job.key for job in PLAN.jobs]
    assert carry(tmp_path, second) == records
    assert second.begun == []


def test_a_network_that_crashes_is_a_row_and_is_tried_again(tmp_path, worker):
    worker.fails = {"unetpp"}
    records = carry(tmp_path, Listener())
    assert [record.status for record in records] == [
        "crashed" if record.job.network == "unetpp" else "ok" for record in records
    ]
    assert {job.network for job in missing(PLAN, Store(tmp_path))} == {"unetpp"}
    worker.fails = set()
    again = Listener()
    assert all(record.status == "ok" for record in carry(tmp_path, again))
    assert len(again.begun) == len(PLAN.jobs) // 2


def test_what_was_measured_before_a_stop_is_kept(tmp_path, worker, monkeypatch):
    calls = []

    def stops_at_third(order, tell, server=None):
        calls.append(order.job)
        if len(calls) == 3:
            raise UserError("an unreadable image")
        return worker(order, tell)

    monkeypatch.setattr(local, "run", stops_at_third)
    with pytest.raises(UserError, match="an unreadable image"):
        carry(tmp_path, Listener())
    assert len(missing(PLAN, Store(tmp_path))) == len(PLAN.jobs) - 2


def test_the_clock_learns_from_what_jobs_took_the_more_the_longer_they_were():
    costs = [job for job in PLAN.jobs if job.spec.quantity == "cost"]
    clock = Clock(PLAN)
    guess = clock.left(costs)
    clock.learn(costs[0], guess / 1000, guess / 100)  # a short job that took ten times as long
    assert clock.left(costs) == pytest.approx(guess, rel=0.05)
    for _ in range(40):
        clock.learn(costs[0], guess / len(costs), 10 * guess / len(costs))
    assert clock.left(costs) == pytest.approx(10 * guess, rel=0.1)


def test_a_pass_that_was_timed_here_tells_how_long_a_training_takes(tmp_path):
    planned = plan(Study(("unet",), ("latency", "dice"), find_budget("quick"), (DataAt("synthetic"),), "cpu"))
    timed, trained = (next(j for j in planned.jobs if j.spec.quantity == of) for of in ("latency", "dice"))
    clock = Clock(planned, tmp_path)
    slow, fast = (
        Record(job=timed, status="ok", machine=ENVIRONMENT, before=STATE, after=STATE, wall_s=1.0,
               result=Latency(samples_s=(seconds,), warmup_s=(seconds,)))
        for seconds in (20.0, 2.0)
    )  # fmt: skip
    clock.learn(timed, 1.0, 1.0, slow)
    taken = clock.left([trained])
    clock.learn(timed, 1.0, 1.0, fast)
    assert clock.left([trained]) == pytest.approx(taken / 10, rel=0.05)
    Store(tmp_path).write(fast)
    assert Clock(planned, tmp_path).left([trained]) == pytest.approx(clock.left([trained]))


def test_a_sweep_ends_where_memory_does_and_the_rest_goes_on(tmp_path, worker):
    worker.too_large = 8
    study = Study(("unet", "unetpp"), ("latency",), find_budget("smoke"), (DataAt("synthetic"),), "cpu",
                        batches=(1, 4, 8, 16), variants=("folded",))  # fmt: skip
    planned = plan(study)
    found = carry_out(planned, missing(planned, Store(tmp_path)), tmp_path, Listener())
    said = [(r.job.network, r.job.spec.batch, r.status) for r in found if r.job.network != "machine"]
    assert said == [
        ("unetpp", 1, "ok"), ("unet", 1, "ok"), ("unetpp", 4, "ok"), ("unet", 4, "ok"),
        ("unetpp", 8, "out_of_memory"), ("unet", 8, "out_of_memory"), ("unetpp", 1, "ok"), ("unet", 1, "ok"),
    ]  # fmt: skip


def test_a_training_that_is_complete_takes_no_time_again(tmp_path):
    planned = plan(Study(("unet",), ("dice",), find_budget("quick"), (DataAt("synthetic"),), "cpu"))
    (job,) = planned.jobs
    card = tmp_path / "checkpoints" / job.training_key / "card.json"
    before = Clock(planned, tmp_path).left([job])
    card.parent.mkdir(parents=True)
    card.write_text("{}")
    assert Clock(planned, tmp_path).left([job]) < before / 2


def test_a_training_that_took_as_long_as_guessed_leaves_the_next_guess_as_it_was(tmp_path, monkeypatch):
    """The weights that it leaves behind shorten what is to do again, not what it took."""
    planned = plan(Study(("unet", "unetpp"), ("dice",), find_budget("quick"), (DataAt("synthetic"),), "cpu"))
    clock, now, told = Clock(planned, tmp_path), [0.0], []

    def run(order, tell, server=None):
        now[0] += clock.guess(order.job)
        card = tmp_path / "checkpoints" / order.job.training_key / "card.json"
        card.parent.mkdir(parents=True)
        card.write_text("{}")
        record = Record(job=order.job, status="crashed", error="in a test", machine=ENVIRONMENT, before=STATE,
                        after=STATE, wall_s=0.1, result=None)  # fmt: skip
        Store(order.out).write(record)
        return record

    class Clerk(Listener):
        def begin(self, job, seconds_left):
            told.append(seconds_left)

    expected = clock.left([planned.jobs[1]])
    monkeypatch.setattr(local, "run", run)
    monkeypatch.setattr(local.time, "monotonic", lambda: now[0])
    carry_out(planned, list(planned.jobs), tmp_path, Clerk())
    assert told[1] == pytest.approx(expected)


def test_an_engine_is_found_by_its_name():
    assert engine() is engine("local") is local
    with pytest.raises(UserError, match="unknown engine 'locl'; did you mean 'local'"):
        engine("locl")


# ---- several runs in one folder --------------------------------------------------------------------------------------


class Waits(Listener):
    """Does something as soon as the run waits for another one."""

    def __init__(self, then):
        super().__init__()
        self.then, self.told = then, []

    def on_wait(self, why):
        self.told.append(why)
        if len(self.told) == 1:
            self.then()


def other_does(job, out, worker, status="ok"):
    """Take the lock of a job as another run would; what it does in the end, and lets go."""
    lock = locks.take(lock_of(out, job))

    def end():
        if status == "crashed":
            worker.fails.add(job.network)
        if status:
            worker(local._order(PLAN, job, out, lock), None)
        worker.fails.clear()
        lock.release()

    return end


@pytest.fixture
def called(worker, monkeypatch):
    """The jobs that were really done, in their order."""
    done = []
    monkeypatch.setattr(local, "run", lambda order, tell, server: (done.append(order.job), worker(order, tell))[1])
    monkeypatch.setattr(local, "POLL_S", 0.0)
    return done


@pytest.mark.parametrize("status", ["ok", "crashed"])
def test_what_another_run_does_is_left_to_it_and_its_outcome_is_taken(tmp_path, worker, called, status):
    first, *rest = PLAN.jobs
    listener = Waits(other_does(first, tmp_path, worker, status))
    records = carry(tmp_path, listener)
    assert called == rest
    assert [record.job for record in records] == list(PLAN.jobs)
    assert records[0].status == status
    assert len(listener.told) == 1
    assert f"waiting for process {locks.os.getpid()} on {host()}, which is" in listener.told[0]
    assert len(listener.ended) == len(PLAN.jobs)


def test_what_another_run_gave_up_is_done_after_all_else(tmp_path, worker, called):
    first, *rest = PLAN.jobs
    records = carry(tmp_path, Waits(other_does(first, tmp_path, worker, status="")))
    assert called == [*rest, first]
    assert all(record.status == "ok" for record in records)


def test_a_failure_from_before_is_tried_again_and_one_of_another_run_meanwhile_is_not(tmp_path, worker, called):
    worker.fails = {"unet"}
    carry(tmp_path, Listener())
    called.clear()
    first = next(job for job in PLAN.jobs if job.network == "unet")
    carry(tmp_path, Waits(other_does(first, tmp_path, worker, "crashed")))
    assert first not in called
    assert {job.network for job in called} == {"unet"}


def test_a_job_that_another_run_took_over_is_stopped_and_its_record_is_not_replaced(tmp_path, worker, monkeypatch):
    monkeypatch.setattr(locks, "BEAT_S", 0.01)
    monkeypatch.setattr(local, "POLL_S", 0.0)
    first, stopped = PLAN.jobs[0], []

    def run(order, tell, server=None):
        if order.job == first and not stopped:
            facts = json.loads(order.lock.read_text())
            order.lock.write_text(json.dumps({**facts, "token": "of another run"}))
            worker(order, tell)
            try:
                while True:
                    tell({"step": 1})
            except locks.Lost:
                stopped.append(order.job)
                assert not order.is_ours
                raise
        return worker(order, tell)

    monkeypatch.setattr(local, "run", run)
    listener = Waits(lambda: lock_of(tmp_path, first).unlink())
    written = carry(tmp_path, listener)
    assert stopped == [first]
    assert len(listener.told) == 1
    assert [record.status for record in written] == ["ok"] * len(PLAN.jobs)


def test_jobs_of_one_training_are_done_one_after_the_other(tmp_path):
    study = Study(("unet",), ("dice",), find_budget("quick"), (DataAt("synthetic"),), "cpu")
    (job,) = plan(study).jobs
    other = job.model_copy(update={"spec": job.spec.model_copy(update={"protocol": "per_volume"})})
    assert job.key != other.key
    assert lock_of(tmp_path, job) == lock_of(tmp_path, other)


def test_a_time_has_the_machine_for_itself_and_all_else_shares_it(tmp_path, worker, monkeypatch):
    asked = []
    monkeypatch.setattr(local, "machine_lock", lambda alone, tell: (asked.append(alone), nullcontext())[1])
    carry(tmp_path, Listener())
    assert asked == [job.spec.quantity != "cost" for job in PLAN.jobs]


def test_a_run_takes_away_what_killed_ones_left(tmp_path, worker):
    places = ["", "cache/x/", "checkpoints/unet-synthetic-0123456789ab/", "splits/"]
    left = [tmp_path / f"{place}.file.{host()}-{2**22 + 1}-0123abcd.tmp" for place in places]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    carry(tmp_path, Listener())
    assert [path for path in left if path.exists()] == []
