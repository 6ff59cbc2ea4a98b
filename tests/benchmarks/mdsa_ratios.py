"""MDSA-UNet against its plain form on a CPU: latency, training step and peak memory as ratios of one interleaved run.

The plain form is baselines/mdsa_unet_plain.py, the network as published; ours is timed as it is and folded. Each figure
comes from fresh processes in turn; a ratio is of pairs of processes, with its 95 % interval (bench/stats/ratio.py).
Times are taken twice, for the C library's allocator decides what the plain form's copies cost: as a script finds it
(glibc's defaults), and as bench's workers set it, where freed memory is kept. On an idle machine:

    python tests/benchmarks/mdsa_ratios.py --out results/reference/mdsa_speed/ratios.json

On a GPU: tests/benchmarks/mdsa_cuda.py.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path[:0] = [str(Path(__file__).parents[2])]

from baselines.mdsa_unet_plain import PlainMDSAUNet  # noqa: E402
from bench.machine import ALLOCATOR, this_machine  # noqa: E402
from bench.mdsa_unet import build  # noqa: E402
from bench.measure.forms.folded import fold  # noqa: E402
from bench.measure.latency import latency  # noqa: E402
from bench.measure.memory import memory  # noqa: E402
from bench.measure.peak import peak  # noqa: E402
from bench.quantities import LatencySpec, MemorySpec, PeakSpec  # noqa: E402
from bench.stats.ratio import ratio  # noqa: E402

SIZE = 224
GOALS = {"latency": {1: 0.6, 4: 0.5, 8: 0.5, 16: 0.5}, "step": {4: 0.6}, "inference": {8: 0.5}, "training": {4: 0.5}}
TIMES = ("latency", "step")
MACS = 4.456e9  # multiply-adds of an image, by torch's counter; the folded form does 4.047e9 for the same output
ALLOCATORS: dict[str, dict[str, str]] = {"glibc": {}, "workers": ALLOCATOR}
STEPS = 4  # timed training steps a process, after one that is not timed


@dataclass(frozen=True)
class Order:
    """What one process measures: `what` of `side` at `batch`, with an allocator of ALLOCATORS."""

    side: str
    what: str
    batch: int
    allocator: str
    threads: int


def made(side: str) -> nn.Module:
    torch.manual_seed(0)
    return {"plain": PlainMDSAUNet, "ours": lambda: build(3, 1, SIZE), "folded": _folded}[side]()


def _folded() -> nn.Module:
    return fold(build(3, 1, SIZE), torch.rand(1, 3, SIZE, SIZE))


def measured(order: Order) -> list[float]:
    """Seconds a call or a step, or one figure in bytes."""
    common: dict[str, Any] = {"machine": "", "device": "cpu", "threads": order.threads, "batch": order.batch}
    if order.what == "latency":
        spec = LatencySpec(**common, samples=max(4, 16 // order.batch), seconds=2.0, warmup_calls=3)
        return list(latency(made(order.side), spec).samples_s)
    if order.what == "step":
        return list(_steps(made(order.side), order))
    return [float(memory(lambda: made(order.side), MemorySpec(**common, mode=order.what)).peak_bytes)]


def _steps(network: nn.Module, order: Order) -> Iterator[float]:
    """Forward and backward of one batch in training mode."""
    torch.set_num_threads(order.threads)
    torch.set_flush_denormal(True)  # as our training workers do
    network, images = network.train(), torch.rand(order.batch, 3, SIZE, SIZE)
    for number in range(1 + STEPS):
        network.zero_grad(set_to_none=True)
        start = time.perf_counter()
        network(images).square().mean().backward()
        if number:
            yield time.perf_counter() - start


def in_a_process(order: Order) -> list[float]:
    variables = {**os.environ, **ALLOCATORS[order.allocator], "OMP_NUM_THREADS": str(order.threads)}
    command = [sys.executable, __file__, "--child", json.dumps(vars(order))]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=True)
    figures: list[float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def compared(what: str, batch: int, goal: float, allocator: str, asked: argparse.Namespace) -> dict[str, Any]:
    """One line of the table: each side's median, and its ratio to the plain form's."""
    names = ("ours", "folded", "plain") if what == "latency" else ("ours", "plain")
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    for _ in range(asked.rounds if what in TIMES else 1):
        for name, runs in found.items():
            runs.append(in_a_process(Order(name, what, batch, allocator, asked.threads)))
    ratios = {name: ratio(runs, found["plain"]) for name, runs in found.items() if name != "plain"}
    return {
        "what": what, "batch": batch, "allocator": allocator if what in TIMES else "", "goal": goal,
        "medians": {name: statistics.median(map(statistics.median, runs)) for name, runs in found.items()},
        "ratios": {name: [r.value, r.low, r.high] if r.pairs > 1 else [r.value] for name, r in ratios.items()},
        "reached": {name: r.value <= goal for name, r in ratios.items()}, "samples": found,
    }  # fmt: skip


def told(line: dict[str, Any]) -> str:
    scale, unit = (1e3 / line["batch"], "ms/image") if line["what"] in TIMES else (2.0**-20, "MiB")
    medians = ", ".join(f"{name} {scale * median:.1f}" for name, median in line["medians"].items())
    head = f"{line['what']:9} batch {line['batch']:2} {line['allocator']:8}"
    return f"{head} {medians} {unit}; over plain: {told_ratios(line)}; goal {line['goal']}"


def told_ratios(line: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {found[0]:.3f}" + (" [{:.3f}, {:.3f}]".format(*found[1:]) if found[1:] else "")
        for name, found in line["ratios"].items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="latency, step, inference or training")
    parser.add_argument("--threads", type=int, default=this_machine().cores)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(measured(Order(**json.loads(asked.child)))))
        return
    lines = []
    for what, goals in GOALS.items():
        for batch, goal in goals.items():
            for allocator in ALLOCATORS if what in TIMES else ("workers",):
                if asked.only in ("", what):
                    lines.append(compared(what, batch, goal, allocator, asked))
                    print(told(lines[-1]), flush=True)
    best = peak(PeakSpec(machine="", device="cpu", threads=asked.threads))
    shares = {
        f"{name}, batch {line['batch']}, {line['allocator']}": MACS * line["batch"] / median / best.macs_per_s
        for line in lines
        if line["what"] == "latency"
        for name, median in line["medians"].items()
    }
    told_shares = "; ".join(f"{name} {share:.0%}" for name, share in shares.items())
    print(f"of peak ({best.macs_per_s / 1e9:.1f} GMAC/s), by the network's multiply-adds: {told_shares}")
    if asked.out:
        facts = {
            "machine": this_machine().title, "torch": torch.__version__, "peak_macs_per_s": best.macs_per_s,
            "lines": lines, "of_peak": shares,
        }  # fmt: skip
        asked.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
