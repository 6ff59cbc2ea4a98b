"""`bench run`: train or load networks, measure them and compare."""

import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Exit, Option

from bench.cli.options import DataOptions, Json, Quiet, RunOptions, command, writable
from bench.errors import UserError
from bench.files import unusable


@command()
def run(
    asked: RunOptions,
    data: DataOptions,
    out: Annotated[Path, Option(help="Where records and checkpoints are kept.")] = Path("results"),
    reports: Annotated[Path, Option(help="Where the report is written.")] = Path("reports"),
    show_plan: Annotated[bool, Option("--show-plan", help="Show what would be done, and stop.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train or load networks, measure them and compare.

    Records already in --out are not measured again; a run that was stopped is resumed. Several runs may share an --out:
    each job is done by one of them. Files in --reports that no report wrote are moved aside, never overwritten.

    Examples:

      bench run --all

      bench run mdsa_unet unet --dataset isic2017 --data-root ISIC2017 --steps 600

      bench run nets/mine.py:TinyNet --arg width=32 --group light
    """
    from bench.cli.display import announce, conclude, do
    from bench.cli.terminal import Status, console
    from bench.run.plan import keep_split, plan
    from bench.run.store import WRITTEN

    with stopped_by_signals():
        study = asked.study(data)
        writable(out, WRITTEN)
        writable(reports)
        with Status(console(), quiet, transient=True) as status:
            planned = plan(study, out / "splits", partial(status.count, f"reading {study.dataset}"))
        if show_plan or not quiet:
            announce(console(), planned, out)
        if show_plan:
            return
        keep_split(planned, out / "splits")
        records = do(planned, out, quiet)
        try:
            conclude(records, reports, as_json, [out])
        except (OSError, UserError) as error:
            raise not_reported(error, out) from None
        raise Exit(int(any(record.status != "ok" for record in records)))


def not_reported(error: OSError | UserError, out: Path) -> UserError:
    """The error for a report that cannot be written: why, what is kept, and the command that writes it elsewhere."""
    why = str(unusable(error) if isinstance(error, OSError) else error)
    elsewhere = shlex.join(["bench", "report", str(out), "--to", "FOLDER"])
    return UserError(f"{why}; all records are kept in {out}, write their report with: {elsewhere}")


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let the signals that end a process do what Ctrl-C does; the exit code is then 128 and the signal's number.

    A signal that is ignored, as with nohup, stays ignored. Of several the first counts: it is being seen to.
    """
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()  # others cannot be told of signals
    ending = [one for one in (signal.SIGTERM, signal.SIGHUP) if is_main and signal.getsignal(one) == signal.SIG_DFL]
    for number in ending:
        signal.signal(number, hear)
    try:
        yield
    except BaseException:
        if heard:
            raise Exit(128 + heard[0]) from None
        raise
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_DFL)
