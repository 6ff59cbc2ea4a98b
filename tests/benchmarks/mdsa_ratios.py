"""MDSA-UNet against its plain form: latency, training step and peak memory as ratios of one interleaved run.

The plain form is tests/plain_mdsa_unet.py, which is also its definition. Every figure comes from fresh processes, plain
and ours in turn; a ratio is of pairs of processes, with its 95 % interval (bench/measure/ratio.py). On an idle machine:

    python tests/benchmarks/mdsa_ratios.py --out results/reference/mdsa_ratios.json
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

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from plain_mdsa_unet import PlainMDSAUNet  # noqa: E402

from bench.environment import ALLOCATOR, environment  # noqa: E402
from bench.mdsa_unet import build  # noqa: E402
from bench.measure.fold import fold  # noqa: E402
from bench.measure.latency import latency  # noqa: E402
from bench.measure.memory import memory  # noqa: E402
from bench.measure.peak import peak  # noqa: E402
from bench.measure.ratio import ratio  # noqa: E402
from bench.quantities import LatencySpec, MemorySpec, PeakSpec  # noqa: E402

SIZE = 224
GOALS = {"latency": {1: 0.6, 4: 0.5, 8: 0.5, 16: 0.5}, "step": {4: 0.6}, "inference": {8: 0.5}, "training": {4: 0.5}}
MACS = 4.45e9  # multiply-adds of an image, by torch's counter
STEPS = 4  # timed training steps a process, after one that is not timed


@dataclass(frozen=True)
class Order:
    """What one process measures: `what` of `side` at `batch`."""

    side: str
    what: str
    batch: int
    threads: int
    device: str


def made(side: str) -> nn.Module:
    torch.manual_seed(0)
    return {"plain": PlainMDSAUNet, "ours": lambda: build(3, 1, SIZE), "folded": _folded}[side]()


def _folded() -> nn.Module:
    return fold(build(3, 1, SIZE), torch.rand(1, 3, SIZE, SIZE))


def measured(order: Order) -> list[float]:
    """Seconds a call or a step, or one figure in bytes."""
    common: dict[str, Any] = {"machine": "", "device": order.device, "threads": order.threads, "batch": order.batch}
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
    network = network.train().to(order.device)
    images = torch.rand(order.batch, 3, SIZE, SIZE, device=order.device)
    for number in range(1 + STEPS):
        network.zero_grad(set_to_none=True)
        start = time.perf_counter()
        network(images).square().mean().backward()
        if order.device == "cuda":
            torch.cuda.synchronize()
        if number:
            yield time.perf_counter() - start


def in_a_process(order: Order) -> list[float]:
    variables = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": str(order.threads)}
    command = [sys.executable, __file__, "--child", json.dumps(vars(order))]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=True)
    figures: list[float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def compared(what: str, batch: int, goal: float, asked: argparse.Namespace) -> dict[str, Any]:
    """One line of the table: both sides' medians, and their ratio."""
    rounds = 1 if what in ("inference", "training") else asked.rounds
    sides: dict[str, list[list[float]]] = {"ours": [], "plain": []}
    for _ in range(rounds):
        for side, found in sides.items():
            found.append(in_a_process(Order(side, what, batch, asked.threads, asked.device)))
    medians = {side: statistics.median(map(statistics.median, found)) for side, found in sides.items()}
    quotient = ratio(sides["ours"], sides["plain"])
    interval = [quotient.low, quotient.high] if rounds > 1 else None
    return {"what": what, "batch": batch, **medians, "ratio": quotient.value, "interval": interval, "goal": goal,
            "reached": quotient.value <= goal, "samples": sides}  # fmt: skip


def told(line: dict[str, Any]) -> str:
    scale, unit = (1e3 / line["batch"], "ms/image") if line["what"] in ("latency", "step") else (2.0**-20, "MiB")
    interval = " [{:.3f}, {:.3f}]".format(*line["interval"]) if line["interval"] else ""
    return (
        f"{line['what']:9} batch {line['batch']:2}: ours {scale * line['ours']:7.1f}, "
        f"plain {scale * line['plain']:7.1f} {unit}, ratio {line['ratio']:.3f}{interval}, goal {line['goal']}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="latency, step, inference or training")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=environment().cores)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(measured(Order(**json.loads(asked.child)))))
        return
    lines = []
    for what, goals in GOALS.items():
        for batch, goal in goals.items():
            if asked.only in ("", what):
                lines.append(compared(what, batch, goal, asked))
                print(told(lines[-1]), flush=True)
    best = peak(PeakSpec(machine="", device=asked.device, threads=asked.threads))
    shares = {line["batch"]: MACS * line["batch"] / line["ours"] / best.macs_per_s for line in lines
              if line["what"] == "latency"}  # fmt: skip
    print(
        f"of peak ({best.macs_per_s / 1e9:.1f} GMAC/s): " + ", ".join(f"batch {b} {s:.0%}" for b, s in shares.items())
    )
    if asked.out:
        facts = {"machine": environment().title, "torch": torch.__version__, "lines": lines, "of_peak": shares}
        asked.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
