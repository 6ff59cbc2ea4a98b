"""What runs in a job of Slurm: it is stopped, saves, and goes back into the queue, or is given up."""

import time
from pathlib import Path

import pytest

from bench.run.slurm_work import FRUITLESS, Running, Work

TASK = Path(__file__).parent.parent / "slurm_task.py"


def in_job(folder: Path, steps: int, **how: object) -> Work:
    made = Work([str(TASK), "a", str(folder), str(steps)], folder, time_s=600.0, grace_s=30.0, **how)
    made.running = Running(made.arguments, folder, made._newest())
    return made


def test_a_stopped_task_saves_and_goes_on_from_there(tmp_path):
    work = in_job(tmp_path, 12, traces=("*.checkpoint",))
    while not (tmp_path / "a.attempts").exists():
        time.sleep(0.05)
    time.sleep(0.3)
    next_one = work.checkpoint().function
    assert (next_one.fruitless, next_one.running) == (0, None)
    assert (tmp_path / "a.checkpoint").exists()
    next_one.running = Running(next_one.arguments, tmp_path, 0)
    assert next_one.running.wait(30) == 0
    assert not (tmp_path / "a.attempts").read_text().splitlines()[1].endswith(" 0")


def test_a_task_that_does_not_get_on_in_its_time_is_given_up(tmp_path, capfd):
    for fruitless in range(FRUITLESS):
        work = in_job(tmp_path, 600, fruitless=fruitless)
        work.running.began -= 590
        again = work.checkpoint()
        assert again is None if fruitless == FRUITLESS - 1 else again.function.fruitless == fruitless + 1
    assert "bench: given up: 3 times in a row" in capfd.readouterr().err
    preempted = in_job(tmp_path, 600, fruitless=2)
    assert preempted.checkpoint().function.fruitless == 2


def test_a_task_that_has_not_begun_is_put_into_the_queue_as_it_is(tmp_path):
    work = Work([str(TASK)], tmp_path, time_s=600.0, grace_s=30.0, fruitless=2)
    assert work.checkpoint().function == work


def test_a_task_that_was_done_is_not_put_into_the_queue_again(tmp_path):
    work = in_job(tmp_path, 1)
    assert work.running.wait(30) == 0
    with pytest.raises(SystemExit) as ended:
        work.checkpoint()
    assert ended.value.code == 0
