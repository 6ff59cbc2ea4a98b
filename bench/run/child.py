"""The child process of a worker: reads an order, runs its job, writes the record and reports the outcome."""

import json
import os
import threading
import time
import traceback
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

from bench.errors import Diverged, UserError, first_line, is_out_of_memory
from bench.machine import state, this_machine
from bench.quantities import QUANTITIES, Result
from bench.run.store import Record, Store
from bench.run.worker import Order, StopRun, Tell, Work

ENDS = {StopRun: "stop", UserError: "refused", Diverged: "diverged"}  # error to outcome of the job
ALIVE_S = 20.0  # seconds between two events of a measurement that reports no count of its progress


def main() -> None:
    """Run the order given on standard input. Events are written to the original standard output."""
    events, orders = os.fdopen(os.dup(1), "w", buffering=1), os.dup(0)
    os.dup2(2, 1)  # the output of libraries goes to the log, not into the events
    # Use file descriptors: a forked data loader closes `sys.stdin` and would wait for a thread that reads from it.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    order = Order.model_validate_json(os.fdopen(orders, "rb", buffering=0, closefd=False).readline())
    threading.Thread(target=_end_with_parent, args=[orders], daemon=True).start()

    def tell(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    tell(_do(Work(order, tell)))


def _end_with_parent(orders: int) -> None:
    """Exit when the parent ends, which closes its pipe, so that no orphan keeps using the machine."""
    while os.read(orders, 65536):
        pass
    os._exit(1)


def _do(work: Work) -> dict[str, Any]:
    """Measure and write the record. Returns the last event: "ok", or another status with its reason.

    Nothing is written if another run took the job over meanwhile: its record may be there already.
    """
    before, start = state(), time.monotonic()
    try:
        result = _measured(work)
    except tuple(ENDS) as error:
        return {"end": ENDS[type(error)], "error": str(error)}
    except Exception as error:  # noqa: BLE001 - a user's network may raise anything, and that is a row of the table
        if is_out_of_memory(error):
            return {"end": "out_of_memory", "error": first_line(error)}
        traceback.print_exc()
        return {"end": "crashed", "error": f"{type(error).__name__}: {first_line(error)}"}
    if result is not None:
        end = time.monotonic()
        record = Record(
            job=work.order.job, status="ok", machine=this_machine(), before=before, after=state(),
            wall_s=end - start, window_s=end - (work.built_at or start), window=work.window,
            notes=work.notes, result=result,
        )  # fmt: skip
        if not work.order.is_ours:
            return {"end": "lost"}
        Store(work.order.out).write(record)
    return {"end": "ok"}


def _measured(work: Work) -> Result | None:
    """Call the quantity's function in `bench.measure`. Returns None in a process that does not hold the result."""
    spec = work.order.job.spec
    quantity = QUANTITIES[spec.quantity]
    if quantity.takes == "order":
        from bench.run.dice import dice

        return dice(work)
    from bench.measure.switches import set_switches

    measure = getattr(import_module(f"bench.measure.{quantity.name}"), quantity.name)
    given = {"machine": lambda: (), "builder": lambda: (work.build,), "network": lambda: (work.build(),)}
    set_switches(work.order.threads)
    more = {"progress": partial(_now_and_then, work.tell, [time.monotonic()]), "mark": work.mark}
    taken = {name: function for name, function in more.items() if name in signature(measure).parameters}
    result: Result = measure(*given[quantity.takes](), spec, **taken)
    return result


def _now_and_then(tell: Tell, last: list[float], doing: str = "", done: int = 0, total: int = 0) -> None:
    """Report progress.

    Events without a count are sent only every `ALIVE_S` seconds, so as not to disturb the timing.
    """
    if total:
        tell({"doing": doing, "done": done, "of": total})
    elif time.monotonic() - last[0] > ALIVE_S:
        last[0] = time.monotonic()
        tell({"doing": doing})


if __name__ == "__main__":
    main()
