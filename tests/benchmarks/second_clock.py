"""How far our median latency lies from torch.utils.benchmark's, network by network, on one machine in one run.

Both time the same network on the same batch in the same process, in turn, so that what changes in a minute changes for
both. Run it on an idle machine:

    python tests/benchmarks/second_clock.py mdsa_unet swin_unet unet --out results/reference/second_clock.txt
"""

import argparse
import statistics
from pathlib import Path

import torch
from torch.utils.benchmark import Timer

from bench.machine import this_machine
from bench.measure.latency import latency
from bench.networks import find_network
from bench.quantities import LatencySpec

ROUNDS = 5
SECONDS = 3.0


def medians(name: str, spec: LatencySpec) -> tuple[list[float], list[float]]:
    """Seconds by our clock and by torch's, a pair a round."""
    torch.manual_seed(0)
    network = find_network(name).build(spec.channels, spec.classes, spec.size)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(statistics.median(latency(network, spec).samples_s))
        theirs.append(theirs_s(network, spec))
    return ours, theirs


def theirs_s(network: torch.nn.Module, spec: LatencySpec) -> float:
    batch = torch.rand(spec.batch, spec.channels, spec.size, spec.size, generator=torch.Generator().manual_seed(0))
    timer = Timer("network(batch)", globals={"network": network.eval(), "batch": batch}, num_threads=spec.threads)
    with torch.inference_mode():
        return timer.blocked_autorange(min_run_time=SECONDS).median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--out", type=Path, help="write the lines here too")
    asked = parser.parse_args()
    facts = this_machine()
    spec = LatencySpec(machine=facts.fingerprint, device="cpu", threads=facts.cores, seconds=SECONDS)
    lines = [f"{facts.title}; torch {torch.__version__}; median over {ROUNDS} rounds, ms", "network ours torch ratio"]
    print("\n".join(lines))
    for name in asked.networks:
        ours, theirs = medians(name, spec)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        lines.append(f"{name} {1e3 * statistics.median(ours):.2f} {1e3 * statistics.median(theirs):.2f} {ratio:.4f}")
        print(lines[-1], flush=True)
    if asked.out:
        asked.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
