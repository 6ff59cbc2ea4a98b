"""Each form against the plain network, and what is refused."""

import itertools
import re
import shutil
from contextlib import contextmanager

import pytest
import torch
from normed import used
from torch import nn

from bench.errors import UserError
from bench.measure.agreement import agreement, outputs_of
from bench.measure.forms import onnx, prepared
from bench.measure.forms.onnx import _on_stream, _provider
from bench.quantities import LatencySpec

SPEC = LatencySpec(machine="m", device="cpu", threads=1, size=16)


# ---- makers ----------------------------------------------------------------------------------------------------------


def small() -> nn.Module:
    torch.manual_seed(0)
    return used(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))).float()


def made(network: nn.Module, **conditions: object) -> tuple[torch.Tensor, float | None]:
    """What the form gives for one batch, and the ticks of a counting clock that passed while it was made."""
    ticks = itertools.count()
    batch = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    run, seconds, *_ = prepared(network, batch, SPEC.model_copy(update=conditions), clock=lambda: next(ticks))
    with torch.inference_mode():
        return run(), seconds


@pytest.mark.parametrize(("form", "seconds"), [("eager", None), ("folded", 1)])
def test_only_what_is_made_takes_time_to_make(form, seconds):
    assert made(small(), form=form)[1] == seconds


class Looks(nn.Module):
    def forward(self, x):
        self.seen = (x.dtype, x.is_contiguous(memory_format=torch.channels_last))
        return x


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(("memory_format", "last"), [("contiguous", False), ("channels_last", True)])
def test_the_network_gets_the_conditions(precision, memory_format, last):
    network = Looks()
    made(network, precision=precision, memory_format=memory_format)
    assert network.seen == (getattr(torch, precision), last)


def test_a_folded_network_is_folded_before_its_precision_is_lowered():
    """(1 + 2^-8)^2 rounds to 1 + 2^-7 in bfloat16; each factor alone would round to 1."""
    layer, norm = nn.Conv2d(3, 3, 1, groups=3, bias=False), nn.BatchNorm2d(3, eps=1e-30)
    nn.init.constant_(layer.weight, 1 + 2**-8)
    nn.init.constant_(norm.weight, 1 + 2**-8)
    batch = torch.ones(1, 3, 2, 2)
    run, *_ = prepared(
        nn.Sequential(layer, norm).eval(), batch, SPEC.model_copy(update={"form": "folded", "precision": "bfloat16"})
    )
    with torch.inference_mode():
        assert torch.equal(run(), batch.bfloat16() * (1 + 2**-7))


class Fails(nn.Module):
    """Runs in float32 and fails in every other precision."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, x):
        if x.dtype != torch.float32:
            raise self.error
        return x


def test_an_operator_without_a_kernel_is_named():
    error = RuntimeError("\"pool\" not implemented for 'Half'\nmore")
    with pytest.raises(UserError, match="eager, float16, contiguous on cpu: \"pool\" not implemented for 'Half';"):
        made(Fails(error), precision="float16")


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_a_lack_of_memory_stays_what_it_is(error):
    with pytest.raises(type(error), match="memory"):
        made(Fails(error), precision="float16")


class Views(nn.Module):
    def forward(self, x):
        return x.view(len(x), -1)


def test_a_network_that_cannot_take_a_memory_format_is_refused():
    made(Views())
    with pytest.raises(UserError, match="eager, float32, channels_last on cpu: view size is not compatible"):
        made(Views(), memory_format="channels_last")


@pytest.mark.parametrize("form", ["cuda_graph", "folded+cuda_graph"])
def test_a_cuda_graph_is_refused_without_cuda(form):
    with pytest.raises(UserError, match=rf"the form {re.escape(form)} needs a CUDA device, got cpu"):
        made(small(), form=form)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="needs a C++ compiler")
def test_compiled():
    plain, _ = made(small())
    found, seconds = made(small(), form="compiled")
    assert seconds == 1
    torch.testing.assert_close(found, plain)


def test_compiling_without_a_compiler_is_refused(monkeypatch):
    import torch._inductor.config

    torch._dynamo.reset()
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "no-such-compiler"))
    with pytest.raises(UserError, match=r"C\+\+ compiler.*install g\+\+"):
        made(small(), form="compiled")


# ---- ONNX Runtime ----------------------------------------------------------------------------------------------------


def needs_onnx():
    for package in onnx.PACKAGES:
        pytest.importorskip(package)


@pytest.mark.parametrize("form", ["onnx", "folded+onnx"])
def test_onnx(form):
    needs_onnx()
    plain, _ = made(small())
    found, seconds = made(small(), form=form)
    assert seconds == 1
    torch.testing.assert_close(outputs_of(found)[0], plain)


class ByName(nn.Module):
    def forward(self, x):
        return {"second by name": x * 2, "first by name": x.mean(1)}


def test_onnx_keeps_the_order_of_several_outputs():
    needs_onnx()
    plain, _ = made(ByName().eval())
    found, _ = made(ByName().eval(), form="onnx")
    assert agreement(plain, found).max_error == 0


class Asks(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


def test_a_network_that_cannot_be_exported_is_refused():
    needs_onnx()
    with pytest.raises(UserError, match=r"not onnx.*; leave out this form"):
        made(Asks().eval(), form="onnx")


@pytest.mark.parametrize("condition", [{"precision": "bfloat16"}, {"memory_format": "channels_last"}])
def test_onnx_is_plain_float32(condition):
    with pytest.raises(UserError, match="onnx is timed in float32 and contiguous, got"):
        made(small(), form="onnx", **condition)


def test_onnx_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(onnx, "find_spec", lambda package: None if package == "onnxruntime" else package)
    with pytest.raises(UserError, match=r"not installed: onnxruntime; pip install 'mdsa-bench\[onnx\]'"):
        made(small(), form="onnx")


# ---- CUDA, by what stands in for it ----------------------------------------------------------------------------------


class FakeCuda:
    """Streams and graphs that write down what happens to them; what is captured runs again when it is replayed."""

    cuda_stream = 7

    def __init__(self) -> None:
        self.log: list[str] = []

    def wait_stream(self, other) -> None:
        self.log.append("wait")

    def replay(self) -> None:
        self.log.append("replay")

    @contextmanager
    def within(self, what):
        self.log.append(f"enter {what}")
        yield
        self.log.append("leave")


@pytest.fixture
def cuda(monkeypatch) -> FakeCuda:
    fake = FakeCuda()
    for name in ("CUDAGraph", "Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, lambda: fake)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: fake.within("stream"))
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: fake.within("graph"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: fake.log.append("synchronize"))
    return fake


def test_a_cuda_graph_is_captured_after_calls_on_a_side_stream_and_only_replayed_then(cuda):
    class Logs(nn.Module):
        def forward(self, x):
            assert torch.is_inference_mode_enabled()
            cuda.log.append("call")
            return x + 1

    batch = torch.rand(1, 3, 4, 4)
    run, *_ = prepared(Logs(), batch, SPEC.model_copy(update={"device": "cuda", "form": "cuda_graph"}))
    warm = ["wait", "enter stream", "call", "call", "call", "leave", "wait"]
    assert cuda.log == [*warm, "enter graph", "call", "leave", "synchronize", "replay"]
    assert torch.equal(run(), batch + 1)
    assert cuda.log[-1] == "replay"


def test_onnx_runtime_works_between_what_the_current_stream_does_before_and_after(cuda):
    assert _on_stream(cuda, lambda: cuda.log.append("run") or 5) == 5
    assert cuda.log == ["wait", "run", "wait"]


@pytest.mark.parametrize(("switch", "tf32", "search"), [(True, "1", "EXHAUSTIVE"), (False, "0", "HEURISTIC")])
def test_onnx_runtime_is_told_the_conditions(cuda, switch, tf32, search):
    spec = SPEC.model_copy(update={"device": "cuda", "tf32": switch, "cudnn_benchmark": switch})
    told = {"user_compute_stream": "7", "use_tf32": tf32, "cudnn_conv_algo_search": search}
    assert _provider(spec, cuda) == ("CUDAExecutionProvider", told)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("form", ["folded", "compiled", "cuda_graph", "folded+cuda_graph"])
def test_forms_on_cuda(form):
    network, batch = small().cuda(), torch.rand(2, 3, 16, 16, device="cuda")
    with torch.inference_mode():
        plain = network(batch)
    run, seconds, *_ = prepared(network, batch, SPEC.model_copy(update={"device": "cuda", "form": form}))
    assert seconds > 0
    with torch.inference_mode():
        torch.testing.assert_close(run(), plain, rtol=1e-3, atol=1e-3)
