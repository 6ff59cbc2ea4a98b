"""How long a study of many trainings takes, from measured throughput: 15 networks, 4 data sets, 3 seeds, 200 epochs.

    bench run --all --measure dice --budget smoke --size 224 --train-batch 8 --out speeds
    python tests/benchmarks/study_hours.py speeds --out results/reference/study_hours.md

The first line trains each network for a moment, on the device that counts. The second reads the images a second that
these trainings reached, and hands the trainings of the study out to so many devices, the longest first. A validation
of an image is counted as a third of a training step of it. Start-up, times and faults are not counted.
"""

import argparse
import heapq
from collections.abc import Iterable
from pathlib import Path

from bench.networks import title_of
from bench.quantities import Scores
from bench.read.load import load

EPOCHS, SEEDS = 200, 3
# Images to train and to validate on, as published: TN3K's are those of a fold.
DATA = {"ddti": (327, 52), "tn3k": (2303, 576), "isic2018": (2594, 100), "acdc": (1312, 210)}


def speeds_of(folder: Path) -> tuple[str, dict[str, float]]:
    """The machine, and the images a second that each network was trained at."""
    records = [record for record in load([folder]).records if isinstance(record.result, Scores)]
    found = {r.job.network: r.result.train_images_per_s for r in records if r.result.train_images_per_s}
    return records[0].machine.title, found


def hours_of(images_per_s: float, train: int, val: int) -> float:
    return EPOCHS * (train + val / 3) / images_per_s / 3600


def makespan(hours: Iterable[float], devices: int) -> float:
    """When the last of some devices is done, if each takes the longest that is left."""
    ends = [0.0] * devices
    for one in sorted(hours, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + one)
    return max(ends)


def table(rows: list[list[str]]) -> str:
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---", *["---:"] * (len(head) - 1)], *body]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, help="the folder of the short trainings")
    parser.add_argument("--devices", default="1,8,64")
    parser.add_argument("--times", default="1,50,100,200", help="so many times the measured speed")
    parser.add_argument("--out", type=Path, help="a file for the tables")
    given = parser.parse_args()
    machine, speeds = speeds_of(given.records)
    of_each = {name: [hours_of(speed, *sizes) for sizes in DATA.values()] for name, speed in speeds.items()}
    rows = [["Network", "Images a second", *(f"{name} (h)" for name in DATA)]]
    for name, hours in sorted(of_each.items(), key=lambda one: sum(one[1])):
        rows.append([title_of(name), f"{speeds[name]:.2f}", *(f"{one:.1f}" for one in hours)])
    every = [one for hours in of_each.values() for one in hours for _ in range(SEEDS)]
    devices, times = ([int(part) for part in text.split(",")] for text in (given.devices, given.times))
    more = [["A device of so many times the speed", *(f"{count} device{'s' * (count > 1)} (h)" for count in devices)]]
    more += [[str(factor), *(f"{makespan(every, count) / factor:,.1f}" for count in devices)] for factor in times]
    told = f"{len(every)} trainings; measured on {machine}\n"
    text = "\n".join([told, table(rows), table(more)])
    print(text)
    if given.out:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
