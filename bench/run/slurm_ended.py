"""Why a task left the queue of Slurm without a record: by Slurm's word for it, and by the last words of its logs."""

import re
from contextlib import suppress
from pathlib import Path

from bench.errors import UserError, clean
from bench.run.slurm_queue import NAME, Standing, ask
from bench.run.slurm_work import BEGUN, GIVEN_UP

TAIL = 2**16  # bytes of a log's end that are read
# Slurm's words for how a job ended, where they say more than that it failed.
WORDS = {
    "OUT_OF_MEMORY": "out of memory: it needed more than Slurm gave it; ask for more by memory = ...",
    "TIMEOUT": "it ran into its time limit; ask for more by time = ...",
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node did not start",
    "PREEMPTED": "another job took its place, and it was not put into the queue again",
    "DEADLINE": "its deadline passed",
    "CANCELLED": "it was cancelled",
}
# What a log says, the most telling first, and what it means; None where the log's own words say it.
SIGNS = (
    (r"oom[-_ ]?kill|out of memory.*killed", WORDS["OUT_OF_MEMORY"]),
    (r"DUE TO TIME LIMIT", WORDS["TIMEOUT"]),
    (r"DUE TO NODE FAIL", WORDS["NODE_FAIL"]),
    (r"DUE TO PREEMPTION", WORDS["PREEMPTED"]),
    (rf"^{GIVEN_UP}: (.*)", None),
    (r"CANCELLED AT", WORDS["CANCELLED"]),
    (r"^bench: (the task was killed by .*)", None),
)
NOISE = re.compile(r"\s|srun: |slurmstepd: |submitit |Traceback |bench: |$")
SRUN = re.compile(r"srun: error: (.*)")


def why_ended(one: Standing) -> str:
    """Why a task is gone, in a line, with the path of its log."""
    if one.log is None:
        return "it was not submitted, or not to its end"
    errors, printed = _last_attempt(one.log), _last_attempt(one.log.with_suffix(".out"))
    said = WORDS.get(one.ended, "") or _sign(errors) or _last_words(errors) or _counted(one) or _last_words(printed)
    if not said and not errors and not printed:
        return f"it left nothing in {one.log.parent}; look there, and whether the nodes see that folder"
    failed = next((found[1] for line in reversed(errors) if (found := SRUN.match(line))), "")
    return f"{clean(said or failed or 'it ended without a word')}; see {one.log}"


def _last_attempt(path: Path) -> list[str]:
    """The last lines of a log that are of the last attempt at its task; none if there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    begun = [at for at, line in enumerate(lines) if line.startswith(BEGUN)]
    return lines[begun[-1] :] if begun else lines


def _sign(lines: list[str]) -> str:
    for pattern, means in SIGNS:
        for line in reversed(lines):
            if found := re.search(pattern, line, re.IGNORECASE):
                return means or found[1]
    return ""


def _last_words(lines: list[str]) -> str:
    """The last line that the task's own program wrote, such as that of a Python error."""
    return next((line for line in reversed(lines) if not NOISE.match(line)), "")


def _counted(one: Standing) -> str:
    """What the cluster's accounting says; nothing where there is none."""
    with suppress(UserError):
        told = ask("sacct", "--noheader", "--parsable2", "--allocations", "--format=State,JobName", f"--jobs={one.id}")
        for line in told.splitlines():
            state, _, name = line.partition("|")
            if name.startswith(NAME) and one.log and name.removeprefix(NAME) == one.log.parent.name:
                return WORDS.get(state.split()[0], "")
    return ""
