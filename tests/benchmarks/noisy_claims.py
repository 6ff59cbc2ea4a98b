"""How often a gate on ratios cries wolf on a noisy machine: a true claim, checked while something else runs.

Bursts of work come and go on every core, at random, as neighbors do. Each run measures anew and counts its verdicts:

    python tests/benchmarks/noisy_claims.py --runs 20 --out results/reference/noisy_claims.txt
"""

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.machine import this_machine

# Small images, for the noise and not the networks are what is tested; it is true by a factor of three.
CLAIMS = """
[faster-than-unet]
says = "no slower than U-Net"
source = "reports/reference"
network = "mdsa_unet"
metric = "latency"
device = "cpu"
size = 64
relation = "at_most"
against = "unet"
margin = 0.1
"""


def bursts(seed: int, share: float) -> None:
    """Keep a core busy for about this share of the time, in bursts of up to two seconds, for ever."""
    drawn = random.Random(seed)
    while True:
        busy = drawn.uniform(0, 2)
        until = time.monotonic() + busy
        while time.monotonic() < until:
            pass
        time.sleep(busy * (1 - share) / share)


def verdicts(folder: Path) -> Counter[str]:
    """What one check says of the claims, everything measured anew."""
    (folder / "claims.toml").write_text(CLAIMS)
    asked = [sys.executable, "-m", "bench.cli", "check", "--measure-missing", "--quiet", "--format", "json"]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == 2:
        raise SystemExit(done.stderr)
    return Counter(f"{verdict['claim']} {verdict['outcome']}" for verdict in json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.08, help="of each core's time that the noise takes")
    parser.add_argument("--out", type=Path, help="write the lines here too")
    asked = parser.parse_args()
    noise = [multiprocessing.Process(target=bursts, args=(seed, asked.share), daemon=True)
             for seed in range(os.cpu_count() or 1)]  # fmt: skip
    for one in noise:
        one.start()
    lines = [f"{this_machine().title}; {asked.runs} runs, noise on {100 * asked.share:.0f} % of each core's time"]
    total: Counter[str] = Counter()
    for run in range(asked.runs):
        with tempfile.TemporaryDirectory(prefix="bench-noisy-") as folder:
            total += verdicts(Path(folder))
        print(f"run {run + 1}: {dict(total)}", flush=True)
    lines += [f"{name}: {count}" for name, count in sorted(total.items())]
    lines.append(f"false alarms: {sum(count for name, count in total.items() if name.endswith('fails'))}")
    print("\n".join(lines))
    if asked.out:
        asked.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
