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
