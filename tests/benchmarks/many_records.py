"""How long `bench check` and `bench report` take, and how much memory, as the number of records grows.

The records are made up, and look like those of a campaign: for every ten of them one network, counted once, timed and
weighed on two machines in several processes; one network in ten is scored, with three seeds on two data sets and 120
images. Nothing is measured and nothing of torch is imported.

    python tests/benchmarks/many_records.py --out results/reference/many_records.md
    python tests/benchmarks/many_records.py --records 1000,10000

Each figure is of a fresh process on a machine that should be idle: the seconds that passed; the peak of its resident
memory; and the seconds for one record as a multiple of the first row's.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from bench.machine import Machine, State
from bench.networks import NETWORKS, find_network
from bench.quantities import (
    Cost,
    CostSpec,
    Count,
    CurvePoint,
    DiceSpec,
    ImageScore,
    Latency,
    LatencySpec,
    Memory,
    MemorySpec,
    Scores,
    TrainSpec,
)
from bench.quantities.dice import SCORING_VERSION, TRAINING_VERSION
from bench.run.job import Job
from bench.run.store import Record, Store, read_record

EACH = 10  # records of a network that is not scored
IMAGES = 120  # of a test split
MODELS = 100  # networks whose records are copied
FIRST = 200  # networks whose records are made one by one; the last of these are the models
STATE = State(at="2026-01-01T00:00:00+00:00", load_1min=0.1, cpu_mhz=2600.0, gpu={})
TASKS = {"check": ["check"], "report, CSV": ["report", "--format", "csv"], "report, all formats": ["report"]}


def machine(number: int) -> Machine:
    """One of several machines that differ by their processor."""
    return Machine(
        cpu=f"Processor {number}", cores=8, memory_bytes=32 * 2**30, gpus=(), driver="", system="Linux x86_64",
        python="3.12.3", packages={"torch": "2.11.0", "timm": "1.0.20"}, variables={}, commit="0123456789ab",
    )  # fmt: skip


MACHINES = (machine(1), machine(2))
FINGERPRINTS = tuple(one.fingerprint for one in MACHINES)


def name_of(number: int) -> str:
    """A network of the table while there are some, then one from elsewhere, whose file is not here."""
    return [*NETWORKS][number] if number < len(NETWORKS) else f"nets/net_{number:05}.py:Net"


def records_of(number: int, is_scored: bool) -> Iterator[Record]:
    """All records of a network, the same for the same number."""
    drawn, name, known = random.Random(number), name_of(number), number < len(NETWORKS)
    digest = find_network(name).digest if known else f"{number:012x}"
    libraries = find_network(name).libraries if known else {}
    size, quality = drawn.uniform(0.5, 60), drawn.uniform(0.72, 0.9)

    def made(spec: Any, result: Any, on: int = 0) -> Record:
        job = Job(network=name, network_digest=digest, libraries=libraries, spec=spec)
        return Record(job=job, status="ok", machine=MACHINES[on], before=STATE, after=STATE, wall_s=4.0, result=result)

    macs = round(size * 1e9)
    counts = (
        Count(counter=by, macs=macs, by_operator={"conv": macs, "other": macs // 90}) for by in ("fvcore", "torch")
    )
    weights = dict(zip(("fvcore", "torch"), counts, strict=True))
    held = {"trainable_parameters": round(size * 1e6), "parameter_bytes": round(size * 4e6), "buffer_bytes": 4096}
    yield made(CostSpec(), Cost(parameters=round(size * 1e6), **held, **weights))
    for on, fingerprint in enumerate(FINGERPRINTS):
        where: dict[str, Any] = {"machine": fingerprint, "device": "cpu", "threads": 8}
        for process in range(3):
            times = tuple(drawn.gauss(size * 4e-3, size * 1e-4) for _ in range(50))
            yield made(LatencySpec(**where, process=process), Latency(samples_s=times, warmup_s=times[:10]), on)
        yield made(LatencySpec(**where, batch=4), Latency(samples_s=times[:20], warmup_s=times[:10]), on)
    for on, fingerprint in enumerate(FINGERPRINTS[:1]):
        where = {"machine": fingerprint, "device": "cpu", "threads": 8}
        yield made(MemorySpec(**where), Memory(weights_bytes=round(size * 4e6), peak_bytes=round(size * 9e6)), on)
    for dataset in ("isic2017", "ddti") if is_scored else ():
        for seed in range(3):
            yield made(_trained(dataset, seed), _scores(dataset, quality + drawn.gauss(0, 0.01), drawn))


def _trained(dataset: str, seed: int) -> DiceSpec:
    train = TrainSpec(steps=600, checkpoint_interval=100, batch=8, seed=seed, version=TRAINING_VERSION, threads=8)
    return DiceSpec(dataset=dataset, data=f"{dataset:0<12}"[:12], train=train, scoring=SCORING_VERSION, tolerance=2.0)


def _scores(dataset: str, quality: float, drawn: random.Random) -> Scores:
    images = tuple(_image(f"{dataset}_{n:04}", min(0.99, max(0.0, drawn.gauss(quality, 0.1)))) for n in range(IMAGES))
    curve = tuple(CurvePoint(step=n, loss=2 / n**0.3, val_dice=quality) for n in range(100, 700, 100))
    facts: dict[str, Any] = {"loaded": False, "best_step": 600, "train_images_per_s": 41.0, "patients": "named"}
    return Scores(**facts, curve=curve, images=images)


def _image(name: str, dice: float) -> ImageScore:
    tp = round(3000 * dice)
    return ImageScore(
        id=name, label=1, tp=tp, fp=3000 - tp, fn=3000 - tp, dice=dice, iou=dice / (2 - dice), patient=name,
        sensitivity=dice, precision=dice, hd95=40 * (1 - dice), own_tp=4 * tp, own_fp=4 * (3000 - tp),
        own_fn=4 * (3000 - tp), dice_own=dice, iou_own=dice / (2 - dice), nsd=dice, assd=9 * (1 - dice),
    )  # fmt: skip


def write(folder: Path, count: int) -> int:
    """Write the first `count` records of a campaign into a folder; returns the number of networks.

    Those of the first networks are made one by one, all others are copies of them under other names.
    """
    store, left, number, models = Store(folder), count, 0, list[Text]()
    # Nothing is flushed to the disk one by one: this is no test of writing.
    with patch("os.fsync"):
        while left and number < FIRST:
            made = [store.write(record) for record in islice(records_of(number, number % 10 == 0), left)]
            models += [text_of(path, number) for path in made if number >= FIRST - MODELS]
            left, number = left - len(made), number + 1
    while left:
        ours = [one for one in models if one.number % MODELS == number % MODELS][:left]
        paths = [copy(one, number, folder) for one in ours]
        left, number = left - len(ours), number + 1
        if number % 1000 == 0 and any(read_record(path).id != path.stem for path in paths):
            raise SystemExit("a copy of a record is none")
    return number


class Text(NamedTuple):
    """A record's file, and its JSON of which digests are taken: of the job, and of all."""

    number: int
    stem: str
    text: str
    job: str
    whole: str
    digest: str


def text_of(path: Path, number: int) -> Text:
    text = path.read_text()
    facts = json.loads(text)
    digest = facts.pop("digest")
    return Text(number, path.stem, text, canonical(facts["job"]), canonical(facts), digest)


def copy(one: Text, number: int, folder: Path) -> Path:
    """The record of another network with the same figures."""

    def renamed(text: str) -> str:
        text = text.replace(name_of(one.number), name_of(number))
        return text.replace(f'"network_digest": "{one.number:012x}"', f'"network_digest": "{number:012x}"')

    key, digest = hashed(renamed(one.job)), hashed(renamed(one.whole))
    path = folder / f"{one.stem[:-12].replace(f'{one.number:05}', f'{number:05}')}{key}.json"
    path.write_text(renamed(one.text).replace(f'"digest": "{one.digest}"', f'"digest": "{digest}"'))
    return path


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


canonical = json.JSONEncoder(sort_keys=True).encode


def measured(task: list[str], folder: Path, to: Path) -> tuple[float, float]:
    """Seconds and the peak memory in MB of one command in a process of its own."""
    more = ["--to", str(to)] if task[0] == "report" else []
    asked = [sys.executable, "-m", "bench.cli", *task, str(folder), *more]
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        child = subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, "COLUMNS": "120"})
        _, status, used = os.wait4(child.pid, 0)
        elapsed = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, 1):
            said.seek(0)
            raise SystemExit(f"{' '.join(asked)}: exit code {child.returncode}: {said.read()[-600:].decode()}")
    return elapsed, used.ru_maxrss / 1024


Measured = dict[str, tuple[float, float]]  # seconds and MB by task


def measure(count: int, tasks: dict[str, list[str]]) -> tuple[int, Measured]:
    """The number of networks of so many records, and what each task took with them."""
    with tempfile.TemporaryDirectory(prefix="bench-many-") as temporary:
        folder, found = Path(temporary) / "records", {}
        networks = write(folder, count)
        for name, task in tasks.items():
            found[name] = seconds, peak = measured(task, folder, Path(temporary) / "report")
            print(f"{count} records, {name}: {seconds:.1f} s, {peak:.0f} MB", file=sys.stderr)
    return networks, found


def cells(count: int, found: Measured, first_count: int, first: Measured) -> Iterator[str]:
    """The cells of a line of the table; those of a task that was left out are empty."""
    for name in TASKS:
        if name in found:
            seconds, peak = found[name]
            base = first[name][0] / first_count if name in first else seconds / count
            yield from (f"{seconds:.1f}", f"{peak:.0f}", f"{seconds / count / base:.2f}")
        else:
            yield from ("", "", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", default="1000,10000,30000,100000", help="how many, by commas")
    parser.add_argument(
        "--all-formats-up-to", type=int, default=10_000, help="most records for a report in all formats"
    )
    parser.add_argument("--write", type=Path, help="only write the records, of the first number, into this folder")
    parser.add_argument("--out", type=Path, help="a file for the table")
    given = parser.parse_args()
    counts = [int(count) for count in given.records.split(",")]
    if given.write:
        print(f"{write(given.write, counts[0])} networks")
        return
    least = dict([*TASKS.items()][:-1])
    found = {count: measure(count, TASKS if count <= given.all_formats_up_to else least) for count in counts}
    first = found[counts[0]][1]
    lines = [[f"{n:,}", f"{of:,}", *cells(n, one, counts[0], first)] for n, (of, one) in found.items()]
    head = ["Records", "Networks", *(f"{name} ({unit})" for name in TASKS for unit in ("s", "MB", "a record"))]
    bar = partial("| {} |".format)
    table = "\n".join(map(bar, map(" | ".join, [head, ["---:"] * len(head), *lines]))) + "\n"
    print(table)
    if given.out:
        given.out.write_text(table)


if __name__ == "__main__":
    main()
