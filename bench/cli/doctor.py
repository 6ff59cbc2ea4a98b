"""`bench doctor`: what this machine is, whether it is fit to measure, and how small a difference it can resolve."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Exit, Option, echo

from bench.cli.options import DeviceOption, Json, command, print_json
from bench.files import writable


@command()
def doctor(
    device: Annotated[DeviceOption, Option(help="Where would be measured.")] = "auto",
    quick: Annotated[bool, Option("--quick", help="Three pairs of processes, not ten or more.")] = False,
    repeat: Annotated[int, Option(min=1, help="Time the network against itself so often.")] = 1,
    out: Annotated[Path, Option(help="What is found is kept in its folder doctor/.")] = Path("results"),
    as_json: Json = False,
) -> None:
    """Tell what this machine is, whether it is fit to measure, and how small a difference it can resolve.

    For the last, a network is timed against itself: what differs then is noise. Nothing on the machine is changed. The
    exit code is 1 where something spoils times.

    Examples:

      bench doctor

      bench doctor --quick --device cpu
    """
    from bench.cli.examine import Examination
    from bench.cli.terminal import console, say
    from bench.files import write_whole
    from bench.locks import machine_lock
    from bench.run.asked import device_of

    to = console(stderr=False)
    to.quiet = as_json
    found = Examination(device_of(device), quick, to)
    writable(out)
    stopped = False
    try:
        with machine_lock(exclusive=True, tell=partial(echo, err=True)):
            found.examine(repeat)
    except KeyboardInterrupt:
        stopped = True
    found.conclude(stopped)
    if as_json:
        print_json(found.as_json())
    if found.runs or not stopped:
        # Stored to document how quiet the machine was.
        path = out / "doctor" / f"{found.device}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
        write_whole(path, json.dumps(found.as_json(), indent=1, allow_nan=False) + "\n")
        say(to, f"\nKept in {path}", wrap=False)
    raise Exit(130 if stopped else int(not found.fit))
