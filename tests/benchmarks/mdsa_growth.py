"""How MDSA-UNet's cost grows with the image: as published, with regions of a fixed size, and with dense attention.

Multiply-adds, latency and peak memory of one image of 128 to 1024 pixels a side, and how each grows: cost is taken as
proportional to pixels**exponent, over all sizes and from each to the next. Dense attention is one region that keeps
itself. Latencies are medians of fresh processes in turn. On an idle machine:

    python tests/benchmarks/mdsa_growth.py --out results/reference/mdsa_speed/growth.json
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent)]

from bench.machine import ALLOCATOR, this_machine  # noqa: E402
from bench.mdsa_unet import MDSAUNet  # noqa: E402
from bench.measure.counters import by_fvcore  # noqa: E402
from bench.measure.latency import latency  # noqa: E402
from bench.measure.memory import memory  # noqa: E402
from bench.quantities import LatencySpec, MemorySpec  # noqa: E402

SIZES = (128, 256, 512, 1024)
FORMS: dict[str, dict[str, int]] = {
    "as published, 8 x 8 regions": {"regions": 8},
    "regions of 8 pixels": {"region_size": 8},
    "dense attention": {"regions": 1},
}
LARGEST = {"dense attention": 512}  # of 65,536 pixels each attends to all: minutes a call
GOAL = 1.1


def measured(form: str, size: int, what: str, threads: int) -> float:
    """Multiply-adds, seconds or bytes of one image."""
    torch.manual_seed(0)
    common: dict[str, Any] = {"machine": "", "device": "cpu", "threads": threads, "batch": 1, "size": size}
    if what == "macs":
        return float(by_fvcore(MDSAUNet(**FORMS[form]).eval(), torch.rand(1, 3, size, size)).macs)
    if what == "memory":
        return float(memory(lambda: MDSAUNet(**FORMS[form]), MemorySpec(**common)).peak_bytes)
    spec = LatencySpec(**common, samples=5, seconds=1.0, warmup_calls=2)
    return statistics.median(latency(MDSAUNet(**FORMS[form]), spec).samples_s)


def in_a_process(*order: str | int) -> float:
    variables = {**os.environ, **ALLOCATOR}
    command = [sys.executable, __file__, "--child", json.dumps(order)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=True)
    return float(done.stdout.splitlines()[-1])


def sizes_of(form: str) -> list[int]:
    return [size for size in SIZES if size <= LARGEST.get(form, SIZES[-1])]


def growth(figures: dict[int, float]) -> dict[str, Any]:
    """The exponent of pixels over all sizes by least squares, and from each size to the next."""
    pixels, costs = np.log([size**2 for size in figures]), np.log(list(figures.values()))
    steps = {
        f"{small} to {large}": math.log(figures[large] / figures[small]) / math.log((large / small) ** 2)
        for small, large in pairwise(figures)
    }
    return {"figures": figures, "exponent": float(np.polyfit(pixels, costs, 1)[0]), "from_to": steps}


def told(form: str, what: str, found: dict[str, Any]) -> str:
    scale, unit = {"macs": (1e-9, "GMAC"), "latency": (1e3, "ms"), "memory": (2.0**-20, "MiB")}[what]
    figures = ", ".join(f"{size}: {scale * figure:.4g}" for size, figure in found["figures"].items())
    steps = ", ".join(f"{step} {exponent:.2f}" for step, exponent in found["from_to"].items())
    return f"{form:28} {what:8} {figures} {unit}; exponent {found['exponent']:.2f} ({steps})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON too")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes of each latency")
    parser.add_argument("--threads", type=int, default=this_machine().cores)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(measured(*json.loads(asked.child)))
        return
    found: dict[str, dict[str, Any]] = {form: {} for form in FORMS}
    for what, rounds in (("macs", 1), ("memory", 1), ("latency", asked.rounds)):
        runs = {form: {size: list[float]() for size in sizes_of(form)} for form in FORMS}
        for _ in range(rounds):
            for size in SIZES:
                for form in FORMS:
                    if size in runs[form]:
                        runs[form][size].append(in_a_process(form, size, what, asked.threads))
        for form in FORMS:
            found[form][what] = growth({size: statistics.median(run) for size, run in runs[form].items()})
            print(told(form, what, found[form][what]), flush=True)
    if asked.out:
        facts = {"machine": this_machine().title, "torch": torch.__version__, "goal": GOAL, "forms": found}
        asked.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
