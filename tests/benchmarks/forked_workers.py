"""Whether a forked worker counts and weighs a network as a worker does that is a process of its own.

All networks of the table are counted, and their peak memory is measured, once in workers that are forked from a process
that has imported torch and once in workers that are started. It takes some minutes; without a GPU.

    python tests/benchmarks/forked_workers.py --out results/reference/forked_workers.md

Counts have to be equal. Memory varies a little from process to process, so both figures are shown.
"""

import argparse
import tempfile
from pathlib import Path
from unittest.mock import patch

from bench.data import DataAt
from bench.machine import this_machine
from bench.networks import NETWORKS, title_of
from bench.quantities import Cost, Memory
from bench.run import local
from bench.run.asked import asked_study
from bench.run.plan import plan
from bench.run.store import Record

MIB = 2**20


class Silent:
    """Shows no progress."""

    def begin(self, *_: object) -> None: ...
    def event(self, *_: object) -> None: ...
    def end(self, *_: object) -> None: ...


def measured(networks: list[str], forked: bool) -> list[Record]:
    """Records of counts and memory, in the order of the plan."""
    study = asked_study(
        networks=tuple(networks), measures=("cost", "memory"), budget="quick", steps=None, epochs=None, device="cpu",
        all_sizes=(), weights=None, tf32=False, cudnn_benchmark=False, data=(DataAt("synthetic"),),
    )  # fmt: skip
    planned = plan(study)
    server = local._server if forked else lambda *_: None
    with tempfile.TemporaryDirectory() as folder, patch.object(local, "_server", server):
        return local.carry_out(planned, list(planned.jobs), Path(folder), Silent())


def table(pairs: list[tuple[Record, Record]]) -> str:
    """A line for each network: whether all counts are equal, and its peaks of memory, forked and started."""
    found: dict[str, list[str]] = {}
    for forked, started in pairs:
        ours, theirs = forked.result, started.result
        cells = found.setdefault(title_of(forked.job.network), [])
        if isinstance(ours, Cost):
            cells.append("equal" if ours == theirs else f"{ours} and {theirs}")
        elif isinstance(ours, Memory) and isinstance(theirs, Memory):
            cells += [f"{one.peak_bytes / MIB:.2f}" for one in (ours, theirs)]
    head = "| Network | Counts | Inference, forked (MiB) | started | Training, forked (MiB) | started |"
    lines = [f"| {' | '.join([title, *cells])} |" for title, cells in found.items()]
    return "\n".join([head, "| --- | --- | ---: | ---: | ---: | ---: |", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("networks", nargs="*", default=[*NETWORKS])
    given = parser.parse_args()
    both = [measured(given.networks, forked) for forked in (True, False)]
    if any(record.status != "ok" for records in both for record in records):
        raise SystemExit("a network could not be measured")
    told = f"{this_machine().title}, commit {this_machine().commit}.\n\n{table(list(zip(*both, strict=True)))}"
    print(told)
    if given.out:
        given.out.write_text(f"# Workers that are forked, and workers that are started\n\n{told}\n")


if __name__ == "__main__":
    main()
