"""Runs the drills: `python -m tests.drills`, from the repository's root. Exit code 1 if anything broke."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import program, table
from .case import Case, Found, Plan
from .kinds import KINDS, cases
from .pool import carry_out
from .scene import refer
from .study import STUDIES

SHORT = 6, 2000  # kills and calls of the short form
SHOWN = 5  # lines of what broke in one drill


def main() -> int:
    asked = _asked()
    kills, calls = asked.kills, asked.calls
    if asked.short:
        kills, calls = min(kills, SHORT[0]), min(calls, SHORT[1])
    os.nice(5)
    scratch = Path(tempfile.mkdtemp(prefix="drills-")).resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    try:
        program.warm()
        program.adopt()
        references = {name: refer(scratch / f"unbroken-{name}", study) for name, study in STUDIES.items()}
        results = scratch / "unbroken-trains" / "work" / "results"
        plan = Plan(kills, calls, asked.seed, asked.short, references, results)
        wanted = [case for case in cases(plan, asked.only) if asked.case in (None, case.number)]
        found = _follow(wanted, plan, scratch, asked)
    finally:
        if not asked.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    told = table.Told(found, plan, time.monotonic() - began)
    print(told.text)
    if asked.table:
        told.write(asked.table)
    return int(told.is_broken)


def _follow(wanted: list[Case], plan: Plan, scratch: Path, asked: argparse.Namespace) -> list[tuple[Case, Found]]:
    """Carry the drills out, telling how far they are."""
    found, started, drills = [], time.monotonic(), {name: kind.drill for name, (kind, _) in KINDS.items()}
    for case, one in carry_out(wanted, drills, plan, scratch, asked.jobs, asked.keep):
        found.append((case, one))
        left = (time.monotonic() - started) / len(found) * (len(wanted) - len(found))
        broken = sum(bool(each.broken) for _, each in found)
        said = "; ".join(one.broken[:SHOWN]) or one.skipped or "holds"
        line = f"{len(found)}/{len(wanted)} {case.kind} {case.number}: {said}"
        if one.broken or sys.stderr.isatty() or len(found) % 10 == 0 or len(found) == len(wanted):
            print(f"{line}  [{broken} broken, about {left / 60:.0f} min left]", file=sys.stderr, flush=True)
        if one.broken:
            print(f"    {one.at}\n    again: {table.again(case, plan)}", file=sys.stderr, flush=True)
    return found


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few drills of each kind, in under 2 minutes")
    parser.add_argument("--only", choices=KINDS, default="", help="one kind of drills")
    parser.add_argument("--case", type=int, help="with --only: one drill of it, by its number")
    parser.add_argument("--kills", type=int, default=300, help="of all drills together (%(default)s)")
    parser.add_argument("--calls", type=int, default=100_000, help="with rubbish, of all drills (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="drills at a time (%(default)s)")
    parser.add_argument("--table", type=Path, help="write the table into this page")
    parser.add_argument("--keep", action="store_true", help="keep the folders of what broke")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
