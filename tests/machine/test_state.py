"""States: what the system tells is read, in base units, and what it does not tell is None."""

import os
from pathlib import Path

import pytest
from handmade import STATE

from bench.machine import State, state
from bench.machine.state import cpu_times

LINUX = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux counts processor time here")
STAT = """cpu  9 9 9 9 9 9 9 9 9 9
cpu0 100 20 3 4000 500 6 7 80 50 0
cpu1 1000 0 0 0 0 0 0 0 0 0
cpu10 1 1 1 1 1 1 1 1 1 1
intr 5 0 0
"""


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


def test_processor_times_by_hand():
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert cpu_times(STAT, (0,)) == pytest.approx((136 * tick, 80 * tick))
    assert cpu_times(STAT, (0, 1)) == pytest.approx((1136 * tick, 80 * tick))


@pytest.mark.parametrize("stat", ["", STAT, "cpu2 1 2 3\n"])
def test_a_processor_that_is_not_listed_makes_the_times_unknown(stat):
    assert cpu_times(stat, (0, 2)) == (None, None)
