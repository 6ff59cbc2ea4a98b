"""MDSA-UNet against its plain form: latency, training step and peak memory as ratios of one interleaved run.

The plain form is tests/plain_mdsa_unet.py, which is also its definition. Ours is timed as it is and in deployed forms
(bench/variants.py), on CUDA as a graph and compiled beside the plain form in the same form. Every figure comes from
fresh processes in turn; a ratio is of pairs of processes, with its 95 % interval (bench/measure/ratio.py). On a CPU
times are taken twice, for the C library's allocator decides what the plain form's copies cost: as a script finds it
(glibc's defaults), and as bench's workers set it, where freed memory is kept. On an idle machine:

    python tests/benchmarks/mdsa_ratios.py --out results/reference/mdsa_speed/ratios.json
    python tests/benchmarks/mdsa_ratios.py --device cuda --out results/reference/mdsa_speed/ratios_cuda.json
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
from bench.measure.latency import latency  # noqa: E402
from bench.measure.memory import memory  # noqa: E402
from bench.measure.peak import peak  # noqa: E402
from bench.measure.ratio import ratio  # noqa: E402
from bench.quantities import LatencySpec, MemorySpec, PeakSpec  # noqa: E402

SIZE = 224
GOALS: dict[str, dict[str, dict[int, float]]] = {
    "cpu": {
        "latency": {1: 0.6, 4: 0.5, 8: 0.5, 16: 0.5}, "step": {4: 0.6}, "inference": {8: 0.5}, "training": {4: 0.5},
    },
    "cuda": {"latency": {1: 0.5, 64: 0.5}, "step": {4: 0.6, 64: 0.6}, "inference": {64: 0.5}, "training": {64: 0.5}},
}  # fmt: skip
FORMS: dict[str, dict[str, str]] = {  # of ours, and the plain form's beside it
    "cpu": {"eager": "eager", "folded": "eager"},
    "cuda": {
        "eager": "eager", "folded": "eager", "cuda_graph": "cuda_graph", "folded+cuda_graph": "cuda_graph",
        "compiled": "compiled",
    },
}  # fmt: skip
TIMES = ("latency", "step")
MACS = 4.456e9  # multiply-adds of an image, by torch's counter; the folded form does 4.046e9 for the same output
ALLOCATORS: dict[str, dict[str, str]] = {"glibc": {}, "workers": ALLOCATOR}
STEPS = 4  # timed training steps a process, after one that is not timed
CALLS = {"cpu": 16, "cuda": 64}  # images a process at least, four calls at least


@dataclass(frozen=True)
class Order:
    """What one process measures: `what` of `side` in `form` at `batch`, with an allocator of ALLOCATORS."""

    side: str
    form: str
    what: str
    batch: int
    allocator: str
    threads: int
    device: str

    @property
    def name(self) -> str:
        if self.form == "eager":
            return self.side
        return self.form if self.side == "ours" else f"{self.side} {self.form}"


def made(side: str) -> nn.Module:
    torch.manual_seed(0)
    return PlainMDSAUNet() if side == "plain" else build(3, 1, SIZE)


def measured(order: Order) -> list[float]:
    """Seconds a call or a step, or one figure in bytes."""
    common: dict[str, Any] = {"machine": "", "device": order.device, "threads": order.threads, "batch": order.batch}
    if order.what == "latency":
        samples = max(4, CALLS[order.device] // order.batch)
        spec = LatencySpec(**common, form=order.form, samples=samples, seconds=2.0, warmup_calls=3)
        return list(latency(made(order.side), spec).samples_s)
    if order.what == "step":
        return list(_steps(made(order.side), order))
    return [float(memory(lambda: made(order.side), MemorySpec(**common, mode=order.what)).peak_bytes)]


def _steps(network: nn.Module, order: Order) -> Iterator[float]:
    """Forward and backward of one batch in training mode, in float32."""
    torch.set_num_threads(order.threads)
    torch.set_flush_denormal(True)  # as our training workers do
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
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
    variables = {**os.environ, **ALLOCATORS[order.allocator], "OMP_NUM_THREADS": str(order.threads)}
    command = [sys.executable, __file__, "--child", json.dumps(vars(order))]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=True)
    figures: list[float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def compared(what: str, batch: int, goal: float, allocator: str, asked: argparse.Namespace) -> dict[str, Any]:
    """One line of the table: each side's median, and its ratio to the plain form's."""
    forms = FORMS[asked.device] if what == "latency" else {"eager": "eager"}
    made_of = (what, batch, allocator, asked.threads, asked.device)
    pairs = {Order("ours", ours, *made_of): Order("plain", plain, *made_of) for ours, plain in forms.items()}
    found: dict[Order, list[list[float]]] = {order: [] for order in dict.fromkeys([*pairs, *pairs.values()])}
    for _ in range(asked.rounds if what in TIMES else 1):
        for order, runs in found.items():
            runs.append(in_a_process(order))
    ratios = {order.name: ratio(found[order], found[plain]) for order, plain in pairs.items()}
    return {
        "what": what, "batch": batch, "allocator": allocator if what in TIMES else "", "goal": goal,
        "medians": {order.name: statistics.median(map(statistics.median, runs)) for order, runs in found.items()},
        "ratios": {name: [r.value, r.low, r.high] if r.pairs > 1 else [r.value] for name, r in ratios.items()},
        "reached": {name: r.value <= goal for name, r in ratios.items()},
        "samples": {order.name: runs for order, runs in found.items()},
    }  # fmt: skip


def told(line: dict[str, Any]) -> str:
    scale, unit = (1e3 / line["batch"], "ms/image") if line["what"] in TIMES else (2.0**-20, "MiB")
    medians = ", ".join(f"{name} {scale * median:.1f}" for name, median in line["medians"].items())
    ratios = ", ".join(
        f"{name} {found[0]:.3f}" + (" [{:.3f}, {:.3f}]".format(*found[1:]) if found[1:] else "")
        for name, found in line["ratios"].items()
    )
    head = f"{line['what']:9} batch {line['batch']:2} {line['allocator']:8}"
    return f"{head} {medians} {unit}; over plain: {ratios}; goal {line['goal']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="latency, step, inference or training")
    parser.add_argument("--device", default="cpu", choices=GOALS)
    parser.add_argument("--threads", type=int, default=environment().cores)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(measured(Order(**json.loads(asked.child)))))
        return
    lines = []
    for what, goals in GOALS[asked.device].items():
        for batch, goal in goals.items():
            for allocator in ALLOCATORS if what in TIMES and asked.device == "cpu" else ("workers",):
                if asked.only in ("", what):
                    lines.append(compared(what, batch, goal, allocator, asked))
                    print(told(lines[-1]), flush=True)
    best = peak(PeakSpec(machine="", device=asked.device, threads=asked.threads))
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
            "machine": environment().title, "torch": torch.__version__, "peak_macs_per_s": best.macs_per_s,
            "lines": lines, "of_peak": shares,
        }  # fmt: skip
        asked.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
