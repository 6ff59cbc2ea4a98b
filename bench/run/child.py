"""The worker's side: reads an order, does it, writes its record, and says how it ended in one last event."""

import json
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.errors import Diverged, UserError, first_line
from bench.machine import environment, state
from bench.quantities import CostSpec, EnergySpec, LatencySpec, MemorySpec, PeakSpec, ProfileSpec, Result
from bench.run.build import BUILT_S, NOTES, build
from bench.run.dice import StopRun, dice
from bench.run.store import Record, Store
from bench.run.worker import Order, Tell

SIGN_S = 20.0  # between two signs of life


def main() -> None:
    """Do the order on standard input; events go to what standard output was."""
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
            return {"end": "out_of_memory", "error": first_line(error)}
        import traceback

        traceback.print_exc()
        return {"end": "crashed", "error": f"{type(error).__name__}: {first_line(error)}"}
    if result is not None:
        end = time.monotonic()
        record = Record(
            job=order.job, status="ok", environment=environment(), before=before, after=state(),
            wall_s=end - start, window_s=end - (BUILT_S[0] if BUILT_S else start), notes=tuple(NOTES), result=result,
        )  # fmt: skip
        Store(order.out).write(record)
    return {"end": "ok"}


def _peak(order: Order, tell: Tell) -> Result:
    from bench.measure.peak import peak

    assert isinstance(order.job.spec, PeakSpec)
    return peak(order.job.spec)


def _cost(order: Order, tell: Tell) -> Result:
    from bench.measure.cost import cost

    assert isinstance(order.job.spec, CostSpec)
    return cost(build(order), order.job.spec)


def _memory(order: Order, tell: Tell) -> Result:
    from bench.measure.memory import memory

    assert isinstance(order.job.spec, MemorySpec)
    return memory(lambda: build(order), order.job.spec)


def _latency(order: Order, tell: Tell) -> Result:
    from bench.measure.latency import latency

    assert isinstance(order.job.spec, LatencySpec)
    return latency(build(order), order.job.spec, alive=_now_and_then(tell))


def _energy(order: Order, tell: Tell) -> Result:
    from bench.measure.energy import energy

    assert isinstance(order.job.spec, EnergySpec)
    return energy(build(order), order.job.spec)


def _profile(order: Order, tell: Tell) -> Result:
    from bench.measure.profile import profile

    assert isinstance(order.job.spec, ProfileSpec)
    said = partial(_said, tell)
    return profile(build(order), order.job.spec, said)


def _said(tell: Tell, doing: str, done: int, total: int) -> None:
    tell({"doing": doing, "done": done, "of": total})


def _now_and_then(tell: Tell) -> Callable[[], None]:
    """A sign of life, so rarely that it does not disturb what is timed."""
    last = time.monotonic()

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last > SIGN_S:
            last = time.monotonic()
            tell({"doing": "timing"})

    return alive


MEASURES: dict[str, Callable[[Order, Tell], Result | None]] = {
    "peak": _peak, "cost": _cost, "memory": _memory, "latency": _latency, "energy": _energy, "profile": _profile,
    "dice": dice,
}  # fmt: skip


if __name__ == "__main__":
    main()
