"""The worker's side: reads an order, does it, writes its record, and says how it ended in one last event."""

import json
import os
import threading
import time
import traceback
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

from bench.errors import Diverged, UserError, first_line
from bench.machine import state, this_machine
from bench.quantities import QUANTITIES, Result
from bench.run.store import Record, Store
from bench.run.worker import Order, StopRun, Tell, Work

ENDS = {StopRun: "stop", UserError: "refused", Diverged: "diverged"}  # what an error means for the job
ALIVE_S = 20.0  # between two signs of life of a measure that has no other progress


def main() -> None:
    """Do the order on standard input; events go to what standard output was."""
    events, orders = os.fdopen(os.dup(1), "w", buffering=1), os.dup(0)
    os.dup2(2, 1)  # what libraries print goes to the log, not between the events
    # Plain descriptors: a loader's forked process closes `sys.stdin`, and would wait for a thread that reads from it.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    order = Order.model_validate_json(os.fdopen(orders, "rb", buffering=0, closefd=False).readline())
    threading.Thread(target=_end_with_parent, args=[orders], daemon=True).start()

    def tell(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    tell(_do(Work(order, tell)))


def _end_with_parent(orders: int) -> None:
    """The parent never writes again, so the end of its pipe is the parent's end: an orphan must not use the machine."""
    while os.read(orders, 65536):
        pass
    os._exit(1)


def _do(work: Work) -> dict[str, Any]:
    """Measure and write; the last event: ok, or a status with its reason."""
    before, start = state(), time.monotonic()
    try:
        result = _measured(work)
    except tuple(ENDS) as error:
        return {"end": ENDS[type(error)], "error": str(error)}
    except Exception as error:  # noqa: BLE001 - a user's network may raise anything, and that is a row of the table
        if isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error):
            return {"end": "out_of_memory", "error": first_line(error)}
        traceback.print_exc()
        return {"end": "crashed", "error": f"{type(error).__name__}: {first_line(error)}"}
    if result is not None:
        end = time.monotonic()
        record = Record(
            job=work.order.job, status="ok", machine=this_machine(), before=before, after=state(),
            wall_s=end - start, window_s=end - (work.built_at or start), notes=work.notes, result=result,
        )  # fmt: skip
        Store(work.order.out).write(record)
    return {"end": "ok"}


def _measured(work: Work) -> Result | None:
    """Call the function that has the quantity's name in `bench.measure`; None where another process has the result."""
    spec = work.order.job.spec
    quantity = QUANTITIES[spec.quantity]
    if quantity.takes == "order":
        from bench.run.dice import dice

        return dice(work)
    from bench.measure.switches import set_switches

    measure = getattr(import_module(f"bench.measure.{quantity.name}"), quantity.name)
    given = {"machine": lambda: (), "builder": lambda: (work.build,), "network": lambda: (work.build(),)}
    set_switches(work.order.threads)
    more = {"progress": partial(_now_and_then, work.tell, [time.monotonic()])}
    told = more if "progress" in signature(measure).parameters else {}
    result: Result = measure(*given[quantity.takes](), spec, **told)
    return result


def _now_and_then(tell: Tell, last: list[float], doing: str = "", done: int = 0, total: int = 0) -> None:
    """Tell what is done now; without a count only now and then, so that it does not disturb what is timed."""
    if total:
        tell({"doing": doing, "done": done, "of": total})
    elif time.monotonic() - last[0] > ALIVE_S:
        last[0] = time.monotonic()
        tell({"doing": doing})


if __name__ == "__main__":
    main()
