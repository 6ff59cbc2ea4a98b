"""The child process of a worker: reads an order, runs its job, writes the record and reports the outcome."""

import atexit
import errno
import faulthandler
import io
import json
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, NoReturn

from bench.errors import LONG, Diverged, Paused, UserError, clean, first_line, is_out_of_memory, text_of
from bench.files import Unusable, aside, unusable
from bench.machine import state, this_machine
from bench.networks.explain import crash, crashed_at
from bench.quantities import QUANTITIES, Result
from bench.run.store import Record, Store
from bench.run.worker import PAUSE, Order, StopRun, Tell, Work, writing

# Error to outcome of the job, the more special first.
ENDS = {
    StopRun: "stop", Unusable: "unusable", UserError: "refused", Diverged: "diverged", Paused: "paused",
}  # fmt: skip
FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))  # libraries tell it in these words too
ROOM = 1 << 20  # bytes for which a disk that is not full has room
ALIVE_S = 20.0  # seconds between two events of a measurement that reports no count of its progress


def main() -> None:
    """Run the order given on standard input. Events are written to the original standard output."""
    events, orders = os.fdopen(os.dup(1), "w", buffering=1), os.dup(0)
    faulthandler.enable()  # so that the log tells on which line a library killed the process
    os.dup2(2, 1)  # the output of libraries goes to the log, not into the events
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a network that asks for input gets none
    given = os.fdopen(orders, "rb", buffering=0)
    order = Order.model_validate(json.loads(given.readline()))

    def tell(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    work = Work(order, tell)
    if order.may_pause:
        signal.signal(signal.SIGTERM, lambda *_: work.asked_to_end.set())
        threading.Thread(target=_hear, args=[given, work.asked_to_end], daemon=True).start()
    tell(_do(work))


def _hear(given: io.RawIOBase, asked: threading.Event) -> None:
    """Wait until the parent asks for an end."""
    if given.readline() == PAUSE:
        asked.set()


def leave() -> NoReturn:
    """End this process at once: where torch was imported, Python takes half a second to take itself apart."""
    with suppress(BaseException):  # what a network left to be done, too
        atexit._run_exitfuncs()
    for name in ("stdout", "stderr"):
        with suppress(BaseException):  # it may be a network's own by now
            getattr(sys, name).flush()
    os._exit(0)


def _do(work: Work) -> dict[str, Any]:
    """Measure and write the record. Returns the last event: "ok", or another status with its reason.

    Nothing is written if another run took the job over meanwhile: its record may be there already.
    """
    before, start = state(), time.monotonic()
    try:
        result = _measured(work)
        if result is None:
            return {"end": "ok"}
        end = time.monotonic()
        record = Record(
            job=work.order.job, status="ok", machine=this_machine(), before=before, after=state(),
            wall_s=end - start, window_s=end - (work.built_at or start), window=work.window,
            notes=work.notes, result=result,
        )  # fmt: skip
        if not work.order.is_ours:
            return {"end": "lost"}
        with writing(work.order.out):
            Store(work.order.out).write(record)
    except BaseException as error:  # noqa: BLE001 - a network may raise anything, also SystemExit: a row of the table
        return _failure(error, work.order)
    return {"end": "ok"}


def _failure(error: BaseException, order: Order) -> dict[str, Any]:
    """The last event of a job that ended with this error."""
    out = order.out
    for kind, end in ENDS.items():
        if isinstance(error, kind):
            cause = error.__cause__ or error.__context__  # what a stranger's code raised, which the error explains
            see = f"; see {order.log}" if end == "refused" and cause and crashed_at(cause) else ""
            if see:
                _print_traceback()
            return {"end": end, "error": (clean(text_of(error), LONG - len(see)) or first_line(error)) + see}
    named = getattr(error, "filename", None)
    if isinstance(error, OSError) and error.errno and isinstance(named, str) and _is_of(out, named):
        return {"end": "unusable", "error": str(unusable(error))}
    if any(told in text_of(error) for told in FULL) and _is_of(out, named):
        return {"end": "unusable", "error": str(unusable(OSError(errno.ENOSPC, first_line(error)), out))}
    if is_out_of_memory(error):
        return {"end": "out_of_memory", "error": first_line(error)}
    _print_traceback()
    return {"end": "crashed", "error": crash(error, order.log)}


def _print_traceback() -> None:
    """Write the traceback of the error that is handled to the log."""
    with suppress(BaseException):  # the error itself may fail to say what it is, and the disk may be full
        traceback.print_exc()


def _is_of(folder: Path, path: Any) -> bool:
    """Whether a path lies in a folder; where none is told, whether the folder's disk is full.

    A network may raise such an error itself, of another disk or of none.
    """
    if isinstance(path, str):
        return Path(path).absolute().is_relative_to(folder.absolute())
    try:
        with aside(folder / "room") as made:
            made.write_bytes(bytes(ROOM))
    except OSError:
        return True
    return False


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
    leave()
