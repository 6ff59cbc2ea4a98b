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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.environment import ALLOCATOR, environment, state
from bench.errors import UserError
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
    variables = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": str(order.threads), "PYTHONUNBUFFERED": "1"}
    # Its own session, so that Ctrl-C reaches the parent alone, which then ends the child.
    return subprocess.Popen(
        [sys.executable, "-m", "bench.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
        env=variables, start_new_session=True,
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
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print goes to the log, not between the events
    order = Order.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    tell(_do(order, tell))


def _end_with_parent() -> None:
    """The parent never writes again, so the end of its pipe is the parent's end: an orphan must not use the machine."""
    sys.stdin.read()
    os._exit(1)


def _do(order: Order, tell: Tell) -> dict[str, Any]:
    """Measure and write; the last event: ok, or a status with its reason."""
    from bench.training.task import Diverged

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
            return {"end": "out_of_memory", "error": str(error).splitlines()[0]}
        import traceback

        traceback.print_exc()
        return {"end": "crashed", "error": f"{type(error).__name__}: {error}"}
    record = Record(
        job=order.job, status="ok", environment=environment(), before=before, after=state(),
        wall_s=time.monotonic() - start, result=result,
    )  # fmt: skip
    Store(order.out).write(record)
    return {"end": "ok"}


class StopRun(Exception):
    """What the user gave is wrong for every network, so the run stops."""


def _build(order: Order) -> Any:
    import torch

    spec: Spec = order.job.spec
    torch.set_num_threads(order.threads)
    torch.manual_seed(0)
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

    from bench.data import open_dataset
    from bench.data.prepared import Prepared, prepare
    from bench.data.sample import thin
    from bench.measure.score import score
    from bench.training import train

    spec = order.job.spec
    assert isinstance(spec, DiceSpec)
    splits = open_dataset(spec.dataset, order.data_root).splits

    def prepared(split: str, limit: int | None) -> Prepared:
        samples = thin(splits[split], limit)
        try:
            return prepare(
                samples, spec.size, lambda n: tell({"doing": f"reading {split}", "done": n, "of": len(samples)})
            )
        except UserError as error:
            raise StopRun(str(error)) from None

    torch.manual_seed(spec.train.seed)
    network = _build(order)
    folder = order.out / "checkpoints" / order.job.training_key
    try:
        card = train.load(network, folder, order.job.training_key)
    except UserError as error:
        raise StopRun(str(error)) from None
    loaded = card is not None
    if card is None:
        task = train.Task(order.job.training_key, spec.train, folder, spec.classes, order.device)
        limits = spec.train.train_images, spec.train.val_images
        card = train.train(network, task, prepared("train", limits[0]), prepared("val", limits[1]), tell)
    device = torch.device(order.device)
    test = prepared("test", spec.test_images)
    images = score(network.to(device), test, device, lambda n: tell({"doing": "scoring", "done": n, "of": len(test)}))
    return Scores(loaded=loaded, best_step=card.best_step, curve=card.curve,
                  train_images_per_s=card.train_images_per_s, images=images)  # fmt: skip


MEASURES: dict[str, Callable[[Order, Tell], Result]] = {"cost": _cost, "latency": _latency, "dice": _dice}


if __name__ == "__main__":
    main()
