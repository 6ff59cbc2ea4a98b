"""Commands on pretended GPUs, from plan to report: the road that everybody takes who has a GPU."""

import json

import pytest
from pretending import bench, python

from bench.read.load import load

SMOKE = ("--device", "cuda", "--budget", "smoke", "--threads", "1")
WHY = "the GPU is pretended by a test, and nothing was measured on one"


def records(folder):
    return load([folder]).records


def test_a_program_without_torch_imports_none():
    found = python("import sys, bench.machine as m; print(m.this_machine().gpus, 'torch' in sys.modules)")
    assert found.strip() == "('Pretended GPU', 'Pretended GPU') False"


FACTS = """
import torch
n = torch.nn.Conv2d(3, 4, 3).to("cuda")
x = torch.rand(1, 3, 8, 8, device="cuda")
with torch.autocast("cuda", torch.bfloat16):
    y = n(x)
y.float().mean().backward()
print(torch.cuda.device_count(), x.is_cuda, str(y.dtype), n.weight.grad.device, y.cpu().is_cuda)
print(torch.cuda.is_bf16_supported(including_emulation=False), torch.cuda.max_memory_allocated() > 4 * x.numel())
try:
    x + torch.rand(1, 3, 8, 8)
except RuntimeError as error:
    print(error)
try:
    torch.zeros(2**20, device="cuda")
except torch.OutOfMemoryError as error:
    print(error)
"""


def test_tensors_are_on_the_gpu_and_compute_on_the_cpu(tmp_path):
    log = tmp_path / "log"
    told = {"BENCH_TESTS_GPU_BF16": "0", "BENCH_TESTS_GPU_BYTES": str(2**20), "BENCH_TESTS_GPU_LOG": str(log)}
    device, facts, mixed, full = python(FACTS, gpus=3, CUDA_VISIBLE_DEVICES="2,0", **told).splitlines()
    assert device == "2 True torch.bfloat16 cuda:0 False"
    assert facts == "False True"
    assert mixed.startswith("Expected all tensors to be on the same device")
    assert full.startswith("CUDA out of memory. Tried to allocate 4.00 MiB.")
    (used,) = map(json.loads, log.read_text().splitlines())
    assert (used["visible"], used["uuid"][-1]) == ("2,0", "2")


def test_what_a_run_on_gpus_keeps_says_that_they_are_pretended(tmp_path):
    where = {"CUDA_VISIBLE_DEVICES": "1", "BENCH_TESTS_GPU_LOG": str(tmp_path / "log")}
    done = bench("run", "malunet", "--measure", "dice", "--size", "32", *SMOKE, cwd=tmp_path, **where)
    (record,) = records(tmp_path / "results")
    assert (record.status, record.job.spec.train.device) == ("ok", "cuda")
    assert (record.machine.gpus, record.taints) == (("Pretended GPU",), (WHY,))
    assert f"‡ MALUNet: {WHY}" in " ".join(done.stdout.split())
    told = (tmp_path / "reports" / "report.md").read_text()
    assert f"- ‡ MALUNet: {WHY}" in told
    (used,) = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert (used["visible"], used["uuid"][-1]) == ("1", "1"), "the worker was on the GPU that it was given"


def test_a_gpu_that_is_hidden_is_not_there(tmp_path):
    refused = bench("run", "malunet", *SMOKE, cwd=tmp_path, code=2, CUDA_VISIBLE_DEVICES="")
    assert "torch finds no CUDA device" in refused.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_forms_that_a_gpu_refuses_are_told_in_a_line_each_and_the_run_goes_on(tmp_path):
    variants = "folded,channels_last,bfloat16,compiled,cuda_graph,onnx"
    asked = ("--measure", "latency,memory,profile", "--variant", variants, "--batch", "1,4", "--size", "32", "--tf32")
    done = bench("run", "malunet", *asked, *SMOKE, cwd=tmp_path, code=1)
    kept = records(tmp_path / "results")
    assert {record.job.spec.quantity for record in kept} == {"latency", "memory", "peak", "profile"}
    failed = {r.job.spec.form: r for r in kept if r.status != "ok"}
    refused = dict.fromkeys(("compiled", "cuda_graph", "onnx"), "refused")
    assert {form: record.status for form, record in failed.items()} == refused
    told = " ".join(done.stdout.split())
    assert "MALUNet, cuda_graph: the network runs as it is, but not cuda_graph" in told
    assert "MALUNet, onnx: this onnxruntime has no CUDAExecutionProvider" in told


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_table_runs_on_gpus_from_the_plan_to_every_format(tmp_path):
    asked = ("--all", "--measure", "cost,memory,dice", "--quiet", *SMOKE)
    bench("run", *asked, cwd=tmp_path, BENCH_TESTS_GPU_BYTES=str(8 * 2**30))
    found = records(tmp_path / "results")
    assert {record.status for record in found} == {"ok"}
    on_gpu = [record for record in found if record.job.spec.quantity != "cost"]
    assert all(WHY in record.taints for record in on_gpu)
    bench("report", "results", "--to", "again", cwd=tmp_path)
    verdicts = json.loads(bench("check", "results", "--format", "json", cwd=tmp_path).stdout)
    decided = {one["metric"] for one in verdicts if one["outcome"] != "undecided"}
    assert "parameters" in decided
    assert not decided & {"latency", "gpu_time", "energy", "memory_inference", "memory_training"}
    bench("compare", "results", "results", cwd=tmp_path)
    picked = bench("pick", "results", "--max-memory-mib", "100", cwd=tmp_path, code=1)
    assert "memory was not measured" in picked.stdout


TINY = """
from torch import nn


class Tiny(nn.Sequential):
    def __init__(self, classes=1, width=4):
        super().__init__(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, classes, 1))


class Dies(Tiny):
    def forward(self, x):
        import os
        os._exit(3)
"""


def used(path):
    """The GPUs that each worker saw, in the order of their start."""
    lines = map(json.loads, path.read_text().splitlines())
    return [line["visible"] for line in lines if "bench.run.child" in " ".join(line["command"])]


def test_trainings_run_at_once_each_on_a_gpu_of_its_own_and_one_that_dies_takes_none_with_it(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    names = [f"tiny.py:Tiny?width={width}" for width in (2, 4, 6)]
    where = {"BENCH_TESTS_GPU_LOG": str(tmp_path / "log"), "BENCH_LOCKS": str(tmp_path)}
    asked = ("--measure", "dice", "--size", "32", *SMOKE)
    bench("run", *names, "tiny.py:Dies", *asked, cwd=tmp_path, code=1, **where)
    found = {record.job.network: record for record in records(tmp_path / "results")}
    assert [found.pop("tiny.py:Dies").status, *(found[name].status for name in names)] == ["crashed", "ok", "ok", "ok"]
    assert sorted(set(used(tmp_path / "log"))) == ["0", "1"]
    times = [(one.before.clock_s, one.after.clock_s) for one in found.values()]
    assert any(a[0] < b[0] < a[1] for a in times for b in times), "two were under way at once"

    bench("run", names[0], *asked, "--seeds", "1,2", "--gpus", "1", cwd=tmp_path, **where)
    assert set(used(tmp_path / "log")[-2:]) == {"1"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_trainings_on_two_gpus_each_run_at_once_and_come_to_what_two_processes_on_a_cpu_do(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    where = {"BENCH_TESTS_GPU_LOG": str(tmp_path / "log"), "BENCH_LOCKS": str(tmp_path)}
    asked = ("run", "tiny.py:Tiny", "--measure", "dice", "--size", "32", "--budget", "smoke", "--precision", "float32")
    asked += ("--seeds", "0,1", "--devices", "2", "--threads", "2")
    bench(*asked, "--device", "cuda", "--out", "gpus", cwd=tmp_path, gpus=4, **where)
    bench(*asked, "--device", "cpu", "--out", "cpu", cwd=tmp_path, gpus=4, **where)
    on_gpus, on_cpu = ({r.job.spec.train.seed: r for r in records(tmp_path / out)} for out in ("gpus", "cpu"))
    assert [record.status for record in on_gpus.values()] == ["ok", "ok"]
    for seed in (0, 1):
        assert on_gpus[seed].result.curve == on_cpu[seed].result.curve
        images, as_on_cpu = (found[seed].result.images for found in (on_gpus, on_cpu))
        assert [one.model_dump_json() for one in images] == [one.model_dump_json() for one in as_on_cpu]
    first, second = on_gpus.values()
    assert max(first.before.clock_s, second.before.clock_s) < min(first.after.clock_s, second.after.clock_s)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    workers = {(one["visible"], one["uuid"][-1]) for one in lines if "bench.run.child" in " ".join(one["command"])}
    assert workers == {("0,1", "0"), ("0,1", "1"), ("2,3", "2"), ("2,3", "3")}
