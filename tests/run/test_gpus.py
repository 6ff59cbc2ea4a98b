"""Trainings that run at once, each on GPUs of its own, and which GPUs are used."""

import threading
import time

import pytest

from bench.errors import Terminated, UserError
from bench.run import gpus
from bench.run.gpus import AtOnce, Stopped, choose, shares


@pytest.mark.parametrize(
    ("visible", "count", "devices", "expected"),
    [
        (None, 3, 1, ["0", "1", "2"]), ("2,5", 2, 1, ["2", "5"]), (" GPU-a, GPU-b,7", 2, 1, ["GPU-a", "GPU-b"]),
        (None, 1, 1, []), (None, 4, 2, ["0,1", "2,3"]), (None, 5, 2, ["0,1", "2,3"]), (None, 3, 2, []),
        (None, 0, 1, []),
    ],
)  # fmt: skip
def test_each_training_has_its_share(monkeypatch, visible, count, devices, expected):
    monkeypatch.setattr(gpus, "cuda_devices", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert shares("cuda", devices) == expected
    assert shares("cpu", devices) == []


def test_some_gpus_are_chosen_of_those_that_are_visible(monkeypatch):
    monkeypatch.setattr("bench.machine.system.visible", lambda: ["a", "b", "c"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,7")
    choose([0, 2])
    assert gpus.os.environ["CUDA_VISIBLE_DEVICES"] == "4,7"
    with pytest.raises(UserError, match=r"--gpus 3: there is no such GPU on this machine; it has GPUs 0 to 2"):
        choose([3])


def test_as_many_run_at_once_as_there_are_shares_and_each_has_its_own():
    together, running, seen = threading.Barrier(2, timeout=10), set(), []

    def work(share, look):
        assert share not in running
        running.add(share)
        together.wait()
        seen.append(share)
        running.discard(share)

    AtOnce(["a", "b"], [work] * 6).run()
    assert sorted(seen) == ["a", "a", "a", "b", "b", "b"]


def waits(told, kind):
    def work(share, look):
        try:
            while True:
                look()
                time.sleep(0.01)
        except kind as error:
            told.append(type(error))
            raise

    return work


@pytest.mark.parametrize(("error", "kind"), [(UserError("no disk"), Stopped), (Terminated(), Terminated)])
def test_what_ends_the_run_ends_the_others(error, kind):
    told, begun = [], []

    def fails(share, look):
        time.sleep(0.05)
        raise error

    with pytest.raises(type(error)):
        AtOnce(["a", "b"], [waits(told, kind), fails, lambda share, look: begun.append(share)]).run()
    assert told == [kind]
    assert begun == []


def test_a_piece_that_fails_by_an_index_is_no_end_of_the_work():
    def fails(share, look):
        raise IndexError("of a list of its own")

    with pytest.raises(IndexError, match="of a list of its own"):
        AtOnce(["a", "b"], [fails]).run()
