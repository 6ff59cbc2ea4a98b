"""A worker that is told to end saves its training first; the run that goes on ends where an unbroken one does."""

import json
import os
import signal
import threading
import time

import pytest
from orders import LINUX, ignored, kill_children, order, tiny

from bench.errors import Terminated
from bench.run.forkserver import ForkServer
from bench.run.worker import run

LONG = {"steps": 200, "checkpoint_interval": 200}  # no checkpoint but the one that it is asked for


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, network):
    """The digest of the weights and the curve of a training that was not interrupted."""
    asked = order(tmp_path_factory.mktemp("whole"), network, "dice", **LONG)
    assert run(asked, ignored).status == "ok"
    return outcome(asked)


def outcome(asked):
    card = json.loads(next(asked.out.glob("checkpoints/*/card.json")).read_text())
    return card["weights_digest"], card["curve"]


def at_step(step, do):
    """A listener that does something once, when a step is heard of."""
    done = []

    def tell(event):
        if event.get("step", 0) >= step and not done:
            done.append(step)
            do()

    return tell


def gone_on(asked):
    """The steps of the run that goes on."""
    steps = []
    record = run(asked, lambda event: steps.append(event["step"]) if "step" in event else None)
    assert record.status == "ok", record.error
    return steps


def raise_terminated():
    raise Terminated


def ends(event):
    """What another thread asks to end by setting the event."""
    return lambda: raise_terminated() if event.is_set() else None


ENDS = {
    "told by another thread": lambda event: event.set,
    "a signal to bench": lambda event: raise_terminated,
    "a signal to the worker": lambda event: lambda: kill_children(signal.SIGTERM),
}


@LINUX
@pytest.mark.parametrize("how", ENDS.values(), ids=ENDS)
def test_it_saves_the_present_step_and_goes_on_there(tmp_path, network, whole, how):
    asked, event = order(tmp_path, network, "dice", **LONG), threading.Event()
    with pytest.raises(Terminated):
        run(asked, at_step(5, how(event)), look=ends(event))
    assert next(tmp_path.glob("checkpoints/*/last.ckpt"))
    steps = gone_on(asked)
    assert steps[0] > 5
    assert steps[-1] == 200
    assert outcome(asked) == whole


@LINUX
def test_a_forked_one_too(tmp_path, network, whole):
    asked, event, server = order(tmp_path, network, "dice", **LONG), threading.Event(), ForkServer(["bench.run.child"])
    try:
        with pytest.raises(Terminated):
            run(asked, at_step(5, event.set), server, ends(event))
    finally:
        server.close()
    assert gone_on(asked)[0] > 5
    assert outcome(asked) == whole


@LINUX
def test_on_two_processes_both_save_and_end(tmp_path, network):
    both, event = {**LONG, "devices": 2}, threading.Event()
    asked = order(tmp_path, network, "dice", **both)
    with pytest.raises(Terminated):
        run(asked, at_step(5, event.set), look=ends(event))
    assert gone_on(asked)[0] > 5


def test_without_time_it_is_ended_at_once(tmp_path, network, monkeypatch):
    monkeypatch.setenv("BENCH_GRACE_S", "0")
    asked, event = order(tmp_path, network, "dice", **LONG), threading.Event()
    with pytest.raises(Terminated):
        run(asked, at_step(5, event.set), look=ends(event))
    assert not list(tmp_path.glob("checkpoints/*/last.ckpt"))


def test_ctrl_c_waits_for_nothing(tmp_path, network):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(order(tmp_path, network, "dice", **LONG), at_step(5, interrupt))
    assert not list(tmp_path.glob("checkpoints/*/last.ckpt"))


def test_what_cannot_be_saved_is_not_waited_for(tmp_path, network):
    asked, event = order(tmp_path, network, "latency"), threading.Event()
    event.set()
    began = time.monotonic()
    with pytest.raises(Terminated):
        run(asked, ignored, look=ends(event))
    assert time.monotonic() - began < float(os.environ.get("BENCH_GRACE_S", "20")) - 5
