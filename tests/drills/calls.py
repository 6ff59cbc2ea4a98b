"""Calls of every reader with rubbish. Each gives a value or a UserError; none hangs, dies, or runs what it reads.

The calls of one drill are made in a process with little memory. A second one watches it: where it dies or hangs, that
is noted, and a new one goes on with the next call.
"""

import faulthandler
import mmap
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .case import Found, Plan
from .readers import Reader, readers

CHUNK = 2000  # calls of one drill
LIMIT_S = 20.0  # for one call
MEMORY = 3 << 30  # bytes beyond what the process has already
STARTING = ("subprocess.Popen", "os.posix_spawn")
LONGEST = 4000  # characters of an error


def cases(plan: Plan) -> list[Any]:
    """How many calls each drill makes."""
    whole, rest = divmod(plan.calls, CHUNK)
    return [CHUNK] * whole + [rest] * (rest > 0)


def drill(what: int, plan: Plan, folder: Path, chance: random.Random) -> Found:
    seed = chance.random()
    told, found, done = mmap.mmap(-1, 16), Found(calls=what, tried=what), 0
    while done < what:
        told[:8] = done.to_bytes(8, "little")
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            os.close(reading)
            code = 70
            try:
                code = _call_all(range(done, what), seed, plan, folder, told, writing)
            finally:
                os._exit(code)
        os.close(writing)
        code = _watch(process, told)
        with os.fdopen(reading, errors="replace") as lines:
            found.broken += [line.rstrip("\n") for line in lines]
        done = int.from_bytes(told[:8], "little")
        if code:
            name, _, _ = _chosen(_all_readers(plan, folder), seed, done)
            how = "hangs" if code == HUNG else f"dies of {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
            found.broken.append(f"{name}: the process {how} in {_innermost(folder / 'stack')}")
            done += 1
    found.at = f"{len(found.broken)} calls of {what}"
    return found


HUNG = 1000


def _watch(process: int, told: mmap.mmap) -> int:
    """Wait for the end of the calls; the exit code, below 0 for a signal. A call that takes too long is ended."""
    last, since = b"", time.monotonic()
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if told[:8] != last:
            last, since = told[:8], time.monotonic()
        elif time.monotonic() - since > LIMIT_S:
            os.kill(process, signal.SIGABRT)  # it writes its stack
            time.sleep(0.5)
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return HUNG
        time.sleep(0.02)


def _innermost(stack: Path) -> str:
    """The innermost function of ours in a stack that was written as the process ended."""
    frames = re.findall(
        r'File ".*/(bench/[^"]*|baselines/[^"]*)", line \d+ in (\w+)', stack.read_text(errors="replace")
    )
    return ":".join(frames[0]) if frames else "no code of ours"


def _all_readers(plan: Plan, folder: Path) -> dict[str, Reader]:
    (folder / "valid").mkdir(exist_ok=True)
    return readers(plan.results, folder / "valid", folder / "canary")


def _call_all(numbers: range, seed: float, plan: Plan, folder: Path, told: mmap.mmap, to: int) -> int:
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.dup2(2, 1)
    table, canary, place = _all_readers(plan, folder), folder / "canary", folder / "call"
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    faulthandler.enable((folder / "stack").open("w"))
    ran = _listen()
    for number in numbers:
        told[:8] = number.to_bytes(8, "little")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        name, reader, chance = _chosen(table, seed, number)
        path = place / chance.choice([*reader.valid])
        content = reader.valid[path.name]
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            content = chance.choice(reader.changes)(content, chance)
        path.write_bytes(reader.after(content))
        for fault in _faults(reader, path):
            os.write(to, f"{name}: {fault}\n".encode(errors="replace"))
        if canary.exists() or ran:
            os.write(to, f"{name}: WHAT IT READ WAS RUN {ran}\n".encode())
            shutil.rmtree(canary, ignore_errors=True)
            ran.clear()
    told[:8] = numbers.stop.to_bytes(8, "little")
    return 0


def _chosen(table: dict[str, Reader], seed: float, number: int) -> tuple[str, Reader, random.Random]:
    """The reader of a call, and its chance."""
    chance = random.Random(f"{seed} {number}")
    name = chance.choices([*table], [reader.weight for reader in table.values()])[0]
    return name, table[name], chance


def _faults(reader: Reader, path: Path) -> Iterator[str]:
    """What is wrong with how a reader took a file, in one line each."""
    from bench.errors import UserError

    try:
        reader.read(path)
    except UserError as error:
        if len(str(error)) > LONGEST:
            yield f"an error of {len(str(error))} characters"
    except BaseException as error:  # noqa: BLE001 - all that may come out is looked at
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/bench/" in frame.filename]
        at = f"{ours[-1].filename.partition('/bench/')[2]}:{ours[-1].name}" if ours else "no code of ours"
        yield f"{type(error).__name__} from {at}"


def _listen() -> list[str]:
    """From now on, note commands that are run, but Python's: some readers read in a process with a limit."""
    ran: list[str] = []

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("os.system", "os.exec") or (event in STARTING and arguments[0] != sys.executable):
            ran.append(event)

    sys.addaudithook(hear)
    return ran
