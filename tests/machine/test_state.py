"""States: what the system tells is read, in base units, and what it does not tell is None."""

import os
from collections import namedtuple
from pathlib import Path

import psutil
import pytest
from handmade import STATE

from bench.machine import State, facts, state

LINUX = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux counts processor time here")


def test_state_has_a_time_and_what_can_be_read():
    now = state()
    assert now.at.endswith("+00:00")
    assert now.load_1min is None or now.load_1min >= 0
    assert State.model_validate_json(now.model_dump_json()) == now


def test_states_of_older_records_are_still_read():
    assert STATE.cpu_busy_s is None
    assert STATE.memory_free_bytes is None


@LINUX
def test_own_work_shows_as_busy_and_own_time():
    before = state()
    while sum(os.times()[:4]) - before.own_cpu_s < 0.3:
        sum(range(10_000))
    after = state()
    own, busy = after.own_cpu_s - before.own_cpu_s, after.cpu_busy_s - before.cpu_busy_s
    assert own >= 0.3
    assert busy > 0.5 * own  # the kernel counts them apart, one by its tick
    assert after.clock_s - before.clock_s > 0
    assert after.memory_free_bytes > 0


LINUX_TIMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes this a machine whose processors have had these times, in a process that may run on some of them."""

    def has(times, online, ours):
        (tmp_path / "online").write_text(online)
        monkeypatch.setattr(facts, "ONLINE", tmp_path / "online")
        monkeypatch.setattr(facts, "processors", lambda: ours)
        monkeypatch.setattr(psutil, "cpu_times", lambda percpu: times)

    return has


FIRST = namedtuple("Times", LINUX_TIMES)(100, 20, 3, 4000, 500, 6, 7, 80, 50, 0)
SECOND = FIRST._replace(user=1000, nice=0, system=0, irq=0, softirq=0, steal=0)


def test_processor_times_by_hand(machine):
    machine([FIRST, SECOND], "0-1", (0,))
    assert facts.cpu_times() == (136, 80)
    machine([FIRST, SECOND], "0-1", (0, 1))
    assert facts.cpu_times() == (1136, 80)


def test_a_processor_that_is_switched_off_moves_no_other(machine):
    machine([FIRST, SECOND, SECOND], "0,2-3", (0, 2))
    assert facts.cpu_times() == (1136, 80)


@pytest.mark.parametrize("online", ["0-1", "0-2"])
def test_a_processor_that_is_not_listed_makes_the_times_unknown(machine, online):
    machine([FIRST, SECOND], online, (0, 2))
    assert facts.cpu_times() == (None, None)


def test_a_system_that_counts_no_stolen_time(machine):
    machine([namedtuple("Times", LINUX_TIMES[:4])(10, 2, 3, 40)], "0", (0,))
    assert facts.cpu_times() == (15, None)
