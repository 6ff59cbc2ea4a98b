"""The engine of Slurm: what is asked of Slurm, submitted, found in the queue, cancelled, and said of what ended."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
from slurming import Slurm

from bench.errors import UserError
from bench.run.slurm import LARGEST, Engine, Submission, Task, watch
from bench.run.slurm_ended import why_ended
from bench.run.slurm_place import Place
from bench.run.slurm_queue import FILE, NAME, Standing, cancel, queue, rows, status, submitted
from bench.run.slurm_work import BEGUN

pytest_plugins = ["slurming"]
TASK = Path(__file__).parent.parent / "slurm_task.py"


class Pretended:
    """Programs in the place of Slurm's: sbatch counts, squeue prints `queue`, each writes down how it was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.says(
            "sbatch",
            "n=$(($(cat count 2>/dev/null || echo 6) + 1)); echo $n > count; echo Submitted batch job $n",
        )
        self.says("squeue", "cat queue 2>/dev/null; true")
        for name in ("scontrol", "scancel", "srun"):
            self.says(name, "true")

    def says(self, name: str, shell: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.folder}/called\ncd {self.folder}\n{shell}\n')
        path.chmod(0o755)

    def called(self, name: str) -> list[str]:
        lines = (self.folder / "called").read_text().splitlines() if (self.folder / "called").exists() else []
        return [line for line in lines if line.startswith(f"{name} ")]

    def queues(self, study: Path, state: str = "PENDING", reason: str = "Priority") -> None:
        """Let squeue tell of all that was submitted."""
        lines = []
        for task in submitted(study):
            number = "7" if task.index is None else f"7_{task.index}"
            lines.append(f"{number}|{NAME}{task.token}|{state}|N/A||{reason}")
        (self.folder / "queue").write_text("\n".join(lines) + "\n")


@pytest.fixture
def pretended(tmp_path, monkeypatch) -> Pretended:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return Pretended(tmp_path / "bin")


def engine(folder: Path, steps: int = 10, **place: object) -> Engine:
    out = folder / "out"
    return Engine(
        Place.of(place), folder / "study", out,
        lambda key: [str(TASK), key, str(folder), str(steps)], cwd=folder,
    )  # fmt: skip


def never(key: str) -> bool:
    return False


# ---- the script ------------------------------------------------------------------------------------------------------


def test_the_script_says_what_was_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")  # it needs no Slurm
    made = engine(
        tmp_path, partition="gpu", account="lab", qos="long", time="2-00:00:00", memory="32G", cpus=8,
        limit=2, grace=300, constraint="a100|h100", setup=["module load cuda"],
        extra={"mail_user": "me@lab.org", "nice": 100}, python="apptainer exec bench.sif python",
    )  # fmt: skip
    array, alone = made.plan([Task("a"), Task("b"), Task("c"), Task("times-1", exclusive=True)], never).scripts
    for line in (
        "--partition=gpu", "--account=lab", "--qos=long", "--time=2880", "--mem=32G", "--cpus-per-task=8",
        "--gpus-per-node=1", "--constraint='a100|h100'", "--signal=USR2@300", "--mail-user=me@lab.org", "--nice=100",
        "--requeue",
    ):  # fmt: skip
        assert f"#SBATCH {line}\n" in array
        assert (f"#SBATCH {line}\n" in alone) == ("cpus" not in line), "alone, it has all cores"
    assert "#SBATCH --array=0-2%2\n" in array
    assert "#SBATCH --exclusive" not in array
    assert "#SBATCH --exclusive\n" in alone
    assert "#SBATCH --array" not in alone
    command = next(line for line in array.splitlines() if line.startswith("srun"))
    assert "--cpus-per-task=8 sh -c " in command
    assert " sh apptainer exec bench.sif python -u -m submitit" in command
    assert array.index("module load cuda") < array.index("\nsrun")


def test_gpus_are_asked_for_where_the_study_needs_them(tmp_path):
    on_cpu = Engine(Place(), tmp_path, tmp_path, lambda key: [key], device="cpu")
    assert "--gpus" not in on_cpu.plan([Task("a")], never).scripts[0]
    four = engine(tmp_path, gpus=4)
    assert "--gpus-per-node=4" in four.plan([Task("a")], never).scripts[0]


def test_more_tasks_than_an_array_may_have_share_the_limit(tmp_path):
    tasks = [Task(f"t{number}") for number in range(LARGEST + 500)]
    first, second = engine(tmp_path, limit=8).plan(tasks, never).scripts
    assert f"--array=0-{LARGEST - 1}%4\n" in first
    assert "--array=0-499%4\n" in second


# ---- submitting ------------------------------------------------------------------------------------------------------


def test_what_has_a_record_or_is_queued_is_not_submitted_again(pretended, tmp_path):
    made, tasks = engine(tmp_path), [Task("a"), Task("b"), Task("c")]
    assert made.submit(tasks, lambda key: key == "a").keys == ("b", "c")
    pretended.queues(made.folder)
    again = made.submit([*tasks, Task("d")], lambda key: key == "a")
    assert (again.keys, again.waiting) == (("d",), ("b", "c"))
    (pretended.folder / "queue").unlink()
    assert made.submit(tasks, never).keys == ("a", "b", "c")


def test_all_is_written_down_before_it_may_start(pretended, tmp_path):
    made = engine(tmp_path)
    pretended.says("sbatch", f"cat {made.folder / FILE} > {tmp_path / 'before'}; echo Submitted batch job 7")
    made.submit([Task("a"), Task("b")], never)
    before = [json.loads(line) for line in (tmp_path / "before").read_text().splitlines()]
    assert [line["key"] for line in before] == ["a", "b"]
    assert [(task.key, task.task) for task in submitted(made.folder)] == [("a", "7_0"), ("b", "7_1")]
    assert pretended.called("scontrol") == ["scontrol release 7"]
    log = submitted(made.folder)[1].log()
    assert log.name == "7_1_0_log.err"
    assert log.parent.parent == tmp_path / "out" / "logs" / "slurm"


def test_a_submission_that_was_broken_off_is_taken_out_and_made_again(pretended, tmp_path):
    made = engine(tmp_path)
    pretended.says("scontrol", "exit 1")
    with pytest.raises(UserError, match="scontrol failed"):
        made.submit([Task("a"), Task("b")], never)
    token = submitted(made.folder)[0].token
    pretended.queues(made.folder, reason="JobHeldUser")
    pretended.says("scontrol", "true")
    pretended.says("scancel", "rm queue")
    assert made.submit([Task("a"), Task("b")], never).keys == ("a", "b")
    assert pretended.called("scancel") == [f"scancel --name={NAME}{token} 7"]
    assert token not in (made.folder / FILE).read_text()


def test_a_submission_whose_id_was_not_written_down_is_found_again(pretended, tmp_path):
    made = engine(tmp_path)
    made.submit([Task("a"), Task("b")], never)
    lines = (made.folder / FILE).read_text().splitlines(keepends=True)
    (made.folder / FILE).write_text("".join(lines[:-1]))
    pretended.queues(made.folder)
    assert made.submit([Task("a"), Task("b")], never) == Submission((), ("a", "b"))
    assert [task.task for task in submitted(made.folder)] == ["7_0", "7_1"]


def test_from_inside_a_job_nothing_of_it_is_handed_on(pretended, tmp_path, monkeypatch):
    for name in ("SLURM_CPUS_PER_TASK", "SRUN_CPUS_PER_TASK", "SLURM_CONF", "SBATCH_ACCOUNT"):
        monkeypatch.setenv(name, "3")
    pretended.says("sbatch", f"env > {tmp_path / 'env'}; echo Submitted batch job 7")
    engine(tmp_path).submit([Task("a")], never)
    seen = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert seen >= {"SLURM_CONF", "SBATCH_ACCOUNT"}
    assert not seen & {"SLURM_CPUS_PER_TASK", "SRUN_CPUS_PER_TASK"}
    assert os.environ["SLURM_CPUS_PER_TASK"] == "3"


def test_what_slurm_refuses_is_told_and_not_written_down(pretended, tmp_path):
    pretended.says("sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    made = engine(tmp_path, partition="gpu")
    with pytest.raises(UserError, match=r"Slurm refused the tasks: .*invalid partition.*settings of \[slurm\]"):
        made.submit([Task("a")], never)
    assert submitted(made.folder) == []


def test_a_folder_that_slurm_would_read_otherwise_is_refused(pretended, tmp_path):
    made = engine(tmp_path / "100%")
    with pytest.raises(UserError, match="Slurm replaces what follows a %"):
        made.submit([Task("a")], never)


def test_where_there_is_no_slurm_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="srun was not found, so there is no Slurm here"):
        engine(tmp_path).submit([Task("a")], never)


def test_without_submitit_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'mdsa-bench\[slurm\]'"):
        engine(tmp_path).submit([Task("a")], never)


def test_a_thousand_tasks_are_submitted_and_listed_in_seconds(pretended, tmp_path):
    made, tasks = engine(tmp_path), [Task(f"training-{number:04}") for number in range(1000)]
    began = time.monotonic()
    made.submit(tasks, never)
    pretended.queues(made.folder)
    found = status(made.folder, [task.key for task in tasks], lambda key: key < "training-0500")
    assert time.monotonic() - began < 10
    assert sum(one.state == "done" for one in found.values()) == 500
    assert sum(one.state == "queued" for one in found.values()) == 500


# ---- the queue -------------------------------------------------------------------------------------------------------

TOLD = """\
7_0|bench-{token}|RUNNING|2026-11-30T20:08:37|n1|None
7_1|bench-{token}|PENDING|N/A||BeginTime
7_2|bench-{token}|FAILED|2026-11-30T20:08:37|n2|NonZeroExitCode
7_3|bench-{token}|COMPLETING|2026-11-30T20:08:37|n2|None
8|bash|RUNNING|2026-11-30T20:08:37|n1|None
9|a|b|c|RUNNING|2026-11-30T20:08:37|n1|None
10|bench-0123456789abcdef|RUNNING|2026-11-30T20:08:37|n1|None
7_4|bench-{token}|NEWSTATE
what is this
"""


def test_the_queue_is_read_as_squeue_tells_it(pretended, tmp_path):
    made = engine(tmp_path)
    made.submit([Task(key) for key in "abcdef"], never)
    (pretended.folder / "queue").write_text(TOLD.format(token=submitted(made.folder)[0].token))
    found = queue(made.folder)
    assert [(one.state, one.id, one.node, one.reason, one.ended) for one in found.values()] == [
        ("running", "7_0", "n1", "", ""),
        ("queued", "7_1", "", "BeginTime", ""),
        ("gone", "7_2", "n2", "NonZeroExitCode", "FAILED"),
        ("running", "7_3", "n2", "", ""),
        ("gone", "7_4", "", "", "NEWSTATE"),
        ("gone", "7_5", "", "", ""),
    ]
    assert found["a"].since is not None
    assert found["a"].since.replace(tzinfo=None).isoformat() == "2026-11-30T20:08:37"
    assert len(rows()) == 6


def test_a_number_that_slurm_gave_again_is_not_ours(pretended, tmp_path):
    made = engine(tmp_path)
    made.submit([Task("a")], never)
    (pretended.folder / "queue").write_text(
        "7|bench-0123456789abcdef|RUNNING|N/A|n1|None\n7|train|RUNNING|N/A|n1|None\n"
    )
    assert queue(made.folder)["a"].state == "gone"
    assert cancel(made.folder) == []
    assert pretended.called("scancel") == []


def test_records_count_more_than_the_queue_and_slurm_may_be_away(pretended, tmp_path):
    made = engine(tmp_path)
    made.submit([Task("a"), Task("b")], never)
    pretended.says("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    found = status(made.folder, ["a", "b", "c"], lambda key: key == "a")
    assert [one.state for one in found.values()] == ["done", "unknown", "unknown"]
    assert "Unable to contact slurm controller" in found["b"].reason
    pretended.says("squeue", "true")
    assert [one.state for one in status(made.folder, ["a", "c"], never).values()] == ["gone", "missing"]


def test_cancel_names_ids_and_the_token(pretended, tmp_path):
    made = engine(tmp_path)
    made.submit([Task("a"), Task("b"), Task("c")], never)
    pretended.queues(made.folder)
    assert cancel(made.folder, ["a", "c", "unheard"]) == ["a", "c"]
    assert pretended.called("scancel") == [f"scancel --name={NAME}{submitted(made.folder)[0].token} 7_0 7_2"]


def test_a_line_that_is_none_of_ours_is_passed_over(pretended, tmp_path):
    made = engine(tmp_path)
    made.submit([Task("a")], never)
    with (made.folder / FILE).open("a") as file:
        file.write('{"key": "half a li\n[1]\n{"key": "b"}\n{"token": "x"}\n')
    assert [task.key for task in submitted(made.folder)] == ["a"]


def test_watching_goes_on_while_slurm_is_away_and_ends_when_all_is_over(pretended, tmp_path):
    made, looks = engine(tmp_path), []
    made.submit([Task("a"), Task("b")], never)
    pretended.queues(made.folder, "RUNNING")
    steps = [
        lambda: pretended.says("squeue", "exit 1"),
        lambda: pretended.says("squeue", "cat queue"),
        lambda: (pretended.folder / "queue").write_text(""),
    ]

    def hear(standings):
        looks.append([one.state for one in standings.values()])
        if steps:
            steps.pop(0)()

    end = watch(made.folder, ["a", "b"], lambda key: key == "a" and len(looks) > 2, hear, poll_s=0.01)
    assert looks == [["running"] * 2, ["unknown"] * 2, ["running"] * 2, ["done", "gone"], ["done", "gone"]]
    assert end["b"].state == "gone"


# ---- the end of a task -----------------------------------------------------------------------------------------------

STOPPED = "slurmstepd: error: *** STEP 7.0 ON n1 CANCELLED AT 2026-11-30T20:08:37"


@pytest.mark.parametrize(
    ("errors", "ended", "said"),
    [
        ("Traceback (most recent call last):\n  File x\nValueError: no\nsrun: error: n1: task 0: Exited", "FAILED",
         "ValueError: no"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks have been OOM Killed.\n"
         "bench: the task was killed by SIGKILL, as the system does where memory runs out\n", "", "out of memory: "),
        (f"{STOPPED} DUE TO TIME LIMIT ***", "", "it ran into its time limit"),
        (f"{STOPPED} DUE TO PREEMPTION ***", "", "another job took its place"),
        (f"{STOPPED} ***\nKeyboardInterrupt", "", "it was cancelled"),
        ("bench: the task was killed by SIGSEGV", "FAILED", "the task was killed by SIGSEGV"),
        ("bench: given up: 3 times in a row\nTraceback\n  x\nsubmitit.UncompletedJobError: Job not requeued", "",
         "3 times in a row"),
        (f"{STOPPED} DUE TO PREEMPTION ***\n{BEGUN} n2\nRuntimeError: later", "", "RuntimeError: later"),
        ("srun: error: n1: task 0: Killed\n", "FAILED", "n1: task 0: Killed"),
        ("", "NODE_FAIL", "its node failed"),
        ("words", "OUT_OF_MEMORY", "out of memory: "),
    ],
)  # fmt: skip
def test_why_a_task_ended_is_said_in_a_line_with_its_log(pretended, tmp_path, errors, ended, said):
    log = tmp_path / "7_0_log.err"
    log.write_text(f"{BEGUN} n1\n{errors}")
    told = why_ended(Standing("a", "gone", "7", ended=ended, log=log))
    assert told.startswith(said)
    assert told.endswith(f"; see {log}")
    assert "\n" not in told


def test_where_a_log_says_nothing_accounting_is_asked(pretended, tmp_path):
    log = tmp_path / "0123456789abcdef" / "7_0_log.err"
    log.parent.mkdir()
    log.write_text("srun: error: n1: task 0: Killed\n")
    pretended.says("sacct", f"echo 'CANCELLED by 1|train'; echo 'OUT_OF_MEMORY|{NAME}0123456789abcdef'")
    assert why_ended(Standing("a", "gone", "7", log=log)).startswith("out of memory")
    assert why_ended(Standing("a", "gone")) == "it was not submitted, or not to its end"
    assert "left nothing in" in why_ended(Standing("a", "gone", "8", log=tmp_path / "none" / "8_0_log.err"))


# ---- on a real Slurm -------------------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_trainings_run_beside_each_other_on_two_nodes_and_the_times_alone(slurm: Slurm, tmp_path):
    made = engine(tmp_path, steps=20, time=10, grace=20)
    tasks = [*(Task(f"t{number}") for number in range(4)), Task("times-1", exclusive=True)]

    def done(key: str) -> bool:
        return (tmp_path / f"{key}.record").exists()

    assert len(made.submit(tasks, done).keys) == 5
    assert made.submit(tasks, done).keys == ()
    seen = []
    end = watch(made.folder, [task.key for task in tasks], done, seen.append, poll_s=0.5)
    assert {one.state for one in end.values()} == {"done"}
    attempts = {task.key: (tmp_path / f"{task.key}.attempts").read_text().split()[:2] for task in tasks}
    assert sorted(attempts[f"t{number}"] for number in range(4)) == [["n1", "0"], ["n1", "1"], ["n2", "0"], ["n2", "1"]]
    assert any(sum(one.state == "running" for one in look.values()) == 4 for look in seen)
    beside = [
        key for look in seen if look["times-1"].state == "running"
        for key, one in look.items() if one.state == "running" and one.node == look["times-1"].node
    ]  # fmt: skip
    assert set(beside) == {"times-1"}
    assert len({(tmp_path / f"{task.key}.record").read_text() for task in tasks}) == 1
