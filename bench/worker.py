"""Runs one Job in a fresh process, so that a crash, an OOM or a leak touches nothing else.

The parent's side is `run`; the child's is this file run as a module. The job goes in as one line of JSON on standard
input, events come out as lines of JSON, and the child itself writes the record: what it measured outlives a parent that
was killed.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.data import DataSet, open_dataset
from bench.data.sample import Options, thin
from bench.environment import ALLOCATOR, environment, state
from bench.errors import Diverged, UserError
from bench.jobs import Job
from bench.networks import find_network
from bench.quantities import CostSpec, Device, DiceSpec, Frozen, LatencySpec, Result, Scores, Spec
from bench.records import Record, Status, Store

Tell = Callable[[dict[str, Any]], None]


class Order(Frozen):
    """A job and where to do it; the places change nothing in the result."""

    job: Job
    out: Path
    data_root: Path | None
    options: Options = Options()
    device: Device
    threads: int


# ---- the parent's side -----------------------------------------------------------------------------------------------


def run(order: Order, tell: Tell) -> Record:
    """Do one job in a process of its own and return its record; a failure is a record too.

    `tell` hears the child's events while it works. Raises UserError when what was asked cannot be done for any network:
    an unreadable image, a checkpoint that does not fit.
    """
    before, start = state(), time.monotonic()
    log_path = order.out / "logs" / f"{order.job.key}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    end: dict[str, Any] = {}
    with log_path.open("w") as log, _start(order, log) as child:
        assert child.stdin
        assert child.stdout
        try:
            child.stdin.write(order.model_dump_json() + "\n")
            child.stdin.flush()
            for line in child.stdout:
                event = json.loads(line)
                if "end" in event:
                    end = event
                else:
                    tell(event)
        except BaseException:
            child.kill()
            raise
    if end.get("end") == "stop":
        raise UserError(end["error"])
    if end.get("end") == "ok":
        record = Store(order.out).find(order.job)
        assert record is not None
        return record
    return _failure(order, end, child.returncode, log_path, before, time.monotonic() - start)


def _start(order: Order, log: Any) -> "subprocess.Popen[str]":
    path = os.pathsep.join([str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": str(order.threads), "PYTHONPATH": path}
    # -P: a `statistics.py` in the user's folder must not stand in for Python's. Its own session, so that Ctrl-C reaches
    # the parent alone, which then ends the child.
    return subprocess.Popen(
        [sys.executable, "-P", "-u", "-m", "bench.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        text=True, env=variables, start_new_session=True,
    )  # fmt: skip


def _failure(order: Order, end: dict[str, Any], code: int, log: Path, before: Any, wall_s: float) -> Record:
    """The record of a job that ended without a result, kept so that the table can say why."""
    status: Status = end.get("end", "out_of_memory" if code == -signal.SIGKILL else "crashed")
    error = end.get("error") or _last_words(code, log)
    record = Record(
        job=order.job,
        status=status,
        error=error,
        environment=environment(),
        before=before,
        after=state(),
        wall_s=wall_s,
    )
    Store(order.out).write(record)
    return record


def _last_words(code: int, log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    if code == -signal.SIGKILL:
        how += ", most likely by the system for want of memory"
    return f"the worker died ({how}); see {log}" + (f": {lines[-1]}" if lines else "")


# ---- the child's side ------------------------------------------------------------------------------------------------


def main() -> None:
    """Read an order, do it, write its record, and say how it ended in one last event."""
    events, orders = os.fdopen(os.dup(1), "w", buffering=1), os.dup(0)
    os.dup2(2, 1)  # what libraries print goes to the log, not between the events
    # Plain descriptors: a loader's forked process closes `sys.stdin`, and would wait for a thread that reads from it.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    order = Order.model_validate_json(_read_line(orders))
    threading.Thread(target=_end_with_parent, args=[orders], daemon=True).start()

    def tell(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    tell(_do(order, tell))


def _read_line(descriptor: int) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (part := os.read(descriptor, 65536)):
        line += part
    return line


def _end_with_parent(orders: int) -> None:
    """The parent never writes again, so the end of its pipe is the parent's end: an orphan must not use the machine."""
    while os.read(orders, 65536):
        pass
    os._exit(1)


def _do(order: Order, tell: Tell) -> dict[str, Any]:
    """Measure and write; the last event: ok, or a status with its reason."""
    before, start = state(), time.monotonic()
    try:
        result = MEASURES[order.job.spec.quantity](order, tell)
    except StopRun as stop:
        return {"end": "stop", "error": str(stop)}
    except UserError as error:
        return {"end": "refused", "error": str(error)}
    except Diverged as error:
        return {"end": "diverged", "error": str(error)}
    except Exception as error:  # a stranger's network may raise anything, and that is a row of the table
        if isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error):
            return {"end": "out_of_memory", "error": _first_line(error)}
        import traceback

        traceback.print_exc()
        return {"end": "crashed", "error": f"{type(error).__name__}: {_first_line(error)}"}
    record = Record(
        job=order.job, status="ok", environment=environment(), before=before, after=state(),
        wall_s=time.monotonic() - start, result=result,
    )  # fmt: skip
    Store(order.out).write(record)
    return {"end": "ok"}


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


class StopRun(Exception):
    """What the user gave is wrong for every network, so the run stops."""


@contextmanager
def _stopping() -> Iterator[None]:
    """What is wrong in here is wrong for every network."""
    try:
        yield
    except UserError as error:
        raise StopRun(str(error)) from None


def _build(order: Order, seed: int = 0) -> Any:
    import torch

    spec: Spec = order.job.spec
    torch.set_num_threads(order.threads)
    torch.manual_seed(seed)
    return find_network(order.job.network).build(spec.channels, spec.classes, spec.size)


def _cost(order: Order, tell: Tell) -> Result:
    from bench.measure.cost import cost

    assert isinstance(order.job.spec, CostSpec)
    return cost(_build(order), order.job.spec)


def _latency(order: Order, tell: Tell) -> Result:
    from bench.measure.latency import latency

    assert isinstance(order.job.spec, LatencySpec)
    return latency(_build(order), order.job.spec)


def _dice(order: Order, tell: Tell) -> Result:
    """Train or load, then score the test split."""
    import torch

    from bench.measure.score import score
    from bench.training.train import Task, load, train

    spec, key = order.job.spec, order.job.training_key
    assert isinstance(spec, DiceSpec)
    network, folder = _build(order, spec.train.seed), order.out / "checkpoints" / key
    network.to(memory_format=torch.channels_last)
    if order.device == "cpu":
        torch.set_flush_denormal(True)  # saturated early outputs give gradients that a CPU computes in microcode
    with _stopping():
        data = _open(order, spec)
        card = load(network, folder, key)
    loaded = card is not None
    if card is None:
        task = Task(key, spec.train, folder, spec.classes, order.device)
        train_set = _prepared(order, data, "train", spec.train.train_images, tell)
        card = train(network, task, train_set, _prepared(order, data, "val", spec.train.val_images, tell), tell)
    test = _prepared(order, data, "test", spec.test_images, tell)
    device = torch.device(order.device)
    originals = thin(data.splits["test"], spec.test_images) if spec.protocol == "per_volume" else ()
    images = score(network.to(device), test, device, originals, _counting(tell, "scoring", len(test)))
    return Scores(
        loaded=loaded, best_step=card.best_step, curve=card.curve, train_images_per_s=card.train_images_per_s,
        images=images,
    )  # fmt: skip


def _open(order: Order, spec: DiceSpec) -> DataSet:
    data = open_dataset(spec.dataset, order.data_root, order.options)
    if data.digest != spec.data:
        raise UserError(f"{spec.dataset} changed while the run was under way; start the run again")
    return data


def _prepared(order: Order, data: DataSet, split: str, limit: int | None, tell: Tell) -> Any:
    from bench.data.prepared import prepare

    samples = thin(data.splits[split], limit)
    cache = order.out / "cache" / f"{data.name}-{data.digest}"
    with _stopping():
        return prepare(samples, order.job.spec.size, cache, _counting(tell, f"reading {split}", len(samples)))


def _counting(tell: Tell, doing: str, total: int) -> Callable[[int], None]:
    return lambda done: tell({"doing": doing, "done": done, "of": total})


MEASURES: dict[str, Callable[[Order, Tell], Result]] = {"cost": _cost, "latency": _latency, "dice": _dice}


if __name__ == "__main__":
    main()
