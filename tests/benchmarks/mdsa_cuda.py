"""MDSA-UNet against its plain form on one GPU: agreement, latency, training step and peak memory.

First calls take seconds on a GPU, and one is often lent for minutes only; so, unlike on a CPU (mdsa_ratios.py), one
process makes every form once and then times all of them in turn, round by round. A ratio is of pairs of rounds, with
its 95 % interval (bench/stats/ratio.py). Each form of ours stands beside the plain form deployed alike: on small
batches that is a CUDA graph, for eager code waits for the processor there. float32 without TF32.

    python tests/benchmarks/mdsa_cuda.py --out results/reference/mdsa_speed/cuda.json

`--device cpu --batch 1` runs the same code without a GPU, less the graphs.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path[:0] = [str(Path(__file__).parent)]

from mdsa_ratios import MACS, SIZE, made, told_ratios  # noqa: E402

from bench.machine import this_machine  # noqa: E402
from bench.measure.forms import Run, prepared  # noqa: E402
from bench.measure.forms.cuda_graph import captured  # noqa: E402
from bench.measure.memory import memory  # noqa: E402
from bench.measure.peak import peak  # noqa: E402
from bench.quantities import LatencySpec, MemorySpec, PeakSpec  # noqa: E402
from bench.stats.ratio import ratio  # noqa: E402

Line = dict[str, Any]

# Of ours, and of the plain form beside it.
LATENCY = {"eager": "eager", "folded": "eager", "cuda_graph": "cuda_graph", "folded+cuda_graph": "cuda_graph"}
STEP = {"eager": "eager", "cuda_graph": "cuda_graph"}
GRAPHED = 16  # images of a step at most: beside a graph's memory lies that of all the others
GOALS = {"latency": 0.5, "step": 0.6, "inference": 0.5, "training": 0.5}
WARM, CALLS = 3, 5
SIDES = ("plain", "ours")
MODES = ("inference", "training")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON too")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--batch", default="1,4,16,64", help="images, by commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compiled", action="store_true", help="time torch.compile too; a minute or two more a batch")
    asked = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    facts: dict[str, Any] = {"machine": this_machine().title, "torch": torch.__version__, "agreement": agreement(asked)}
    print(json.dumps(facts), flush=True)
    facts["peak_macs_per_s"] = best = peak(PeakSpec(machine="", device=asked.device, threads=_threads())).macs_per_s
    facts["lines"] = lines = []
    for batch in map(int, asked.batch.split(",")):
        # Memory only where activations outweigh the weights, which both sides have.
        modes = MODES if batch >= GRAPHED else ()
        measures = (latency, step, *(partial(peak_memory, mode) for mode in modes))
        for measure in measures:
            lines.append(measure(batch, asked))
            print(told(lines[-1], best), flush=True)
            if asked.device == "cuda":
                torch.cuda.empty_cache()
    if asked.out:
        asked.out.write_text(json.dumps(facts, indent=1) + "\n")


# ---- what is measured ------------------------------------------------------------------------------------------------


def agreement(asked: argparse.Namespace) -> dict[str, dict[str, float]]:
    """How far each side's float32 lies from the plain form's float64, relative, in output and gradient of weights."""
    exact = made("plain").to(asked.device).double().eval()  # from a fixed seed, and so the images
    images = torch.rand(2, 3, SIZE, SIZE, device=asked.device)
    found = {}
    for side in SIDES:
        network = made(side).to(asked.device).eval()
        network.load_state_dict({name: tensor.float() for name, tensor in exact.state_dict().items()})
        pairs = zip(_output_and_gradient(exact, images.double()), _output_and_gradient(network, images), strict=True)
        errors = [float((mine.double() - true).norm() / true.norm()) for true, mine in pairs]
        found[side] = dict(zip(("output", "gradient"), errors, strict=True))
    return found


def _output_and_gradient(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    output = network(images)
    gradients = torch.autograd.grad(output.square().mean(), [*network.parameters()])
    return output.detach(), torch.cat([gradient.flatten() for gradient in gradients])


def latency(batch: int, asked: argparse.Namespace) -> Line:
    forms = LATENCY | ({"compiled": "compiled"} if asked.compiled else {})
    return _line("latency", batch, forms, asked, _forward)


def _forward(side: str, form: str, batch: int, device: str) -> Run:
    spec: Any = {"machine": "", "device": device, "threads": _threads(), "batch": batch, "form": form}
    network = made(side).eval().to(device)
    return prepared(network, torch.rand(batch, 3, SIZE, SIZE, device=device), LatencySpec(**spec))[0]


def step(batch: int, asked: argparse.Namespace) -> Line:
    return _line("step", batch, STEP if batch <= GRAPHED else {"eager": "eager"}, asked, _training_step)


def _training_step(side: str, form: str, batch: int, device: str) -> Run:
    """Forward and backward in training mode; as a graph, gradients are added to what is there, as torch captures it."""
    network, images = made(side).train().to(device), torch.rand(batch, 3, SIZE, SIZE, device=device)

    def run() -> None:
        network(images).square().mean().backward()

    def eager() -> None:
        network.zero_grad(set_to_none=True)
        run()

    return eager if form == "eager" else captured(run)


def peak_memory(mode: str, batch: int, asked: argparse.Namespace) -> Line:
    spec: Any = {"machine": "", "device": asked.device, "threads": _threads(), "batch": batch, "mode": mode}
    bytes_of = {side: memory(partial(made, side), MemorySpec(**spec)).peak_bytes for side in SIDES}
    return {
        "what": mode, "batch": batch, "medians": bytes_of, "ratios": {"ours": [bytes_of["ours"] / bytes_of["plain"]]},
    }  # fmt: skip


# ---- how -------------------------------------------------------------------------------------------------------------


def _line(what: str, batch: int, forms: dict[str, str], asked: argparse.Namespace, make: Callable[..., Run]) -> Line:
    """Each side in each form, timed in turn. What cannot be made, for want of memory say, is left out by name."""
    pairs = {("ours", ours): ("plain", plain) for ours, plain in forms.items()}
    runs: dict[tuple[str, str], Run] = {}
    left_out = {}
    for side, form in dict.fromkeys([*pairs.values(), *pairs]):
        try:
            runs[side, form] = make(side, form, batch, asked.device)
        except Exception as error:  # noqa: BLE001 - whatever a form fails with, the others are measured
            left_out[f"{side} {form}"] = str(error).splitlines()[0]
    found = _timed(runs, asked, inference=what == "latency")
    ratios = {ours[1]: ratio(found[ours], found[plain]) for ours, plain in pairs.items() if {ours, plain} <= {*found}}
    return {
        "what": what, "batch": batch, "left_out": left_out,
        "medians": {" ".join(key): statistics.median(map(statistics.median, found[key])) for key in found},
        "ratios": {form: [r.value, r.low, r.high] for form, r in ratios.items()},
        "samples": {" ".join(key): samples for key, samples in found.items()},
    }  # fmt: skip


def _timed(runs: dict[Any, Run], asked: argparse.Namespace, inference: bool) -> dict[Any, list[list[float]]]:
    """Seconds a call, by round: in each, every run is called several times, and then the next."""
    found: dict[Any, list[list[float]]] = {key: [] for key in runs}
    with torch.inference_mode(inference):
        for run in runs.values():
            for _ in range(WARM):
                _clocked(run, asked.device)
        for _ in range(asked.rounds):
            for key, run in runs.items():
                found[key].append([_clocked(run, asked.device) for _ in range(CALLS)])
    return found


def _clocked(run: Run, device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    kept = run()
    _wait(device)
    seconds = time.perf_counter() - start
    del kept
    return seconds


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _threads() -> int:
    return this_machine().cores


def told(line: Line, best: float) -> str:
    is_time = line["what"] in ("latency", "step")
    scale, unit = (1e3, "ms") if is_time else (2.0**-20, "MiB")
    medians = ", ".join(f"{name} {scale * median:.2f}" for name, median in line["medians"].items())
    shares = ""
    if line["what"] == "latency":
        of_peak = {name: MACS * line["batch"] / median / best for name, median in line["medians"].items()}
        shares = "; of peak: " + ", ".join(f"{name} {share:.0%}" for name, share in of_peak.items())
    missing = "".join(f"; no {name}: {why}" for name, why in line.get("left_out", {}).items())
    ratios = f"over plain: {told_ratios(line)} (goal {GOALS[line['what']]})"
    return f"{line['what']} batch {line['batch']}: {medians} {unit}; {ratios}{shares}{missing}"


if __name__ == "__main__":
    main()
